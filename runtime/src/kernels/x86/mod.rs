//! Kernels for x86-64.
#![allow(unsafe_code)]

pub mod avx2;
pub mod columns;
pub mod peak;
pub mod planes;
pub mod vectors;
pub mod vnni;

use super::convolution::Convolution;
use super::geometry::Window;

/// The places of the `N` output pixels from `first` on.
#[inline(always)]
fn places<const N: usize>(task: &Convolution, first: usize) -> [[usize; 2]; N] {
    let mut place = task.place(first);
    let mut places = [place; N];
    for next in &mut places[1..] {
        place[1] += 1;
        if place[1] == task.output.width && !task.is_pointwise() {
            place = [place[0] + 1, 0];
        }
        *next = place;
    }
    places
}

/// Where the pixels of a convolution's input are that `tap` of the output pixels at `places` looks at.
///
/// # Safety
/// `input` must point to a whole map of the task's input shape, and the output pixels must exist.
#[inline(always)]
unsafe fn pixels<const N: usize>(
    task: &Convolution,
    input: *const i8,
    places: [[usize; 2]; N],
    tap: usize,
) -> [*const i8; N] {
    let mut pixels = [input; N];
    for (pixel, place) in pixels.iter_mut().zip(places) {
        let offset = task.pixel(place, tap);
        // SAFETY: an offset is that of a pixel inside the map.
        *pixel = offset.map_or(task.blank.as_ptr(), |offset| unsafe { input.add(offset) });
    }
    pixels
}

/// Whether the windows of all output pixels at `places` are inside the map, as far as its width goes.
#[inline(always)]
fn are_inside<const N: usize>(task: &Convolution, places: [[usize; 2]; N]) -> bool {
    let Window {
        kernel,
        stride,
        padding,
        ..
    } = task.window;
    places.into_iter().all(|[_, column]| {
        let first = column * stride[1];
        first >= padding[1] && first + kernel[1] <= task.input.width + padding[1]
    })
}
