//! Cores with int8 matrix products: `SMMLA` multiplies the bytes of two pixels by those of two channels, eight each,
//! and adds to the four sums.

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::dotprod;
use super::finish::{Finish, bias};
use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::{DEPTH, LANES};
use crate::kernels::neon::{Run, Tile, Windows, by_tiles};

/// The largest tile fills 24 of 32 registers with sums.
const TILES: [Tile; 6] = [
    dotprod::tile::<1>,
    tile::<1, 2>,
    dotprod::tile::<3>,
    tile::<2, 4>,
    dotprod::tile::<5>,
    tile::<3, 6>,
];

pub fn convolution(
    task: &Convolution,
    input: &[i8],
    residual: &[i8],
    output: &mut [i8],
    range: Range<usize>,
) {
    // SAFETY: the instruction sets were detected; `Convolution::run` has checked the lengths of the slices.
    unsafe { by_tiles(&TILES, task, [input, residual], output, range) }
}

/// Sums of two pixels in 16 channels: each vector of two channels, first for one pixel, then for the other.
type Pair = [int32x4_t; 8];

/// `N` pairs of output pixels, `P` pixels in all.
#[target_feature(enable = "neon,i8mm")]
unsafe fn tile<const N: usize, const P: usize>(
    windows: &mut Windows,
    residual: &[i8],
    output: *mut i8,
) {
    let task = windows.task;
    let finish = Finish::new(&task.requantization, task.output.pixel);
    // SAFETY: the caller's; there are as many runs, and biases for every block.
    unsafe {
        for channel in (0..task.output.pixel).step_by(LANES) {
            let mut twice = [vdupq_n_s32(0); 8];
            for (quarter, bias) in bias(&task.bias, channel).into_iter().enumerate() {
                twice[quarter * 2] = zip1(bias, bias);
                twice[quarter * 2 + 1] = zip2(bias, bias);
            }
            let mut pairs = [twice; N];
            for index in 0..windows.runs {
                pairs = accumulate::<N, P>(pairs, windows.run(channel / LANES, index));
            }
            let mut sums = [[vdupq_n_s32(0); 4]; P];
            for (pixels, pair) in sums.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
                for quarter in 0..4 {
                    let [low, high] = [pair[quarter * 2], pair[quarter * 2 + 1]];
                    pixels[0][quarter] = zip1(low, high);
                    pixels[1][quarter] = zip2(low, high);
                }
            }
            finish.store(sums, channel, output);
        }
        if let Some(addition) = &task.residual {
            let others = &residual[windows.first * task.output.pixel..];
            finish.add(addition, others, output, P);
        }
    }
}

/// Adds the products of a run.
///
/// # Safety
/// Each pointer of the run must be to as many bytes as its steps call for.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn accumulate<const N: usize, const P: usize>(
    mut pairs: [Pair; N],
    run: Run<P>,
) -> [Pair; N] {
    let Run { values, steps, .. } = run;
    let weights = |step: usize| run.weights.wrapping_add(step * LANES * DEPTH);
    let values = values.as_chunks::<2>().0;
    // SAFETY: the caller's.
    unsafe {
        for step in (0..steps / 2 * 2).step_by(2) {
            let mut pixels = [vdupq_n_s32(0); N];
            for (pixels, [first, second]) in pixels.iter_mut().zip(values) {
                let eight = |values: &*const i8| vld1_s8(values.add(step * DEPTH));
                *pixels = vreinterpretq_s32_s8(vcombine_s8(eight(first), eight(second)));
            }
            pairs = multiply(pairs, pixels, [weights(step), weights(step + 1)]);
        }
        if steps % 2 == 1 {
            let step = steps - 1;
            let mut pixels = [vdupq_n_s32(0); N];
            for (pixels, [first, second]) in pixels.iter_mut().zip(values) {
                let four = |values: &*const i8| {
                    let four = values.add(step * DEPTH).cast::<i32>().read_unaligned();
                    vset_lane_s32::<0>(four, vdup_n_s32(0))
                };
                *pixels = vcombine_s32(four(first), four(second));
            }
            pairs = multiply(pairs, pixels, [weights(step), NOTHING.as_ptr()]);
        }
    }
    pairs
}

/// The weights of a step that counts nothing.
const NOTHING: [i8; LANES * DEPTH] = [0; LANES * DEPTH];

/// Adds the products of two steps.
///
/// # Safety
/// Both pointers must be to a step's weights.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn multiply<const N: usize>(
    mut pairs: [Pair; N],
    pixels: [int32x4_t; N],
    [weights, next_weights]: [*const i8; 2],
) -> [Pair; N] {
    for quarter in 0..4 {
        // SAFETY: the caller's.
        let [weights, next_weights] = unsafe {
            [
                vreinterpretq_s32_s8(vld1q_s8(weights.add(quarter * 16))),
                vreinterpretq_s32_s8(vld1q_s8(next_weights.add(quarter * 16))),
            ]
        };
        // The eight bytes of each of two channels.
        let [low, high] = [
            vzip1q_s32(weights, next_weights),
            vzip2q_s32(weights, next_weights),
        ];
        for (pair, pixels) in pairs.iter_mut().zip(pixels) {
            pair[quarter * 2] = smmla(pair[quarter * 2], pixels, low);
            pair[quarter * 2 + 1] = smmla(pair[quarter * 2 + 1], pixels, high);
        }
    }
    pairs
}

/// The lower halves of both.
#[inline]
#[target_feature(enable = "neon")]
fn zip1(a: int32x4_t, b: int32x4_t) -> int32x4_t {
    vreinterpretq_s32_s64(vzip1q_s64(
        vreinterpretq_s64_s32(a),
        vreinterpretq_s64_s32(b),
    ))
}

/// The upper halves of both.
#[inline]
#[target_feature(enable = "neon")]
fn zip2(a: int32x4_t, b: int32x4_t) -> int32x4_t {
    vreinterpretq_s32_s64(vzip2q_s64(
        vreinterpretq_s64_s32(a),
        vreinterpretq_s64_s32(b),
    ))
}

/// Adds to the sums the products of both halves of `a` with both halves of `b`, as eight bytes each. The intrinsic is
/// not stable yet.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut sums: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
    // SAFETY: it only computes.
    unsafe {
        asm!(
            "smmla {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
