//! AVX-512 with VNNI: `vpdpbusd` multiplies four pairs of bytes and adds them to each of 16 sums.
//!
//! Its first factor is unsigned. Activations are read as u8, 128 more than they are, by flipping their sign
//! bit; the bias makes up for it.

use std::arch::x86_64::*;
use std::ops::Range;

use super::columns::{Columns, Form};
use super::{evenly, pixels};
use crate::kernels::convolution::Convolution;
use crate::kernels::depthwise::Depthwise;
use crate::kernels::geometry::{DEPTH, LANES};
use crate::kernels::pointwise::Residual;
use crate::kernels::requantize::Requantization;

/// Output pixels of the largest tile; with [`VECTORS`] vectors of 16 channels it fills 24 of 32 registers.
const PIXELS: usize = 6;
const VECTORS: usize = 4;

pub fn convolution(
    task: &Convolution,
    input: &[i8],
    residual: &[i8],
    output: &mut [i8],
    range: Range<usize>,
) {
    // SAFETY: the instruction set was detected; `Convolution::run` has checked the lengths of the slices.
    unsafe { tiles(task, input.as_ptr(), residual, output.as_mut_ptr(), range) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn tiles(
    task: &Convolution,
    input: *const i8,
    residual: &[i8],
    output: *mut i8,
    range: Range<usize>,
) {
    let blocks = task.output.pixel / LANES;
    evenly(range.start, range.end, PIXELS, |first, count| {
        // SAFETY: the pixels from `first` on are of `range`, which `output` holds from its beginning on.
        let start = unsafe { output.add((first - range.start) * task.output.pixel) };
        evenly(0, blocks, VECTORS, |block, vectors| {
            let tile = match vectors {
                1 => by_pixels::<1>(count),
                2 => by_pixels::<2>(count),
                3 => by_pixels::<3>(count),
                _ => by_pixels::<4>(count),
            };
            // SAFETY: as above; the blocks from `block` on exist.
            unsafe { tile(task, input, residual, start, first, block) }
        });
    });
}

type Tile = unsafe fn(&Convolution, *const i8, &[i8], *mut i8, usize, usize);

fn by_pixels<const V: usize>(pixels: usize) -> Tile {
    match pixels {
        1 => tile::<1, V>,
        2 => tile::<2, V>,
        3 => tile::<3, V>,
        4 => tile::<4, V>,
        5 => tile::<5, V>,
        _ => tile::<PIXELS, V>,
    }
}

/// `P` output pixels from `first` on, `V` vectors of channels from block `block` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn tile<const P: usize, const V: usize>(
    task: &Convolution,
    input: *const i8,
    residual: &[i8],
    output: *mut i8,
    first: usize,
    block: usize,
) {
    let (taps, steps) = (task.window.taps(), task.steps());
    let sign = _mm512_set1_epi8(i8::MIN);
    let mut sums = [[_mm512_setzero_si512(); V]; P];
    // SAFETY: the weights hold `taps * steps` vectors per block; every pixel holds at least `steps * DEPTH`
    // bytes; the output holds the tile; a residual map is as large as the output map.
    unsafe {
        for vector in 0..V {
            let bias = task.unsigned_bias.as_ptr().add((block + vector) * LANES);
            let bias = _mm512_loadu_si512(bias.cast());
            for sums in &mut sums {
                sums[vector] = bias;
            }
        }
        for tap in 0..taps {
            let values = pixels::<P>(task, input, first, tap);
            let weights = task.weights.as_ptr();
            let weights = weights.add((block * taps + tap) * steps * LANES * DEPTH);
            for step in 0..steps {
                let mut factors = [_mm512_setzero_si512(); V];
                for (vector, factor) in factors.iter_mut().enumerate() {
                    let offset = (vector * taps * steps + step) * LANES * DEPTH;
                    *factor = _mm512_loadu_si512(weights.add(offset).cast());
                }
                for (sums, value) in sums.iter_mut().zip(values) {
                    let value = value.add(step * DEPTH).cast::<i32>().read_unaligned();
                    let value = _mm512_xor_si512(_mm512_set1_epi32(value), sign);
                    for (sum, factor) in sums.iter_mut().zip(factors) {
                        *sum = _mm512_dpbusd_epi32(*sum, value, factor);
                    }
                }
            }
        }
        let finish = Finish::new(&task.requantization);
        for (index, sums) in sums.iter().enumerate() {
            for (vector, &sum) in sums.iter().enumerate() {
                let channel = (block + vector) * LANES;
                let mut rounded = finish.round(sum, channel);
                let mut zero_point = finish.zero_point;
                if let Some(addition) = &task.residual {
                    let other = (first + index) * task.output.pixel + channel;
                    rounded = add(addition, rounded, residual.as_ptr().add(other));
                    zero_point = _mm512_set1_epi32(addition.sum_zero_point.into());
                }
                let bytes = _mm512_cvtsepi32_epi8(_mm512_add_epi32(rounded, zero_point));
                let place = output.add(index * task.output.pixel + channel);
                _mm_storeu_si128(place.cast(), bytes);
            }
        }
    }
}

/// The constants of a requantisation.
struct Finish {
    multipliers: *const f32,
    low: __m512,
    high: __m512,
    zero_point: __m512i,
}

impl Finish {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(requantization: &Requantization) -> Self {
        let [low, high] = requantization.bounds();
        Finish {
            multipliers: requantization.multipliers.as_ptr(),
            low: _mm512_set1_ps(low),
            high: _mm512_set1_ps(high),
            zero_point: _mm512_set1_epi32(requantization.zero_point.into()),
        }
    }

    /// The outputs of 16 sums from `channel` on, without their zero point.
    ///
    /// # Safety
    /// The channels must exist.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn round(&self, sums: __m512i, channel: usize) -> __m512i {
        // SAFETY: there is a multiplier for every channel.
        let multipliers = unsafe { _mm512_loadu_ps(self.multipliers.add(channel)) };
        let values = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), multipliers);
        _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(values, self.low), self.high))
    }
}

/// The sums of 16 outputs, given without their zero point, and the 16 bytes at `other`; without theirs.
///
/// # Safety
/// `other` must point to 16 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add(addition: &Residual, values: __m512i, other: *const i8) -> __m512i {
    let values = _mm512_mul_ps(_mm512_cvtepi32_ps(values), _mm512_set1_ps(addition.scale));
    // SAFETY: the caller's.
    let others = _mm512_cvtepi8_epi32(unsafe { _mm_loadu_si128(other.cast()) });
    let zero_point = _mm512_set1_epi32(addition.other_zero_point.into());
    let others = _mm512_cvtepi32_ps(_mm512_sub_epi32(others, zero_point));
    let others = _mm512_mul_ps(others, _mm512_set1_ps(addition.other_scale));
    let sums = _mm512_add_ps(values, others);
    let quotients = _mm512_div_ps(sums, _mm512_set1_ps(addition.sum_scale));
    let zero_point = f32::from(addition.sum_zero_point);
    let low = _mm512_set1_ps(-128.0 - zero_point);
    let high = _mm512_set1_ps(127.0 - zero_point);
    _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(quotients, low), high))
}

pub fn depthwise(
    task: &Depthwise,
    columns: &Columns,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
) {
    let row = match columns.form {
        Form::WIDTH_3 => depthwise_row::<3, 1, 6, 2, 8>,
        Form::WIDTH_3_STRIDE_2 => depthwise_row::<3, 2, 3, 2, 8>,
        Form::WIDTH_5 => depthwise_row::<5, 1, 4, 2, 8>,
        _ => depthwise_row::<5, 2, 4, 3, 12>,
    };
    for (position, index) in rows.enumerate() {
        let output = &mut output[position * task.output.row()..][..task.output.row()];
        // SAFETY: the instruction set was detected; `Depthwise::run` has checked the lengths of the slices.
        unsafe { row(task, &columns.weights, input.as_ptr(), output, index) }
    }
}

/// One row of outputs, `O` neighbours at once from `G` groups of four columns, `C` in all.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn depthwise_row<
    const W: usize,
    const S: usize,
    const O: usize,
    const G: usize,
    const C: usize,
>(
    task: &Depthwise,
    weights: &[i8],
    input: *const i8,
    output: &mut [i8],
    row: usize,
) {
    let form = Form {
        width: W,
        stride: S,
        outputs: O,
        groups: G,
    };
    let (pixel, height) = (task.output.pixel, task.window.kernel[0]);
    let kernel_row = O * G * LANES * 4;
    let finish = Finish::new(&task.requantization);
    for first in (0..task.output.width).step_by(O) {
        let count = O.min(task.output.width - first);
        for block in 0..pixel / LANES {
            // SAFETY: there are a bias and weights for every block; blanks and pixels hold every block.
            unsafe {
                let bias = task.unsigned_bias.as_ptr().add(block * LANES);
                let mut sums = [_mm512_loadu_si512(bias.cast()); O];
                for vertical in 0..height {
                    let blank = task.blank.as_ptr().add(block * LANES);
                    let mut pixels = [blank; C];
                    if let Some(row) = task.window.input(0, row, vertical, task.input.height) {
                        let values = input.add(row * task.input.row() + block * LANES);
                        for (index, pixel) in pixels.iter_mut().enumerate() {
                            let column = (first * S + index).wrapping_sub(task.window.padding[1]);
                            if column < task.input.width {
                                *pixel = values.add(column * task.input.pixel);
                            }
                        }
                    }
                    let weights = weights
                        .as_ptr()
                        .add((block * height + vertical) * kernel_row);
                    for group in 0..G {
                        let columns = interleave(&pixels[group * 4..group * 4 + 4]);
                        for (index, sum) in sums.iter_mut().enumerate() {
                            if form.touches(index, group) {
                                let weights = weights.add((index * G + group) * LANES * 4);
                                let weights = _mm512_loadu_si512(weights.cast());
                                *sum = _mm512_dpbusd_epi32(*sum, columns, weights);
                            }
                        }
                    }
                }
                for (index, &sum) in sums[..count].iter().enumerate() {
                    let rounded = finish.round(sum, block * LANES);
                    let rounded = _mm512_add_epi32(rounded, finish.zero_point);
                    let place = output
                        .as_mut_ptr()
                        .add((first + index) * pixel + block * LANES);
                    _mm_storeu_si128(place.cast(), _mm512_cvtsepi32_epi8(rounded));
                }
            }
        }
    }
}

/// Bytes of four pixels, 16 channels each, as \[channel\]\[pixel\], 128 added to each.
///
/// # Safety
/// Each pointer must point to 16 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn interleave(pixels: &[*const i8]) -> __m512i {
    // SAFETY: the caller's.
    let load = |index: usize| unsafe { _mm_loadu_si128(pixels[index].cast()) };
    let pairs = _mm512_castsi128_si512(load(0));
    let pairs = _mm512_inserti32x4::<1>(pairs, load(1));
    let pairs = _mm512_inserti32x4::<2>(pairs, load(2));
    let pairs = _mm512_inserti32x4::<3>(pairs, load(3));
    let dwords = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let by_dword = _mm512_permutexvar_epi32(dwords, pairs);
    let bytes = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let by_channel = _mm512_shuffle_epi8(by_dword, _mm512_broadcast_i32x4(bytes));
    _mm512_xor_si512(by_channel, _mm512_set1_epi8(i8::MIN))
}
