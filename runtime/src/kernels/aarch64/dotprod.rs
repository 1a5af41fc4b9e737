//! Cores with dot products: `SDOT` multiplies four pairs of bytes and adds them to each of four sums.

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::convolution::{Run, Tile, Windows, by_tiles};
use super::finish::{Finish, bias};
use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::{DEPTH, LANES};

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
unsafe fn tile<const P: usize>(windows: &mut Windows, residual: &[i8], output: *mut i8) {
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
        for step in whole..steps {
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
            sums[quarter] = sdot::<LANE>(sums[quarter], weights, pixel);
        }
    }
    sums
}

/// Adds to each of four sums four products: of its own four bytes of `weights` and those in lane `LANE` of
/// `pixel`. The intrinsic is not stable yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot<const LANE: usize>(mut sums: int32x4_t, weights: int8x16_t, pixel: int8x16_t) -> int32x4_t {
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
