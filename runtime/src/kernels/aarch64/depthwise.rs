//! Depthwise convolutions: 16 channels at once, two products in 16 bits, then added to 32.

use std::arch::aarch64::*;
use std::ops::Range;

use super::finish::{Finish, bias};
use super::products::{smlal2, smull2};
use crate::kernels::depthwise::Depthwise;
use crate::kernels::geometry::LANES;

pub fn depthwise(task: &Depthwise, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let window = &task.window;
    let row = match (window.kernel, window.stride[1], window.dilation[1]) {
        _ if !task.products_pair => any_row,
        ([3, 3], 1, 1) => row::<3, 1, 4, 6>,
        ([3, 3], 2, 1) => row::<3, 2, 4, 9>,
        ([5, 5], 1, 1) => row::<5, 1, 4, 8>,
        ([5, 5], 2, 1) => row::<5, 2, 4, 11>,
        _ => any_row,
    };
    // Channels in the outer loop, so that their weights stay in the cache.
    for channel in (0..task.output.pixel).step_by(LANES) {
        let lines = output.chunks_exact_mut(task.output.row());
        for (line, index) in lines.zip(rows.clone()) {
            // SAFETY: every aarch64 has the instruction set; `Depthwise::run` has checked the lengths of the
            // slices.
            unsafe { row(task, input.as_ptr(), line.as_mut_ptr(), [index, channel]) }
        }
    }
}

/// 16 channels of neighbouring columns.
#[derive(Clone, Copy)]
pub struct Line {
    start: *const i8,
    /// Bytes from one column to the next.
    step: usize,
}

impl Line {
    /// The row of the input, or of the padding above and below it, that tap `vertical` of output row `row` looks
    /// at, from `channel` on.
    ///
    /// # Safety
    /// `input` must point to a whole map of the task's input shape; the channel must exist.
    #[inline(always)]
    pub unsafe fn new(
        task: &Depthwise,
        input: *const i8,
        [row, channel]: [usize; 2],
        vertical: usize,
    ) -> Self {
        match task.window.input(0, row, vertical, task.input.height) {
            Some(row) => Line {
                // SAFETY: the caller's.
                start: unsafe { input.add(row * task.input.row() + channel) },
                step: task.input.pixel,
            },
            None => Line {
                start: task.blank[channel..].as_ptr(),
                step: 0,
            },
        }
    }

    /// Its columns from `column` on.
    #[inline(always)]
    pub fn from(self, column: usize) -> Self {
        Line {
            start: self.start.wrapping_add(column * self.step),
            ..self
        }
    }

    /// The bytes in column `column`.
    ///
    /// # Safety
    /// The line must have it.
    #[inline(always)]
    pub unsafe fn load(self, column: usize) -> int8x16_t {
        // SAFETY: the caller's.
        unsafe { vld1q_s8(self.from(column).start) }
    }

    /// The columns from `column` on, a number that wraps in the padding before the map, put together in `copy`.
    ///
    /// # Safety
    /// The line must be as wide as the task's input map; the channel must exist.
    #[inline(never)]
    pub unsafe fn padded<const C: usize>(
        self,
        task: &Depthwise,
        channel: usize,
        column: usize,
        copy: &mut [int8x16_t; C],
    ) -> Self {
        // SAFETY: the blank holds the channels.
        copy.fill(unsafe { vld1q_s8(task.blank[channel..].as_ptr()) });
        let [first, before] = match column < task.input.width {
            true => [column, 0],
            false => [0, column.wrapping_neg()],
        };
        let inside = copy.iter_mut().skip(before);
        for (copy, column) in inside.zip(first..task.input.width) {
            // SAFETY: the line has the column.
            *copy = unsafe { self.load(column) };
        }
        Line {
            start: copy.as_ptr().cast(),
            step: LANES,
        }
    }
}

/// A row of outputs in 16 channels of a window of `K` rows and columns and stride `S`: `O` neighbours at once, which
/// look at `C` columns in all.
#[target_feature(enable = "neon")]
unsafe fn row<const K: usize, const S: usize, const O: usize, const C: usize>(
    task: &Depthwise,
    input: *const i8,
    output: *mut i8,
    place: [usize; 2],
) {
    let [_, channel] = place;
    let [pixel, width] = [task.output.pixel, task.output.width];
    let finish = Finish::new(&task.requantization, pixel);
    // SAFETY: the caller's; there are weights and biases for every block of channels.
    unsafe {
        let bias = bias(&task.bias, channel);
        let mut copies = [[vdupq_n_s8(0); C]; K];
        let mut lines = [Line::new(task, input, place, 0); K];
        for (vertical, line) in lines.iter_mut().enumerate() {
            *line = Line::new(task, input, place, vertical);
        }
        for first in (0..width).step_by(O) {
            let column = (first * S).wrapping_sub(task.window.padding[1]);
            let mut parts = lines;
            for (line, copy) in parts.iter_mut().zip(&mut copies) {
                *line = if column < task.input.width && column + C <= task.input.width {
                    line.from(column)
                } else {
                    line.padded(task, channel, column, copy)
                };
            }
            let mut sums = [bias; O];
            for vertical in (0..K - 1).step_by(2) {
                let weights = [vertical, vertical + 1].map(|row| weights(task, channel, row));
                let lines = [parts[vertical], parts[vertical + 1]];
                sums = add_rows::<K, S, O, C>(sums, lines, weights);
            }
            sums = add_row::<K, S, O, C>(sums, parts[K - 1], weights(task, channel, K - 1));
            let output = output.add(first * pixel);
            if first + O <= width {
                finish.store(sums, channel, output);
            } else {
                for (index, &sums) in sums[..width - first].iter().enumerate() {
                    finish.store([sums], channel, output.add(index * pixel));
                }
            }
        }
    }
}

/// `$body` for every column below `$count`, which is at most 11. Of a loop over so many, the compiler would keep the
/// sums in memory.
macro_rules! unrolled {
    ($column:ident, $count:expr, $body:block) => {
        unrolled!(@ $column, $count, $body, 0 1 2 3 4 5 6 7 8 9 10)
    };
    (@ $column:ident, $count:expr, $body:block, $($index:literal)*) => {
        $(
            if $index < $count {
                let $column = $index;
                $body
            }
        )*
    };
}

pub(super) use unrolled;

/// Adds the products of two kernel rows, those of a column in pairs.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn add_rows<const W: usize, const S: usize, const O: usize, const C: usize>(
    mut sums: [[int32x4_t; 4]; O],
    [upper, lower]: [Line; 2],
    [weights, lower_weights]: [[int8x16_t; W]; 2],
) -> [[int32x4_t; 4]; O] {
    unrolled!(column, C, {
        // SAFETY: the lines have `C` columns.
        let values = unsafe { [upper.load(column), lower.load(column)] };
        for tap in 0..W {
            if let Some(sums) = seen::<S>(&mut sums, column, tap) {
                *sums = add_pair(*sums, values, [weights[tap], lower_weights[tap]]);
            }
        }
    });
    sums
}

/// Adds the products of a kernel row that has no other to pair with: columns are paired, the last one is alone.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn add_row<const W: usize, const S: usize, const O: usize, const C: usize>(
    mut sums: [[int32x4_t; 4]; O],
    line: Line,
    weights: [int8x16_t; W],
) -> [[int32x4_t; 4]; O] {
    let mut values = [vdupq_n_s8(0); C];
    unrolled!(column, C, {
        // SAFETY: the line has `C` columns.
        values[column] = unsafe { line.load(column) };
        for tap in (1..W).step_by(2) {
            if let Some(sums) = seen::<S>(&mut sums, column, tap) {
                let values = [values[column.saturating_sub(1)], values[column]];
                *sums = add_pair(*sums, values, [weights[tap - 1], weights[tap]]);
            }
        }
        if let Some(sums) = seen::<S>(&mut sums, column, W - 1) {
            *sums = add_one(*sums, values[column], weights[W - 1]);
        }
    });
    sums
}

/// The sums of the output that looks at column `column` by its tap `tap`.
#[inline(always)]
fn seen<const S: usize>(
    sums: &mut [[int32x4_t; 4]],
    column: usize,
    tap: usize,
) -> Option<&mut [int32x4_t; 4]> {
    let from = column.checked_sub(tap)?;
    if from % S == 0 {
        sums.get_mut(from / S)
    } else {
        None
    }
}

/// The weights of the 16 channels from `channel` on in row `vertical` of the kernel.
///
/// # Safety
/// The channels and the row must exist; a row must have `W` taps.
#[inline(always)]
unsafe fn weights<const W: usize>(
    task: &Depthwise,
    channel: usize,
    vertical: usize,
) -> [int8x16_t; W] {
    let first = channel * task.window.taps() + vertical * W * LANES;
    // SAFETY: the caller's.
    unsafe {
        let mut weights = [vdupq_n_s8(0); W];
        for (tap, weights) in weights.iter_mut().enumerate() {
            *weights = vld1q_s8(task.weights.as_ptr().add(first + tap * LANES));
        }
        weights
    }
}

/// Adds two products to each of 16 sums; they must fit into 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn add_pair(
    sums: [int32x4_t; 4],
    [value, next_value]: [int8x16_t; 2],
    [weight, next_weight]: [int8x16_t; 2],
) -> [int32x4_t; 4] {
    let low = vmull_s8(vget_low_s8(value), vget_low_s8(weight));
    let low = vmlal_s8(low, vget_low_s8(next_value), vget_low_s8(next_weight));
    let high = smlal2(smull2(value, weight), next_value, next_weight);
    add_products(sums, [low, high])
}

/// Adds a product to each of 16 sums.
#[inline]
#[target_feature(enable = "neon")]
pub fn add_one(sums: [int32x4_t; 4], value: int8x16_t, weight: int8x16_t) -> [int32x4_t; 4] {
    let low = vmull_s8(vget_low_s8(value), vget_low_s8(weight));
    add_products(sums, [low, smull2(value, weight)])
}

#[inline]
#[target_feature(enable = "neon")]
fn add_products(sums: [int32x4_t; 4], [low, high]: [int16x8_t; 2]) -> [int32x4_t; 4] {
    [
        vaddw_s16(sums[0], vget_low_s16(low)),
        vaddw_high_s16(sums[1], low),
        vaddw_s16(sums[2], vget_low_s16(high)),
        vaddw_high_s16(sums[3], high),
    ]
}

/// A row of outputs in 16 channels of any window and any weights.
#[target_feature(enable = "neon")]
unsafe fn any_row(task: &Depthwise, input: *const i8, output: *mut i8, place: [usize; 2]) {
    let [_, channel] = place;
    let finish = Finish::new(&task.requantization, task.output.pixel);
    let window = &task.window;
    for output_column in 0..task.output.width {
        // SAFETY: the caller's; there are weights and biases for every block of channels.
        unsafe {
            let mut sums = bias(&task.bias, channel);
            for vertical in 0..window.kernel[0] {
                let line = Line::new(task, input, place, vertical);
                for horizontal in 0..window.kernel[1] {
                    let column = window.input(1, output_column, horizontal, task.input.width);
                    let value = match column {
                        Some(column) => line.load(column),
                        None => vld1q_s8(task.blank[channel..].as_ptr()),
                    };
                    let tap = vertical * window.kernel[1] + horizontal;
                    let weights = task.weights[channel * window.taps() + tap * LANES..].as_ptr();
                    sums = add_one(sums, value, vld1q_s8(weights));
                }
            }
            finish.store(
                [sums],
                channel,
                output.add(output_column * task.output.pixel),
            );
        }
    }
}
