//! Whatever bytes come, and however they are cut, the same parts come out. The first byte is the size of a piece.

#![no_main]

use graphtag_runtime::source::multipart::{BrokenPart, MultipartSplitter};
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
) -> (Vec<Result<Vec<u8>, BrokenPart>>, bool) {
    let mut splitter = MultipartSplitter::new("x").expect("a boundary");
    let mut parts = Vec::new();
    for piece in pieces {
        splitter.push(piece);
        parts.extend(std::iter::from_fn(|| splitter.next_part()));
    }
    (parts, splitter.is_within_part())
}
