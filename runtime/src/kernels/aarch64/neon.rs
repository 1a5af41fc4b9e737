//! Cores without dot products: two products of bytes fit into 16 bits, which are added in pairs to 32.

use std::arch::aarch64::*;
use std::ops::Range;

use super::finish::{Finish, bias};
use super::products::{smlal2, smull2};
use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::{DEPTH, LANES};
use crate::kernels::neon::{Run, Tile, Windows, by_tiles};

/// The largest tile fills 16 of 32 registers with sums.
const TILES: [Tile; 2] = [tile::<1, true>, tile::<2, true>];

/// For weights of which two products don't fit into 16 bits.
const CAREFUL_TILES: [Tile; 2] = [tile::<1, false>, tile::<2, false>];

pub fn convolution(
    task: &Convolution,
    input: &[i8],
    residual: &[i8],
    output: &mut [i8],
    range: Range<usize>,
) {
    let tiles = if task.products_pair {
        &TILES
    } else {
        &CAREFUL_TILES
    };
    // SAFETY: every aarch64 has the instruction set; `Convolution::run` has checked the lengths of the slices.
    unsafe { by_tiles(tiles, task, [input, residual], output, range) }
}

/// Sums of 16 channels: each vector of two, each in two halves.
type Halves = [int32x4_t; 8];

#[target_feature(enable = "neon")]
unsafe fn tile<const P: usize, const PAIR: bool>(
    windows: &mut Windows,
    residual: &[i8],
    output: *mut i8,
) {
    let task = windows.task;
    let finish = Finish::new(&task.requantization, task.output.pixel);
    // SAFETY: the caller's; there are as many runs, and biases for every block.
    unsafe {
        for channel in (0..task.output.pixel).step_by(LANES) {
            let mut halves = [[vdupq_n_s32(0); 8]; P];
            for index in 0..windows.runs {
                let run = windows.run(channel / LANES, index);
                halves = accumulate::<P, PAIR>(halves, run);
            }
            let mut sums = [bias(&task.bias, channel); P];
            for (sums, halves) in sums.iter_mut().zip(halves) {
                for (quarter, sum) in sums.iter_mut().enumerate() {
                    let [low, high] = [halves[quarter * 2], halves[quarter * 2 + 1]];
                    *sum = vaddq_s32(*sum, vpaddq_s32(low, high));
                }
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

/// Adds the products of a run, those of two steps at once if they `PAIR`.
///
/// # Safety
/// Each pointer of the run must be to as many bytes as its steps call for.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn accumulate<const P: usize, const PAIR: bool>(
    mut halves: [Halves; P],
    run: Run<P>,
) -> [Halves; P] {
    let Run { values, steps, .. } = run;
    let weights = |step: usize| run.weights.wrapping_add(step * LANES * DEPTH);
    let whole = steps / 4 * 4;
    // SAFETY: the caller's.
    unsafe {
        for step in (0..whole).step_by(4) {
            let mut pixels = [vdupq_n_s32(0); P];
            for (pixel, values) in pixels.iter_mut().zip(values) {
                *pixel = vreinterpretq_s32_s8(vld1q_s8(values.add(step * DEPTH)));
            }
            let [first, second] = [lanes::<P, 0>(pixels), lanes::<P, 1>(pixels)];
            halves = multiply::<P, PAIR>(halves, [first, second], weights(step));
            let [first, second] = [lanes::<P, 2>(pixels), lanes::<P, 3>(pixels)];
            halves = multiply::<P, PAIR>(halves, [first, second], weights(step + 2));
        }
        let mut step = whole;
        if steps - step >= 2 {
            let mut pixels = [vdupq_n_s32(0); P];
            for (pixel, values) in pixels.iter_mut().zip(values) {
                let eight = vreinterpret_s32_s8(vld1_s8(values.add(step * DEPTH)));
                *pixel = vcombine_s32(eight, eight);
            }
            let [first, second] = [lanes::<P, 0>(pixels), lanes::<P, 1>(pixels)];
            halves = multiply::<P, PAIR>(halves, [first, second], weights(step));
            step += 2;
        }
        if step < steps {
            let mut pixels = [vdupq_n_s32(0); P];
            for (pixel, values) in pixels.iter_mut().zip(values) {
                let four = values.add(step * DEPTH).cast::<i32>().read_unaligned();
                *pixel = vdupq_n_s32(four);
            }
            halves = multiply_one(halves, lanes::<P, 0>(pixels), weights(step));
        }
    }
    halves
}

/// Lane `LANE` of each vector, four times.
#[inline]
#[target_feature(enable = "neon")]
fn lanes<const P: usize, const LANE: i32>(vectors: [int32x4_t; P]) -> [int8x16_t; P] {
    let mut lanes = [vdupq_n_s8(0); P];
    for (lane, vector) in lanes.iter_mut().zip(vectors) {
        *lane = vreinterpretq_s8_s32(vdupq_laneq_s32::<LANE>(vector));
    }
    lanes
}

/// Adds the products of two steps.
///
/// # Safety
/// `weights` must point to those of two steps.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn multiply<const P: usize, const PAIR: bool>(
    mut halves: [Halves; P],
    [values, next_values]: [[int8x16_t; P]; 2],
    weights: *const i8,
) -> [Halves; P] {
    let next = weights.wrapping_add(LANES * DEPTH);
    // SAFETY: the caller's.
    unsafe {
        if !PAIR {
            halves = multiply_one(halves, values, weights);
            return multiply_one(halves, next_values, next);
        }
        for quarter in 0..4 {
            let weights = vld1q_s8(weights.add(quarter * 16));
            let next_weights = vld1q_s8(next.add(quarter * 16));
            let mut products = [[vdupq_n_s16(0); 2]; P];
            for ([low, high], value) in products.iter_mut().zip(values) {
                *low = vmull_s8(vget_low_s8(weights), vget_low_s8(value));
                *high = smull2(weights, value);
            }
            for ([low, high], value) in products.iter_mut().zip(next_values) {
                *low = vmlal_s8(*low, vget_low_s8(next_weights), vget_low_s8(value));
                *high = smlal2(*high, next_weights, value);
            }
            for (halves, [low, high]) in halves.iter_mut().zip(products) {
                halves[quarter * 2] = vpadalq_s16(halves[quarter * 2], low);
                halves[quarter * 2 + 1] = vpadalq_s16(halves[quarter * 2 + 1], high);
            }
        }
    }
    halves
}

/// Adds the products of one step.
///
/// # Safety
/// `weights` must point to a step's.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn multiply_one<const P: usize>(
    mut halves: [Halves; P],
    values: [int8x16_t; P],
    weights: *const i8,
) -> [Halves; P] {
    for quarter in 0..4 {
        // SAFETY: the caller's.
        let weights = unsafe { vld1q_s8(weights.add(quarter * 16)) };
        for (halves, value) in halves.iter_mut().zip(values) {
            let low = vmull_s8(vget_low_s8(weights), vget_low_s8(value));
            halves[quarter * 2] = vpadalq_s16(halves[quarter * 2], low);
            let high = smull2(weights, value);
            halves[quarter * 2 + 1] = vpadalq_s16(halves[quarter * 2 + 1], high);
        }
    }
    halves
}
