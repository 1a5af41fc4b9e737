//! Kernels for x86-64.
#![allow(unsafe_code)]

pub mod avx2;
pub mod columns;
pub mod vnni;

use super::convolution::Convolution;

/// Where the pixels of a convolution's input are that `tap` of the `N` output pixels from `first` on looks at.
///
/// # Safety
/// `input` must point to a whole map of the task's input shape, and the output pixels must exist.
#[inline(always)]
unsafe fn pixels<const N: usize>(
    task: &Convolution,
    input: *const i8,
    first: usize,
    tap: usize,
) -> [*const i8; N] {
    let mut pixels = [input; N];
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let offset = task.pixel(first + index, tap);
        // SAFETY: an offset is that of a pixel inside the map.
        *pixel = offset.map_or(task.blank.as_ptr(), |offset| unsafe { input.add(offset) });
    }
    pixels
}

/// `count` split into parts of at most `most` that differ by one at the most; calls `part` with start and size.
#[inline(always)]
fn evenly(mut start: usize, end: usize, most: usize, mut part: impl FnMut(usize, usize)) {
    while start < end {
        let left = end - start;
        let size = left.div_ceil(left.div_ceil(most));
        part(start, size);
        start += size;
    }
}
