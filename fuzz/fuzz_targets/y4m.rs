//! Whatever bytes come, and however they are cut, the same pictures come out, and every one can be shown. The first
//! byte is the size of a piece.

#![no_main]

use graphtag_runtime::frame::{Picture, Yuv};
use graphtag_runtime::source::y4m::{Y4mError, Y4mParser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&size, stream)) = data.split_first() else {
        return;
    };
    let whole = split([stream]);
    assert_eq!(whole, split(stream.chunks(usize::from(size).max(1))));
    let bytes: usize = whole.0.iter().map(|picture| picture.bytes.len()).sum();
    assert!(bytes <= stream.len());
    for picture in whole.0 {
        Picture::Yuv(picture).decode().expect("a picture");
    }
});

fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Yuv>, Result<bool, Y4mError>) {
    let mut parser = Y4mParser::default();
    let mut pictures = Vec::new();
    for piece in pieces {
        parser.push(piece);
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
