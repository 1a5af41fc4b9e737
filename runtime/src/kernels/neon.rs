//! What the kernels for ARM have in common: the way of dense convolutions over pixels and taps.
#![allow(unsafe_code)]

use std::ops::Range;

use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::{DEPTH, LANES, Window, evenly};

/// Computes all channels of the output pixels that the windows look at, from a residual map, if there is one,
/// into the place of the first of them.
pub type Tile = unsafe fn(&mut Windows, &[i8], *mut i8);

/// Output pixels of the largest tile of all instruction sets.
const PIXELS: usize = 6;

/// As many runs are looked up at once.
const RUNS: usize = 16;

/// Computes the output pixels of `range` by `tiles`, the first of which takes one pixel, the next two, and so on.
///
/// # Safety
/// The tiles' instruction set must be there, and the slices as long as [`Convolution::run`] wants them.
pub unsafe fn by_tiles(
    tiles: &[Tile],
    task: &Convolution,
    [input, residual]: [&[i8]; 2],
    output: &mut [i8],
    range: Range<usize>,
) {
    let mut windows = Windows::new(task, input);
    evenly(range.start, range.end, tiles.len(), |first, count| {
        let output = &mut output[(first - range.start) * task.output.pixel..];
        windows.look_at(first, count);
        // SAFETY: the caller's; the pixels from `first` on are of `range`.
        unsafe { tiles[count - 1](&mut windows, residual, output.as_mut_ptr()) }
    });
}

/// Taps that are neighbours in the input and among the weights: what `P` output pixels read there.
pub struct Run<const P: usize> {
    /// The bytes that each pixel reads.
    pub values: [*const i8; P],
    /// \[steps\]\[LANES\]\[DEPTH\] weights of a block of channels.
    pub weights: *const i8,
    /// Number of steps of [`DEPTH`] bytes.
    pub steps: usize,
}

/// Where neighbouring output pixels look.
pub struct Windows<'a> {
    pub task: &'a Convolution,
    input: &'a [i8],
    is_pointwise: bool,
    has_contiguous_rows: bool,
    /// Number of the first of the output pixels.
    pub first: usize,
    /// Row and column of the first tap of each; those in the padding before the map wrap.
    corners: [[usize; 2]; PIXELS],
    /// Number of the output pixels.
    count: usize,
    /// Taps that are taken as one run.
    merged: usize,
    /// Number of runs.
    pub runs: usize,
    /// The first of the runs that are looked up.
    known: usize,
    values: [[*const i8; PIXELS]; RUNS],
}

impl<'a> Windows<'a> {
    fn new(task: &'a Convolution, input: &'a [i8]) -> Self {
        Windows {
            task,
            input,
            is_pointwise: task.is_pointwise(),
            has_contiguous_rows: task.has_contiguous_rows(),
            first: 0,
            corners: [[0; 2]; PIXELS],
            count: 0,
            merged: 1,
            runs: 1,
            known: 0,
            values: [[input.as_ptr(); PIXELS]; RUNS],
        }
    }

    /// Moves on to the `count` output pixels from `first` on.
    fn look_at(&mut self, first: usize, count: usize) {
        let task = self.task;
        self.first = first;
        self.count = count;
        if self.is_pointwise {
            let pixels = self.input[first * task.input.pixel..].chunks_exact(task.input.pixel);
            for (values, pixel) in self.values[0][..count].iter_mut().zip(pixels) {
                *values = pixel.as_ptr();
            }
            return;
        }
        let [mut row, mut column] = task.place(first);
        let Window {
            stride, padding, ..
        } = task.window;
        for corner in &mut self.corners[..count] {
            *corner = [
                (row * stride[0]).wrapping_sub(padding[0]),
                (column * stride[1]).wrapping_sub(padding[1]),
            ];
            column += 1;
            if column == task.output.width {
                [row, column] = [row + 1, 0];
            }
        }
        let are_inside = || {
            let [width, taps] = [task.input.width, task.window.kernel[1]];
            let mut columns = self.corners[..count].iter().map(|[_, column]| *column);
            columns.all(|column| column < width && column + taps <= width)
        };
        let is_merged = self.has_contiguous_rows && are_inside();
        self.merged = if is_merged { task.window.kernel[1] } else { 1 };
        self.runs = task.window.taps() / self.merged;
        self.look_up(0);
    }

    /// Finds what the output pixels read in the [`RUNS`] runs from `known` on.
    fn look_up(&mut self, known: usize) {
        let Convolution { window, input, .. } = self.task;
        self.known = known;
        for (index, values) in self.values.iter_mut().enumerate() {
            let tap = (known + index) * self.merged;
            if tap >= window.taps() {
                break;
            }
            let row = tap / window.kernel[1] * window.dilation[0];
            let column = tap % window.kernel[1] * window.dilation[1];
            for (values, corner) in values.iter_mut().zip(&self.corners[..self.count]) {
                let [row, column] = [corner[0].wrapping_add(row), corner[1].wrapping_add(column)];
                *values = if row < input.height && column < input.width {
                    let start = row * input.row() + column * input.pixel;
                    self.input[start..].as_ptr()
                } else {
                    self.task.blank.as_ptr()
                };
            }
        }
    }

    /// Run `index` into the sums of the channels of `block`, for the first `P` output pixels.
    #[inline(always)]
    pub fn run<const P: usize>(&mut self, block: usize, index: usize) -> Run<P> {
        let known = index / RUNS * RUNS;
        if known != self.known {
            self.look_up(known);
        }
        let steps = self.task.steps();
        let first = (block * self.task.window.taps() + index * self.merged) * steps;
        let mut values = [self.input.as_ptr(); P];
        values.copy_from_slice(&self.values[index % RUNS][..P]);
        Run {
            values,
            weights: self.task.weights[first * LANES * DEPTH..].as_ptr(),
            steps: self.merged * steps,
        }
    }
}

/// Whether two products of `weights` and any bytes always fit into 16 bits: 2 * 128 * 127 does, 2 * 128 * 128
/// does not.
pub fn products_pair(weights: &[i8]) -> bool {
    !weights.contains(&i8::MIN)
}
