//! Cores with dot products: `SDOT` multiplies four pairs of bytes and adds them to each of four sums.

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::depthwise::{Line, add_one, unrolled};
use super::finish::{Finish, bias};
use crate::kernels::convolution::Convolution;
use crate::kernels::depthwise::Depthwise;
use crate::kernels::geometry::{DEPTH, LANES};
use crate::kernels::neon::{Run, Tile, Windows, by_tiles};

/// The largest tile fills 24 of 32 registers with sums.
const TILES: [Tile; 6] = [
    tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>,
];

pub fn convolution(
    task: &Convolution,
    input: &[i8],
    residual: &[i8],
    output: &mut [i8],
    range: Range<usize>,
) {
    // SAFETY: the instruction set was detected; `Convolution::run` has checked the lengths of the slices.
    unsafe { by_tiles(&TILES, task, [input, residual], output, range) }
}

#[target_feature(enable = "neon,dotprod")]
pub unsafe fn tile<const P: usize>(windows: &mut Windows, residual: &[i8], output: *mut i8) {
    let task = windows.task;
    let finish = Finish::new(&task.requantization, task.output.pixel);
    // SAFETY: the caller's; there are as many runs, and biases for every block.
    unsafe {
        for channel in (0..task.output.pixel).step_by(LANES) {
            let mut sums = [bias(&task.bias, channel); P];
            for index in 0..windows.runs {
                sums = accumulate(sums, windows.run(channel / LANES, index));
            }
            finish.store(sums, channel, output);
        }
        if let Some(addition) = &task.residual {
            finish.add(
                addition,
                &residual[windows.first * task.output.pixel..],
                output,
                P,
            );
        }
    }
}

/// Adds the products of a run.
///
/// # Safety
/// Each pointer of the run must be to as many bytes as its steps call for.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn accumulate<const P: usize>(
    mut sums: [[int32x4_t; 4]; P],
    run: Run<P>,
) -> [[int32x4_t; 4]; P] {
    let Run { values, steps, .. } = run;
    let weights = |step: usize| run.weights.wrapping_add(step * LANES * DEPTH);
    let whole = steps / 4 * 4;
    // SAFETY: the caller's.
    unsafe {
        for step in (0..whole).step_by(4) {
            let mut pixels = [vdupq_n_s8(0); P];
            for (pixel, values) in pixels.iter_mut().zip(values) {
                *pixel = vld1q_s8(values.add(step * DEPTH));
            }
            sums = multiply::<P, 0>(sums, pixels, weights(step));
            sums = multiply::<P, 1>(sums, pixels, weights(step + 1));
            sums = multiply::<P, 2>(sums, pixels, weights(step + 2));
            sums = multiply::<P, 3>(sums, pixels, weights(step + 3));
        }
        let mut step = whole;
        if steps - step >= 2 {
            let mut pixels = [vdupq_n_s8(0); P];
            for (pixel, values) in pixels.iter_mut().zip(values) {
                let eight = vld1_s8(values.add(step * DEPTH));
                *pixel = vcombine_s8(eight, eight);
            }
            sums = multiply::<P, 0>(sums, pixels, weights(step));
            sums = multiply::<P, 1>(sums, pixels, weights(step + 1));
            step += 2;
        }
        if step < steps {
            let mut pixels = [vdupq_n_s8(0); P];
            for (pixel, values) in pixels.iter_mut().zip(values) {
                let four = values.add(step * DEPTH).cast::<i32>().read_unaligned();
                *pixel = vreinterpretq_s8_s32(vsetq_lane_s32::<0>(four, vdupq_n_s32(0)));
            }
            sums = multiply::<P, 0>(sums, pixels, weights(step));
        }
    }
    sums
}

/// Adds the products of one step, which stands in lane `LANE` of `pixels`.
///
/// # Safety
/// `weights` must point to a step's.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn multiply<const P: usize, const LANE: usize>(
    mut sums: [[int32x4_t; 4]; P],
    pixels: [int8x16_t; P],
    weights: *const i8,
) -> [[int32x4_t; 4]; P] {
    for quarter in 0..4 {
        // SAFETY: the caller's.
        let weights = unsafe { vld1q_s8(weights.add(quarter * 16)) };
        for (sums, pixel) in sums.iter_mut().zip(pixels) {
            sums[quarter] = sdot_lane::<LANE>(sums[quarter], weights, pixel);
        }
    }
    sums
}

/// Adds to each of four sums four products: of its own four bytes of `weights` and those in lane `LANE` of
/// `pixel`. The intrinsic is not stable yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot_lane<const LANE: usize>(
    mut sums: int32x4_t,
    weights: int8x16_t,
    pixel: int8x16_t,
) -> int32x4_t {
    // SAFETY: it only computes.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {pixel:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            pixel = in(vreg) pixel,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

pub fn depthwise(task: &Depthwise, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let window = &task.window;
    let block = match (window.kernel, window.stride[1], window.dilation[1]) {
        ([3, 3], 1, 1) => depthwise_block::<3, 1, 3>,
        ([3, 3], 2, 1) => depthwise_block::<3, 2, 2>,
        ([5, 5], 1, 1) => depthwise_block::<5, 1, 5>,
        ([5, 5], 2, 1) => depthwise_block::<5, 2, 3>,
        _ => return super::depthwise::depthwise(task, input, output, rows),
    };
    for channel in (0..task.output.pixel).step_by(LANES) {
        // SAFETY: the instruction set was detected; `Depthwise::run` has checked the lengths of the slices.
        unsafe { block(task, input.as_ptr(), output, rows.clone(), channel) }
    }
}

/// Rows of outputs in the 16 channels from `channel` on, of a window of `K` rows and columns and stride `S`.
/// Columns come one after another; each is in the windows of up to `L` outputs, whose sums are kept.
#[target_feature(enable = "neon,dotprod")]
unsafe fn depthwise_block<const K: usize, const S: usize, const L: usize>(
    task: &Depthwise,
    input: *const i8,
    output: &mut [i8],
    rows: Range<usize>,
    channel: usize,
) {
    let finish = Finish::new(&task.requantization, task.output.pixel);
    let outputs = output.chunks_exact_mut(task.output.row());
    // SAFETY: the caller's; there are weights and biases for every block of channels.
    unsafe {
        let bias = bias(&task.bias, channel);
        let blank = Column::<K>::new([vld1q_s8(task.blank[channel..].as_ptr()); K]);
        let mut weights = [blank; K];
        for (horizontal, weights) in weights.iter_mut().enumerate() {
            *weights = Column::weights(task, channel, horizontal);
        }
        for (row, output) in rows.zip(outputs) {
            let mut lines = [Line::new(task, input, [row, channel], 0); K];
            for (vertical, line) in lines.iter_mut().enumerate() {
                *line = Line::new(task, input, [row, channel], vertical);
            }
            let columns = Columns {
                lines,
                blank,
                padding: task.window.padding[1],
                width: task.input.width,
            };
            // The sums of output n are at n % L.
            let mut sums = [bias; L];
            unrolled!(step, L - 1, {
                columns.next::<S, L>(&mut sums, &weights, step, step);
                sums[(step + 1) % L] = bias;
            });
            let mut pixels = output.chunks_exact_mut(task.output.pixel);
            'row: for start in (L - 1..).step_by(L) {
                unrolled!(index, L, {
                    let Some(pixel) = pixels.next() else {
                        break 'row;
                    };
                    let phase = (L - 1 + index) % L;
                    columns.next::<S, L>(&mut sums, &weights, start + index, phase);
                    finish.store([sums[index]], channel, pixel.as_mut_ptr());
                    sums[index] = bias;
                });
            }
        }
    }
}

/// The columns that a row of outputs looks at.
struct Columns<const K: usize> {
    lines: [Line; K],
    blank: Column<K>,
    /// Blank columns before the first of the map.
    padding: usize,
    width: usize,
}

impl<const K: usize> Columns<K> {
    /// Adds the products of the `S` columns of step `step`, the first in which the output is that has its sums at
    /// `phase`.
    ///
    /// # Safety
    /// The processor must have dot products.
    #[inline(always)]
    unsafe fn next<const S: usize, const L: usize>(
        &self,
        sums: &mut [[int32x4_t; 4]; L],
        weights: &[Column<K>; K],
        step: usize,
        phase: usize,
    ) {
        for shift in 0..S {
            let column = (step * S + shift).wrapping_sub(self.padding);
            // SAFETY: the caller's; the lines are as wide as the map.
            unsafe {
                let column = if column < self.width {
                    Column::load(&self.lines, column)
                } else {
                    self.blank
                };
                for lag in 0..L {
                    if lag * S + shift < K {
                        let sums = &mut sums[(phase + L - lag) % L];
                        *sums = column.add_to(*sums, &weights[lag * S + shift]);
                    }
                }
            }
        }
    }
}

/// `K` rows of a column in 16 channels, of the input or of the weights.
#[derive(Clone, Copy)]
struct Column<const K: usize> {
    /// The first four, \[channel\]\[row\]; of fewer, the last once more.
    interleaved: [int8x16_t; 4],
    /// The last, if it is a fifth.
    last: int8x16_t,
}

impl<const K: usize> Column<K> {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(rows: [int8x16_t; K]) -> Self {
        let upper = [vzip1q_s8(rows[0], rows[1]), vzip2q_s8(rows[0], rows[1])];
        let [third, fourth] = [rows[2], rows[3.min(K - 1)]];
        let lower = [vzip1q_s8(third, fourth), vzip2q_s8(third, fourth)];
        let pairs = |vector| vreinterpretq_s16_s8(vector);
        let bytes = |vector| vreinterpretq_s8_s16(vector);
        Column {
            interleaved: [
                bytes(vzip1q_s16(pairs(upper[0]), pairs(lower[0]))),
                bytes(vzip2q_s16(pairs(upper[0]), pairs(lower[0]))),
                bytes(vzip1q_s16(pairs(upper[1]), pairs(lower[1]))),
                bytes(vzip2q_s16(pairs(upper[1]), pairs(lower[1]))),
            ],
            last: rows[K - 1],
        }
    }

    /// Column `column` of `lines`.
    ///
    /// # Safety
    /// The lines must have it.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(lines: &[Line; K], column: usize) -> Self {
        let mut rows = [vdupq_n_s8(0); K];
        for (row, line) in rows.iter_mut().zip(lines) {
            // SAFETY: the caller's.
            *row = unsafe { line.load(column) };
        }
        Column::new(rows)
    }

    /// Column `horizontal` of the weights of the 16 channels from `channel` on.
    ///
    /// # Safety
    /// There must be such channels and such a column.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn weights(task: &Depthwise, channel: usize, horizontal: usize) -> Self {
        let mut rows = [vdupq_n_s8(0); K];
        for (vertical, row) in rows.iter_mut().enumerate() {
            let tap = vertical * K + horizontal;
            // SAFETY: the caller's.
            *row = unsafe {
                vld1q_s8(
                    task.weights
                        .as_ptr()
                        .add((channel / LANES * K * K + tap) * LANES),
                )
            };
        }
        let mut column = Column::new(rows);
        if K == 3 {
            // The third row of values comes twice; it counts once.
            let three = vreinterpretq_s8_s32(vdupq_n_s32(0x00FF_FFFF));
            column.interleaved = column.interleaved.map(|weights| vandq_s8(weights, three));
        }
        column
    }

    /// Adds the products with a column of weights.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    fn add_to(&self, mut sums: [int32x4_t; 4], weights: &Self) -> [int32x4_t; 4] {
        for (quarter, sum) in sums.iter_mut().enumerate() {
            *sum = sdot(
                *sum,
                self.interleaved[quarter],
                weights.interleaved[quarter],
            );
        }
        if K == 5 {
            sums = add_one(sums, self.last, weights.last);
        }
        sums
    }
}

/// Adds to each of four sums the four products of its bytes of `a` and `b`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: it only computes.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
