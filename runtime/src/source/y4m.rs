//! Pictures out of a YUV4MPEG2 stream, as mjpegtools defines it and ffmpeg writes it.

use std::borrow::Cow;

use super::MOST_PIXELS;
use crate::frame::{Yuv, YuvLayout};

/// Neither the stream's head nor a frame's is longer.
const LONGEST_HEAD: usize = 1 << 12;
/// What a stream begins with.
pub const MAGIC: &[u8] = b"YUV4MPEG2";

/// Splits a stream.
///
/// ```
/// use graphtag_runtime::source::y4m::Y4mParser;
///
/// let mut parser = Y4mParser::default();
/// parser.push(b"YUV4MPEG2 W2 H1 Cmono\nFRAME\n\x10");
/// assert_eq!(parser.next_picture(), Ok(None));
/// parser.push(b"\xeb");
/// assert_eq!(parser.next_picture().unwrap().unwrap().bytes, [0x10, 0xeb]);
/// ```
#[derive(Debug, Default)]
pub struct Y4mParser {
    buffer: Vec<u8>,
    /// What is before it is done with.
    begin: usize,
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug)]
struct Format {
    width: usize,
    height: usize,
    layout: YuvLayout,
    full_range: bool,
    bytes: usize,
}

/// What is wrong with a stream, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no YUV4MPEG2: {0}")]
pub struct Y4mError(Cow<'static, str>);

impl Y4mParser {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.begin);
        self.begin = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole picture; `None` until more bytes come. A stream may begin anew, with another format.
    ///
    /// # Errors
    /// When the stream is none of this format, or of a variant that is not supported. It can't be
    /// gone on with.
    pub fn next_picture(&mut self) -> Result<Option<Yuv>, Y4mError> {
        loop {
            let rest = &self.buffer[self.begin..];
            let Some(head) = head(rest)? else {
                return Ok(None);
            };
            if head.starts_with(MAGIC) {
                self.format = Some(parse_format(head)?);
                self.begin += head.len() + 1;
                continue;
            }
            let Some(format) = self.format else {
                return Err(Y4mError("it does not begin so".into()));
            };
            if head.split(|&byte| byte == b' ').next() != Some(b"FRAME") {
                return Err(Y4mError("a frame without its head".into()));
            }
            let begin = head.len() + 1;
            let end = begin + format.bytes;
            let Some(bytes) = rest.get(begin..end).map(<[u8]>::to_vec) else {
                return Ok(None);
            };
            self.begin += end;
            return Ok(Some(Yuv {
                width: format.width,
                height: format.height,
                layout: format.layout,
                full_range: format.full_range,
                bytes,
            }));
        }
    }

    /// Whether the stream, if it ends here, ends within a picture or a head.
    pub fn is_within_picture(&self) -> bool {
        self.begin < self.buffer.len()
    }
}

/// The line that begins `bytes`, once it is whole.
fn head(bytes: &[u8]) -> Result<Option<&[u8]>, Y4mError> {
    let looked_at = &bytes[..bytes.len().min(LONGEST_HEAD)];
    match looked_at.iter().position(|&byte| byte == b'\n') {
        Some(end) => Ok(Some(&bytes[..end])),
        None if looked_at.len() < LONGEST_HEAD => Ok(None),
        None => Err(Y4mError("a head without an end".into())),
    }
}

fn parse_format(head: &[u8]) -> Result<Format, Y4mError> {
    let head = String::from_utf8_lossy(head);
    let (mut width, mut height, mut colours, mut full_range) = (0, 0, "420", false);
    for word in head.split_ascii_whitespace().skip(1) {
        match word.split_at_checked(1) {
            Some(("W", value)) => width = value.parse().unwrap_or(0),
            Some(("H", value)) => height = value.parse().unwrap_or(0),
            Some(("C", value)) => colours = value,
            Some(("X", value)) => full_range |= value == "COLORRANGE=FULL",
            _ => {}
        }
    }
    let layout = layout(colours).ok_or_else(|| {
        let problem = format!(
            "colours {colours:?} are not supported; ffmpeg converts them with -pix_fmt yuv420p"
        );
        Y4mError(problem.into())
    })?;
    let pixels = usize::checked_mul(width, height).unwrap_or(usize::MAX);
    match layout.bytes(width, height) {
        Some(bytes) if (1..=MOST_PIXELS).contains(&pixels) => Ok(Format {
            width,
            height,
            layout,
            full_range,
            bytes,
        }),
        _ => {
            let problem =
                format!("pictures of {width} x {height}, not of 1 to {MOST_PIXELS} pixels");
            Err(Y4mError(problem.into()))
        }
    }
}

/// The variants of 4:2:0 differ by a fraction of a pixel in where chroma is sampled.
fn layout(colours: &str) -> Option<YuvLayout> {
    let (columns, rows) = match colours {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => (2, 2),
        "422" => (2, 1),
        "444" => (1, 1),
        "mono" => return Some(YuvLayout::Grey),
        _ => return None,
    };
    Some(YuvLayout::Planar { columns, rows })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pictures, and what the stream ends with: an error, or whether it ends within a picture.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Yuv>, Result<bool, Y4mError>) {
        let mut parser = Y4mParser::default();
        let mut pictures = Vec::new();
        for bytes in pieces {
            parser.push(bytes);
            loop {
                match parser.next_picture() {
                    Ok(Some(picture)) => pictures.push(picture),
                    Ok(None) => break,
                    Err(error) => return (pictures, Err(error)),
                }
            }
        }
        (pictures, Ok(parser.is_within_picture()))
    }

    /// Two pictures of an odd size and one of another, as of a stream that begins anew.
    fn stream() -> Vec<u8> {
        let mut stream = b"YUV4MPEG2 W3 H2 F25:1 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2\n".to_vec();
        for luma in [10, 20] {
            stream.extend(b"FRAME Ip\n");
            stream.extend([luma; 6]);
            stream.extend([128, 129, 130, 131]);
        }
        stream.extend(b"YUV4MPEG2 W1 H1 C444 XCOLORRANGE=FULL\nFRAME\n\x01\x02\x03");
        stream
    }

    #[test]
    fn pictures_come_out_with_their_sizes_and_samples() {
        let stream = stream();
        let (pictures, end) = split([stream.as_slice()]);
        assert_eq!(end, Ok(false));
        let [_, second, third] = pictures.as_slice() else {
            panic!("{} pictures", pictures.len());
        };
        assert_eq!((second.width, second.height), (3, 2));
        assert!(!second.full_range);
        assert_eq!(second.bytes, [20, 20, 20, 20, 20, 20, 128, 129, 130, 131]);
        assert_eq!((third.width, third.height), (1, 1));
        assert!(third.full_range);
        assert_eq!(third.bytes, [1, 2, 3]);
    }

    #[test]
    fn half_a_picture_at_the_end_is_known() {
        let stream = stream();
        let (pictures, end) = split([&stream[..stream.len() - 1]]);
        assert_eq!((pictures.len(), end), (2, Ok(true)));
    }

    #[test]
    fn the_head_tells_the_layout() {
        let planar = |columns, rows| YuvLayout::Planar { columns, rows };
        for (colours, layout, bytes) in [
            ("", planar(2, 2), 15 + 2 * 6),
            (" C420jpeg", planar(2, 2), 15 + 2 * 6),
            (" C420paldv", planar(2, 2), 15 + 2 * 6),
            (" C422", planar(2, 1), 15 + 2 * 9),
            (" C444", planar(1, 1), 15 + 2 * 15),
            (" Cmono", YuvLayout::Grey, 15),
        ] {
            let head = format!("YUV4MPEG2 W5 H3{colours} XCOLORRANGE=LIMITED");
            let format = parse_format(head.as_bytes()).unwrap();
            assert_eq!((format.layout, format.bytes), (layout, bytes));
            assert!(!format.full_range);
        }
    }

    #[test]
    fn a_bomb_and_nonsense_are_refused() {
        for stream in [
            "YUV4MPEG2 W1000000 H1000000\n",
            "YUV4MPEG2 W99999999999999999999 H2\n",
            "YUV4MPEG2 W4\n",
            "YUV4MPEG2 W4 H4 C420p10\n",
            "RIFF\n",
            "YUV4MPEG2 W2 H2\nFRAMES\n",
        ] {
            assert!(split([stream.as_bytes()]).1.is_err(), "{stream}");
        }
        let endless = [MAGIC, &[b'W'; LONGEST_HEAD]].concat();
        assert!(split(endless.chunks(64)).1.is_err());
    }

    proptest! {
        #[test]
        fn any_cuts_give_the_same(
            noise in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            sizes in proptest::collection::vec(1usize..40, 1..20),
        ) {
            let stream = [stream(), b"FRAME\n".to_vec(), noise].concat();
            let mut rest = stream.as_slice();
            let pieces = sizes.iter().cycle().map_while(|&size| {
                let (piece, tail) = rest.split_at(size.min(rest.len()));
                rest = tail;
                (!piece.is_empty()).then_some(piece)
            });
            prop_assert_eq!(split(pieces), split([stream.as_slice()]));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = split([bytes.as_slice()]);
            let stream = [b"YUV4MPEG2 ".as_slice(), &bytes].concat();
            let _ = split([stream.as_slice()]);
        }
    }
}
