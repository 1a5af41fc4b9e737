//! Whole JPEG files out of a stream of bytes.
//!
//! What stands between the files is passed over. Every byte is looked at once, and none beyond the largest file
//! is kept, whatever comes.

/// No camera's picture is larger, in bytes.
pub const LARGEST: usize = 16 << 20;
/// Markers without a length: TEM, RST0 to RST7.
const BARE: [u8; 9] = [0x01, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7];
const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

/// Splits a stream.
///
/// ```
/// use graphtag_runtime::source::mjpeg::{BrokenFile, MjpegSplitter};
///
/// let mut splitter = MjpegSplitter::default();
/// splitter.push(b"noise \xff\xd8\xff\xd9 \xff\xd8 half");
/// assert_eq!(splitter.next_file(), Some(Ok(b"\xff\xd8\xff\xd9".to_vec())));
/// assert_eq!(splitter.next_file(), Some(Err(BrokenFile)));
/// assert_eq!(splitter.next_file(), None);
/// ```
#[derive(Debug, Default)]
pub struct MjpegSplitter {
    buffer: Vec<u8>,
    /// Where the present file begins; what is before it is done with. May be ahead of the bytes that have come.
    begin: usize,
    /// Up to here the bytes are known to belong to the file. May be ahead as well.
    walked: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    /// Before the start of a file.
    #[default]
    Between,
    /// At a marker.
    Marker,
    /// In the coded pixels after a scan's header.
    Scan,
}

/// A file that breaks off, is damaged outside its pixels, or is larger than [`LARGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a JPEG file that breaks off")]
pub struct BrokenFile;

impl MjpegSplitter {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let done = self.begin.min(self.buffer.len());
        self.buffer.drain(..done);
        self.begin -= done;
        self.walked -= done;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next file; `None` until more bytes come.
    ///
    /// # Errors
    /// For a broken file, after which the stream goes on. A file that breaks off within a segment takes with it
    /// what the segment's length spans, 64 kB at most.
    pub fn next_file(&mut self) -> Option<Result<Vec<u8>, BrokenFile>> {
        loop {
            if self.walked - self.begin > LARGEST {
                return Some(Err(self.give_up()));
            }
            match self.state {
                State::Between => self.find_start()?,
                State::Marker => {
                    if let Some(found) = self.walk_marker()? {
                        return Some(found);
                    }
                }
                State::Scan => self.walk_scan()?,
            }
        }
    }

    /// Whether the stream, if it ends here, ends within a file.
    pub fn is_within_file(&self) -> bool {
        self.state != State::Between
    }

    fn find_start(&mut self) -> Option<()> {
        let rest = self.buffer.get(self.begin..)?;
        let start = rest.windows(2).position(|pair| pair == [0xff, START]);
        // The last byte may be the first half of a marker.
        self.begin += start.unwrap_or(rest.len().saturating_sub(1));
        self.walked = self.begin;
        start?;
        self.walked += 2;
        self.state = State::Marker;
        Some(())
    }

    /// Passes one segment, or gives the file that ends here.
    fn walk_marker(&mut self) -> Option<Option<Result<Vec<u8>, BrokenFile>>> {
        match *self.buffer.get(self.walked..)? {
            [] | [0xff] => return None,
            [0xff, 0xff, ..] => self.walked += 1,
            [0xff, END, ..] => {
                self.walked += 2;
                let file = self.buffer[self.begin..self.walked].to_vec();
                self.begin = self.walked;
                self.state = State::Between;
                return Some(Some(Ok(file)));
            }
            [0xff, 0 | START, ..] => return Some(Some(Err(self.give_up()))),
            [0xff, marker, ..] if BARE.contains(&marker) => self.walked += 2,
            [0xff, _] | [0xff, _, _] => return None,
            [0xff, _, 0, 0 | 1, ..] => return Some(Some(Err(self.give_up()))),
            [0xff, marker, high, low, ..] => {
                self.walked += 2 + usize::from(u16::from_be_bytes([high, low]));
                if marker == SCAN {
                    self.state = State::Scan;
                }
            }
            _ => return Some(Some(Err(self.give_up()))),
        }
        Some(None)
    }

    /// Passes coded pixels, up to the next marker. In them, 0xff is followed by 0 or a restart marker.
    fn walk_scan(&mut self) -> Option<()> {
        let coded = self.buffer.get(self.walked..)?;
        let end = coded.windows(2).position(|pair| {
            pair[0] == 0xff && pair[1] != 0 && pair[1] != 0xff && !BARE.contains(&pair[1])
        });
        self.walked += end.unwrap_or(coded.len().saturating_sub(1));
        if self.walked - self.begin <= LARGEST {
            end?;
        }
        self.state = State::Marker;
        Some(())
    }

    /// Looks for another file from where the present one turned out to be broken.
    fn give_up(&mut self) -> BrokenFile {
        self.begin = self.walked;
        self.state = State::Between;
        BrokenFile
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    type Found = Vec<Result<Vec<u8>, BrokenFile>>;

    fn file(grey: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = RgbImage::from_fn(24, 16, |x, y| Rgb([grey, (x * 10) as u8, (y * 9) as u8]));
        JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
        bytes
    }

    /// With a thumbnail in its metadata, which is a whole file itself.
    fn file_with_thumbnail(grey: u8) -> Vec<u8> {
        let (whole, thumbnail) = (file(grey), file(1));
        let mut bytes = whole[..2].to_vec();
        bytes.extend([0xff, 0xe1]);
        bytes.extend((thumbnail.len() as u16 + 2).to_be_bytes());
        bytes.extend(thumbnail);
        bytes.extend(&whole[2..]);
        bytes
    }

    /// What comes out, and whether the stream ends within a file.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Found, bool) {
        let mut splitter = MjpegSplitter::default();
        let mut found = Vec::new();
        for bytes in pieces {
            splitter.push(bytes);
            found.extend(std::iter::from_fn(|| splitter.next_file()));
        }
        (found, splitter.is_within_file())
    }

    #[test]
    fn files_come_out_as_they_went_in_however_the_stream_is_cut() {
        let files = [file(10), file_with_thumbnail(90), file(200)];
        let mut stream = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n".to_vec();
        for file in &files {
            stream.extend(file);
            stream.extend(b"\r\n--frame\r\n\r\n");
        }
        let whole: Found = files.into_iter().map(Ok).collect();
        for size in [1, 2, 3, 7, 1000, stream.len()] {
            let found = split(stream.chunks(size));
            assert_eq!(found, (whole.clone(), false), "pieces of {size}");
        }
    }

    #[test]
    fn half_a_file_costs_what_its_last_segment_spans_at_most() {
        let (first, second) = (file(10), file(200));
        let spanned = (1 << 16) / second.len() + 2;
        for cut in 2..first.len() - 2 {
            let stream = [first[..cut].to_vec(), second.repeat(spanned + 3)].concat();
            let (found, within) = split([stream.as_slice()]);
            let whole = found
                .iter()
                .filter(|found| found.as_ref() == Ok(&second))
                .count();
            assert!(whole >= 3 && !within, "cut at {cut}: {whole}");
            // Its head may come out with the pixels of the next: whether they fit, decoding shows.
            assert!(found.len() <= spanned + 4);
        }
    }

    #[test]
    fn half_a_file_at_the_end_is_known() {
        let whole = file(10);
        assert_eq!(split([&whole[..whole.len() - 1]]), (vec![], true));
    }

    #[test]
    fn an_endless_file_is_given_up() {
        let whole = file(10);
        let mut stream = whole[..whole.len() - 40].to_vec();
        stream.resize(LARGEST + (1 << 20), 0x55);
        stream.extend(&whole);
        for size in [1 << 16, stream.len()] {
            let (found, _) = split(stream.chunks(size));
            assert_eq!(found, [Err(BrokenFile), Ok(whole.clone())]);
        }
    }

    #[test]
    fn no_more_is_kept_than_the_largest_file() {
        // Segment after segment.
        let piece = [0xff, 0xe1, 0xff, 0xfe].repeat(1 << 14);
        let mut splitter = MjpegSplitter::default();
        splitter.push(&[0xff, START]);
        for _ in 0..3 * LARGEST / piece.len() {
            splitter.push(&piece);
            while splitter.next_file().is_some() {}
            assert!(splitter.buffer.len() <= LARGEST + 2 * piece.len());
        }
    }

    fn noise() -> impl Strategy<Value = Vec<u8>> {
        let markers = prop_oneof![
            Just(0xffu8),
            Just(START),
            Just(SCAN),
            Just(END),
            Just(0),
            Just(2)
        ];
        proptest::collection::vec(prop_oneof![markers, any::<u8>()], 0..400)
    }

    proptest! {
        #[test]
        fn garbage_hides_no_later_file(noise in noise()) {
            // What looks like a segment may reach over what follows, but not over so many bytes.
            let stream = [noise, vec![0; 1 << 16], file(10), file(20)].concat();
            let (found, _) = split([stream.as_slice()]);
            prop_assert_eq!(found.last(), Some(&Ok(file(20))));
        }

        #[test]
        fn any_cuts_give_the_same(noise in noise(), sizes in proptest::collection::vec(1usize..50, 1..20)) {
            let stream = [noise.clone(), file_with_thumbnail(10), noise].concat();
            let mut rest = stream.as_slice();
            let pieces = sizes.iter().cycle().map_while(|&size| {
                let (piece, tail) = rest.split_at(size.min(rest.len()));
                rest = tail;
                (!piece.is_empty()).then_some(piece)
            });
            prop_assert_eq!(split(pieces), split([stream.as_slice()]));
        }
    }
}
