//! Parts of a `multipart/x-mixed-replace` body (RFC 2046, 5.1), as network cameras send their pictures.

use super::mjpeg::LARGEST;

/// The headers of a part are no longer, in bytes.
const LONGEST_HEAD: usize = 8 << 10;

/// Splits a body into the contents of its parts.
///
/// A `Content-Length` counts; without one a part ends at the next boundary. Parts that are no pictures are
/// passed over, as is what stands between parts.
#[derive(Debug)]
pub struct MultipartSplitter {
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    /// What is before it is done with.
    begin: usize,
    /// Up to here there is no delimiter.
    searched: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Between,
    Head,
    Body(Body),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Body {
    length: Option<usize>,
    is_other: bool,
}

/// A part with an endless head, or larger than any camera's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part beyond all bounds")]
pub struct BrokenPart;

impl MultipartSplitter {
    /// For a body with this boundary; `None` if there is nothing in it to tell parts by.
    ///
    /// Cameras disagree on whether the boundary begins with the dashes that precede it in the body.
    pub fn new(boundary: &str) -> Option<Self> {
        let name = boundary.trim_matches('"').trim_start_matches('-');
        (!name.is_empty()).then(|| MultipartSplitter {
            delimiter: format!("--{name}").into_bytes(),
            buffer: Vec::new(),
            begin: 0,
            searched: 0,
            state: State::Between,
        })
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.begin);
        self.searched -= self.begin;
        self.begin = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The content of the next part; `None` until more bytes come.
    ///
    /// # Errors
    /// For a broken part, after which the body goes on.
    pub fn next_part(&mut self) -> Option<Result<Vec<u8>, BrokenPart>> {
        loop {
            match self.state {
                State::Between => self.find_head()?,
                State::Head => {
                    if let Err(broken) = self.read_head()? {
                        return Some(Err(broken));
                    }
                }
                State::Body(body) => {
                    let part = self.read_body(body)?;
                    if part.as_ref().is_ok_and(|part| part.is_empty()) || body.is_other {
                        continue;
                    }
                    return Some(part);
                }
            }
        }
    }

    /// Whether the body, if it ends here, ends within a part.
    pub fn is_within_part(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    fn find_head(&mut self) -> Option<()> {
        let found = self.find_delimiter();
        self.begin = self.searched;
        found?;
        self.pass(self.delimiter.len(), State::Head);
        Some(())
    }

    fn read_head(&mut self) -> Option<Result<(), BrokenPart>> {
        let rest = &self.buffer[self.begin..];
        let looked_at = &rest[..rest.len().min(LONGEST_HEAD)];
        // After the last part.
        if looked_at.starts_with(b"--") {
            self.pass(0, State::Between);
            return Some(Ok(()));
        }
        let Some(length) = head_length(looked_at) else {
            if looked_at.len() < LONGEST_HEAD {
                return None;
            }
            self.pass(0, State::Between);
            return Some(Err(BrokenPart));
        };
        let body = parse_head(&looked_at[..length]);
        self.pass(length, State::Body(body));
        Some(Ok(()))
    }

    fn read_body(&mut self, body: Body) -> Option<Result<Vec<u8>, BrokenPart>> {
        if let Some(length) = body.length {
            if length > LARGEST {
                self.pass(0, State::Between);
                return Some(Err(BrokenPart));
            }
            let part = self.buffer.get(self.begin..self.begin + length)?.to_vec();
            self.pass(length, State::Between);
            return Some(Ok(part));
        }
        let found = self.find_delimiter();
        let length = self.searched - self.begin;
        if length > LARGEST {
            self.pass(length, State::Between);
            return Some(Err(BrokenPart));
        }
        found?;
        let part = &self.buffer[self.begin..self.searched];
        let part = without_line_end(part).to_vec();
        self.pass(length, State::Between);
        Some(Ok(part))
    }

    /// Searches on, up to the next delimiter.
    fn find_delimiter(&mut self) -> Option<()> {
        let rest = &self.buffer[self.searched..];
        let found = rest
            .windows(self.delimiter.len())
            .position(|bytes| bytes == self.delimiter);
        // The last bytes may be the first of a delimiter.
        let passed = rest.len().saturating_sub(self.delimiter.len() - 1);
        self.searched += found.unwrap_or(passed);
        found.map(|_| ())
    }

    fn pass(&mut self, length: usize, state: State) {
        self.begin += length;
        self.searched = self.begin;
        self.state = state;
    }
}

/// Bytes up to the empty line, which is included.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let ends = [&b"\n\r\n"[..], b"\n\n"].map(|end| {
        let found = bytes.windows(end.len()).position(|bytes| bytes == end);
        found.map(|at| at + end.len())
    });
    ends.into_iter().flatten().min()
}

fn parse_head(head: &[u8]) -> Body {
    let head = String::from_utf8_lossy(head);
    let mut body = Body::default();
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.trim().eq_ignore_ascii_case("content-length") {
            body.length = value.parse().ok();
        } else if name.trim().eq_ignore_ascii_case("content-type") {
            let kind = value.get(.."image/".len()).unwrap_or_default();
            body.is_other = !kind.eq_ignore_ascii_case("image/");
        }
    }
    body
}

/// Without the line end that belongs to the delimiter, and further dashes of the latter.
fn without_line_end(mut part: &[u8]) -> &[u8] {
    while let [rest @ .., b'-'] = part {
        part = rest;
    }
    part.strip_suffix(b"\r\n")
        .or(part.strip_suffix(b"\n"))
        .unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Found = Vec<Result<Vec<u8>, BrokenPart>>;

    fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Found, bool) {
        let mut splitter = MultipartSplitter::new("frame").unwrap();
        let mut found = Vec::new();
        for bytes in pieces {
            splitter.push(bytes);
            found.extend(std::iter::from_fn(|| splitter.next_part()));
        }
        (found, splitter.is_within_part())
    }

    /// With the same content in every way in which cameras send it, which holds a boundary where a length allows it.
    const BODY: &[u8] = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\nA--frame\n\
        \r\n--frame\r\n\r\nB\r\n\
        \r\n--frame\r\ncontent-type: IMAGE/JPEG\r\n\r\nC\n--frame\n\nD\
        \r\n--frame\r\nContent-Type: text/plain\r\n\r\nno picture\r\n--frame\r\nContent-Length: 0\r\n\r\n\
        \r\n--frame\r\nContent-Length: 1\r\n\r\nE\r\n--frame--\r\nbetween\r\n--frame\r\n\r\nF";

    #[test]
    fn parts_come_out_however_they_are_told_apart() {
        let (found, within) = split([BODY]);
        let parts: Vec<_> = found.into_iter().map(Result::unwrap).collect();
        assert_eq!(parts, [&b"A--frame\n"[..], b"B\r\n", b"C", b"D", b"E"]);
        assert!(within);
    }

    #[test]
    fn dashes_and_quotes_of_the_boundary_do_not_matter() {
        for (boundary, body) in [
            ("\"x\"", "--x\r\n\r\nA\r\n--x\r\n"),
            ("--x", "--x\r\n\r\nA\r\n--x\r\n"),
            ("--x", "----x\r\n\r\nA\r\n----x\r\n"),
        ] {
            let mut splitter = MultipartSplitter::new(boundary).unwrap();
            splitter.push(body.as_bytes());
            assert_eq!(splitter.next_part(), Some(Ok(b"A".to_vec())), "{boundary}");
        }
        assert!(MultipartSplitter::new("\"--\"").is_none());
    }

    #[test]
    fn what_is_beyond_all_bounds_is_given_up() {
        let head = [b"--frame\r\n".as_slice(), &[b'a'; LONGEST_HEAD]].concat();
        let length = format!("--frame\r\nContent-Length: {}\r\n\r\nlittle", LARGEST + 1);
        let body = [&b"--frame\r\n\r\n"[..], &vec![0; LARGEST + 100]].concat();
        for bad in [head, length.into_bytes(), body] {
            let stream = [&bad, &b"\r\n--frame\r\n\r\nA\r\n--frame"[..]].concat();
            for size in [1 << 16, stream.len()] {
                let (found, _) = split(stream.chunks(size));
                assert_eq!(found, [Err(BrokenPart), Ok(b"A".to_vec())]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_cuts_give_the_same(
            noise in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'-'), any::<u8>()], 0..200),
            from in 0..BODY.len(),
            sizes in proptest::collection::vec(1usize..40, 1..20),
        ) {
            let stream = [&BODY[from..], &noise, BODY].concat();
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
