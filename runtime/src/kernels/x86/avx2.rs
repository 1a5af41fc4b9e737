//! AVX2: bytes widened to 16 bits, so that `vpmaddwd` is exact.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{pixels, places};
use crate::kernels::convolution::Convolution;
use crate::kernels::depthwise::Depthwise;
use crate::kernels::geometry::{DEPTH, LANES, evenly};
use crate::kernels::pointwise::Residual;
use crate::kernels::requantize::Requantization;

/// Output pixels of the largest tile; with one block of channels it fills 8 of 16 registers.
const PIXELS: usize = 2;

pub fn convolution(
    task: &Convolution,
    input: &[i8],
    residual: &[i8],
    output: &mut [i8],
    range: Range<usize>,
) {
    evenly(range.start, range.end, PIXELS, |first, count| {
        let output = &mut output[(first - range.start) * task.output.pixel..];
        let tile = if count == 1 {
            tile::<1>
        } else {
            tile::<PIXELS>
        };
        for block in 0..task.output.pixel / LANES {
            // SAFETY: the instruction set was detected; `Convolution::run` has checked the lengths of the
            // slices; the pixels from `first` on are of `range`, and the block exists.
            unsafe {
                tile(
                    task,
                    input.as_ptr(),
                    residual,
                    output.as_mut_ptr(),
                    first,
                    block,
                )
            }
        }
    });
}

/// `P` output pixels from `first` on, 16 channels from block `block` on.
#[target_feature(enable = "avx2")]
unsafe fn tile<const P: usize>(
    task: &Convolution,
    input: *const i8,
    residual: &[i8],
    output: *mut i8,
    first: usize,
    block: usize,
) {
    let (taps, steps) = (task.window.taps(), task.steps());
    let places = places::<P>(task, first);
    // Each vector sums four channels, each in two halves.
    let mut sums = [[_mm256_setzero_si256(); 4]; P];
    // SAFETY: the weights hold `taps * steps` blocks of 64 bytes; every pixel holds at least `steps * DEPTH`
    // bytes; the output holds the tile; a residual map is as large as the output map.
    unsafe {
        for tap in 0..taps {
            let values = pixels::<P>(task, input, places, tap);
            let weights = task.weights.as_ptr();
            let weights = weights.add((block * taps + tap) * steps * LANES * DEPTH);
            for step in 0..steps {
                for quarter in 0..4 {
                    let factor = weights.add(step * LANES * DEPTH + quarter * 16);
                    let factor = _mm256_cvtepi8_epi16(_mm_loadu_si128(factor.cast()));
                    for (sums, value) in sums.iter_mut().zip(values) {
                        let value = value.add(step * DEPTH).cast::<i32>().read_unaligned();
                        let value = _mm256_cvtepi8_epi16(_mm_set1_epi32(value));
                        let product = _mm256_madd_epi16(value, factor);
                        sums[quarter] = _mm256_add_epi32(sums[quarter], product);
                    }
                }
            }
        }
        let channel = block * LANES;
        for (index, [a, b, c, d]) in sums.into_iter().enumerate() {
            let place = output.add(index * task.output.pixel + channel);
            for (half, [a, b]) in [[a, b], [c, d]].into_iter().enumerate() {
                let channel = channel + half * 8;
                let sums = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(a, b));
                let bias = task.bias.as_ptr().add(channel);
                let sums = _mm256_add_epi32(sums, _mm256_loadu_si256(bias.cast()));
                let mut rounded = round(&task.requantization, sums, channel);
                let mut zero_point = task.requantization.zero_point;
                if let Some(addition) = &task.residual {
                    let other = (first + index) * task.output.pixel + channel;
                    rounded = add(addition, rounded, residual.as_ptr().add(other));
                    zero_point = addition.sum_zero_point;
                }
                store(rounded, zero_point, place.add(half * 8));
            }
        }
    }
}

/// The outputs of 8 sums from `channel` on, without their zero point.
///
/// # Safety
/// The channels must exist.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn round(requantization: &Requantization, sums: __m256i, channel: usize) -> __m256i {
    // SAFETY: there is a multiplier for every channel.
    let multipliers = unsafe { _mm256_loadu_ps(requantization.multipliers.as_ptr().add(channel)) };
    let values = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), multipliers);
    clamp_and_round(values, requantization.bounds())
}

#[inline]
#[target_feature(enable = "avx2")]
fn clamp_and_round(values: __m256, [low, high]: [f32; 2]) -> __m256i {
    let clamped = _mm256_max_ps(values, _mm256_set1_ps(low));
    _mm256_cvtps_epi32(_mm256_min_ps(clamped, _mm256_set1_ps(high)))
}

/// The sums of 8 outputs, given without their zero point, and the 8 bytes at `other`; without theirs.
///
/// # Safety
/// `other` must point to 8 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add(addition: &Residual, values: __m256i, other: *const i8) -> __m256i {
    let values = _mm256_mul_ps(_mm256_cvtepi32_ps(values), _mm256_set1_ps(addition.scale));
    // SAFETY: the caller's.
    let others = _mm256_cvtepi8_epi32(unsafe { _mm_loadl_epi64(other.cast()) });
    let zero_point = _mm256_set1_epi32(addition.other_zero_point.into());
    let others = _mm256_cvtepi32_ps(_mm256_sub_epi32(others, zero_point));
    let others = _mm256_mul_ps(others, _mm256_set1_ps(addition.other_scale));
    let sums = _mm256_add_ps(values, others);
    let quotients = _mm256_div_ps(sums, _mm256_set1_ps(addition.sum_scale));
    let zero_point = f32::from(addition.sum_zero_point);
    clamp_and_round(quotients, [-128.0 - zero_point, 127.0 - zero_point])
}

/// Stores 8 outputs, given without their zero point, as bytes.
///
/// # Safety
/// `place` must point to 8 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store(rounded: __m256i, zero_point: i8, place: *mut i8) {
    let values = _mm256_add_epi32(rounded, _mm256_set1_epi32(zero_point.into()));
    let low = _mm256_castsi256_si128(values);
    let words = _mm_packs_epi32(low, _mm256_extracti128_si256::<1>(values));
    // SAFETY: the caller's.
    unsafe { _mm_storel_epi64(place.cast(), _mm_packs_epi16(words, words)) }
}

pub fn depthwise(task: &Depthwise, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    for (position, row) in rows.enumerate() {
        for column in 0..task.output.width {
            let start = position * task.output.row() + column * task.output.pixel;
            let output = &mut output[start..start + task.output.pixel];
            // SAFETY: the instruction set was detected; `Depthwise::run` has checked the lengths of the slices.
            unsafe { depthwise_pixel(task, input.as_ptr(), output, row, column) }
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn depthwise_pixel(
    task: &Depthwise,
    input: *const i8,
    output: &mut [i8],
    row: usize,
    column: usize,
) {
    let window = &task.window;
    let [height, width] = window.kernel;
    for (block, output) in output.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let channel = block * LANES;
        // SAFETY: there are weights and biases for every block; pixels and the blank hold every block.
        unsafe {
            let bias = task.bias.as_ptr().add(channel);
            let mut sums = [
                _mm256_loadu_si256(bias.cast()),
                _mm256_loadu_si256(bias.add(8).cast()),
            ];
            let weights = task.weights.as_ptr().add(channel * height * width);
            for tap in 0..height * width {
                let row = window.input(0, row, tap / width, task.input.height);
                let column = window.input(1, column, tap % width, task.input.width);
                let value = match (row, column) {
                    (Some(row), Some(column)) => {
                        input.add(row * task.input.row() + column * task.input.pixel + channel)
                    }
                    _ => task.blank.as_ptr().add(channel),
                };
                let value = _mm256_cvtepi8_epi16(_mm_loadu_si128(value.cast()));
                let weight = _mm_loadu_si128(weights.add(tap * LANES).cast());
                let product = _mm256_mullo_epi16(value, _mm256_cvtepi8_epi16(weight));
                let low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(product));
                let high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256::<1>(product));
                sums = [
                    _mm256_add_epi32(sums[0], low),
                    _mm256_add_epi32(sums[1], high),
                ];
            }
            for (half, sums) in sums.into_iter().enumerate() {
                let rounded = round(&task.requantization, sums, channel + half * 8);
                let place = output.as_mut_ptr().add(half * 8);
                store(rounded, task.requantization.zero_point, place);
            }
        }
    }
}
