//! Whatever bytes come, and however they are cut, the same JPEG files come out. The first byte is the size of a piece.

#![no_main]

use graphtag_runtime::source::mjpeg::{BrokenFile, MjpegSplitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&size, stream)) = data.split_first() else {
        return;
    };
    let whole = split([stream]);
    assert_eq!(whole, split(stream.chunks(usize::from(size).max(1))));
    let bytes: usize = whole.0.iter().flatten().map(Vec::len).sum();
    assert!(bytes <= stream.len());
});

fn split<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Result<Vec<u8>, BrokenFile>>, bool) {
    let mut splitter = MjpegSplitter::default();
    let mut files = Vec::new();
    for piece in pieces {
        splitter.push(piece);
        files.extend(std::iter::from_fn(|| splitter.next_file()));
    }
    (files, splitter.is_within_file())
}
