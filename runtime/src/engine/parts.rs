//! How a step is shared between threads.

use std::ops::Range;

use rayon::prelude::*;

/// Calls `run` for up to `threads` ranges of the `count` equal parts of `output`, each with those parts. More than one
/// thread are those of the pool that the caller runs on.
pub(super) fn in_parts<T: Send>(
    output: &mut [T],
    count: usize,
    threads: usize,
    run: impl Fn(Range<usize>, &mut [T]) + Sync,
) {
    if threads < 2 || count < 2 {
        return run(0..count, output);
    }
    let size = count.div_ceil(threads);
    let parts = output.par_chunks_mut(size * (output.len() / count));
    parts.enumerate().for_each(|(index, output)| {
        let start = index * size;
        run(start..(start + size).min(count), output);
    });
}
