//! AVX-512 with VNNI: `vpdpbusd` multiplies four pairs of bytes and adds them to each of 16 sums.
//!
//! Its first factor is unsigned. Activations are read as u8, 128 more than they are, by flipping their sign
//! bit; the bias makes up for it.

use std::arch::x86_64::*;
use std::ops::Range;

use super::columns::{Columns, Form, WIDE};
use super::{are_inside, pixels, places};
use crate::kernels::convolution::Convolution;
use crate::kernels::depthwise::Depthwise;
use crate::kernels::geometry::{DEPTH, LANES, evenly};
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
    let places = places::<P>(task, first);
    // Taps that are taken as one.
    let merged = if task.has_contiguous_rows() && are_inside(task, places) {
        task.window.kernel[1]
    } else {
        1
    };
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
        let mut running = sums;
        for tap in (0..taps).step_by(merged) {
            let values = pixels::<P>(task, input, places, tap);
            let weights = task.weights.as_ptr();
            let weights = weights.add((block * taps + tap) * steps * LANES * DEPTH);
            for step in 0..merged * steps {
                let mut factors = [_mm512_setzero_si512(); V];
                for (vector, factor) in factors.iter_mut().enumerate() {
                    let offset = (vector * taps * steps + step) * LANES * DEPTH;
                    *factor = _mm512_loadu_si512(weights.add(offset).cast());
                }
                for (sums, value) in running.iter_mut().zip(values) {
                    let value = value.add(step * DEPTH).cast::<i32>().read_unaligned();
                    let value = _mm512_xor_si512(_mm512_set1_epi32(value), sign);
                    for (sum, factor) in sums.iter_mut().zip(factors) {
                        *sum = _mm512_dpbusd_epi32(*sum, value, factor);
                    }
                }
            }
        }
        // A copy for what follows, so that the compiler keeps the sums of the loops in registers.
        let sums = running;
        let finish = Finish::new(&task.requantization);
        for (index, sums) in sums.iter().enumerate() {
            let mut rounded = [_mm512_setzero_si512(); 4];
            let place = output.add(index * task.output.pixel + block * LANES);
            for (vector, &sum) in sums.iter().enumerate() {
                let channel = (block + vector) * LANES;
                let multipliers = task.requantization.multipliers.as_ptr().add(channel);
                rounded[vector] = finish.round(sum, _mm512_loadu_ps(multipliers));
                if let Some(addition) = &task.residual {
                    let other = (first + index) * task.output.pixel + channel;
                    let clamped = _mm512_max_epi32(rounded[vector], finish.lowest);
                    rounded[vector] = add(addition, clamped, residual.as_ptr().add(other));
                }
            }
            let bytes = match &task.residual {
                None => finish.bytes(rounded),
                Some(addition) => pack(rounded, addition.sum_zero_point),
            };
            // Quarter q of the vector holds channels 4 q to 4 q + 3 of each of the four.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            store::<V>(_mm512_permutexvar_epi32(order, bytes), place);
        }
    }
}

/// The constants of a requantisation.
struct Finish<'a> {
    requantization: &'a Requantization,
    highest: __m512,
    lowest: __m512i,
}

impl<'a> Finish<'a> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(requantization: &'a Requantization) -> Self {
        let [low, high] = requantization.bounds();
        Finish {
            requantization,
            highest: _mm512_set1_ps(high),
            lowest: _mm512_set1_epi32(low as i32),
        }
    }

    /// The outputs of 16 sums, without their zero point; not yet clamped from below. What is too small for an
    /// i32 becomes the smallest, so only what is too large has to be clamped before it is rounded.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn round(&self, sums: __m512i, multipliers: __m512) -> __m512i {
        let values = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), multipliers);
        _mm512_cvtps_epi32(_mm512_min_ps(values, self.highest))
    }

    /// Four vectors of such outputs as bytes, in the order of [`pack`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn bytes(&self, rounded: [__m512i; 4]) -> __m512i {
        let bytes = pack(rounded, self.requantization.zero_point);
        _mm512_max_epi8(bytes, _mm512_set1_epi8(self.requantization.low))
    }
}

/// 64 outputs, given without their zero point, as saturated bytes; each quarter of the result holds the same
/// quarter of the four vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pack([a, b, c, d]: [__m512i; 4], zero_point: i8) -> __m512i {
    let zero_point = _mm512_set1_epi16(zero_point.into());
    let low = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero_point);
    let high = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero_point);
    _mm512_packs_epi16(low, high)
}

/// Stores the first `V` quarters of `bytes`.
///
/// # Safety
/// There must be room for them.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store<const V: usize>(bytes: __m512i, place: *mut i8) {
    // SAFETY: the caller's.
    unsafe {
        if V == 4 {
            return _mm512_storeu_si512(place.cast(), bytes);
        }
        _mm_storeu_si128(place.cast(), _mm512_castsi512_si128(bytes));
        if V > 1 {
            let second = _mm512_extracti32x4_epi32::<1>(bytes);
            _mm_storeu_si128(place.add(LANES).cast(), second);
        }
        if V > 2 {
            let third = _mm512_extracti32x4_epi32::<2>(bytes);
            _mm_storeu_si128(place.add(2 * LANES).cast(), third);
        }
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
    // Block by block, so that the weights of one stay in the cache.
    for block in 0..task.output.pixel.div_ceil(WIDE) {
        for (output, index) in output.chunks_exact_mut(task.output.row()).zip(rows.clone()) {
            // SAFETY: the instruction set was detected; `Depthwise::run` has checked the lengths of the slices.
            unsafe { row(task, columns, input.as_ptr(), output, [index, block]) }
        }
    }
}

/// One row of outputs in one block of channels, `O` neighbours at once from `G` groups of four columns, `C` in all.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn depthwise_row<
    const W: usize,
    const S: usize,
    const O: usize,
    const G: usize,
    const C: usize,
>(
    task: &Depthwise,
    columns: &Columns,
    input: *const i8,
    output: &mut [i8],
    [row, block]: [usize; 2],
) {
    let form = Form {
        width: W,
        stride: S,
        outputs: O,
        groups: G,
    };
    let (pixel, height) = (task.output.pixel, task.window.kernel[0]);
    let kernel_row = O * G * WIDE * 4;
    let finish = Finish::new(&task.requantization);
    let channel = block * WIDE;
    let left = (pixel - channel).min(WIDE);
    let mask = u64::MAX >> (WIDE - left);
    for first in (0..task.output.width).step_by(O) {
        let count = O.min(task.output.width - first);
        // SAFETY: there are biases, multipliers and weights for every wide block; the mask leaves out what
        // is past the end of a pixel or the blank.
        unsafe {
            let vector = |index: usize| channel + index * LANES;
            let mut sums = [[_mm512_setzero_si512(); 4]; O];
            for index in 0..4 {
                let bias = columns.bias.as_ptr().add(vector(index));
                let bias = _mm512_loadu_si512(bias.cast());
                for sums in &mut sums {
                    sums[index] = bias;
                }
            }
            let mut running = sums;
            for vertical in 0..height {
                let blank = task.blank.as_ptr().add(channel);
                let mut pixels = [blank; C];
                if let Some(row) = task.window.input(0, row, vertical, task.input.height) {
                    let values = input.add(row * task.input.row() + channel);
                    for (index, pixel) in pixels.iter_mut().enumerate() {
                        let column = (first * S + index).wrapping_sub(task.window.padding[1]);
                        if column < task.input.width {
                            *pixel = values.add(column * task.input.pixel);
                        }
                    }
                }
                let weights = columns.weights.as_ptr();
                let weights = weights.add((block * height + vertical) * kernel_row);
                for group in 0..G {
                    let values = interleave(&pixels, group * 4, mask);
                    for (index, sums) in running.iter_mut().enumerate() {
                        if form.touches(index, group) {
                            let weights = weights.add((index * G + group) * WIDE * 4);
                            for (vector, sum) in sums.iter_mut().enumerate() {
                                let weights = weights.add(vector * WIDE);
                                let weights = _mm512_loadu_si512(weights.cast());
                                *sum = _mm512_dpbusd_epi32(*sum, values[vector], weights);
                            }
                        }
                    }
                }
            }
            // As in `tile`.
            let sums = running;
            for (index, sums) in sums[..count].iter().enumerate() {
                let mut rounded = [_mm512_setzero_si512(); 4];
                for (index, rounded) in rounded.iter_mut().enumerate() {
                    let multipliers = columns.multipliers.as_ptr().add(vector(index));
                    *rounded = finish.round(sums[index], _mm512_loadu_ps(multipliers));
                }
                let bytes = finish.bytes(rounded);
                let place = output.as_mut_ptr().add((first + index) * pixel + channel);
                match left / LANES {
                    1 => store::<1>(bytes, place),
                    2 => store::<2>(bytes, place),
                    3 => store::<3>(bytes, place),
                    _ => store::<4>(bytes, place),
                }
            }
        }
    }
}

/// Bytes of the four pixels from `first` on, 64 channels each, those of `mask` alone, 128 added to each: as
/// \[channel\]\[pixel\] in the order of [`Columns`].
///
/// # Safety
/// Each pixel must hold the channels of the mask.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn interleave(pixels: &[*const i8], first: usize, mask: u64) -> [__m512i; 4] {
    let sign = _mm512_set1_epi8(i8::MIN);
    let mut values = [sign; 4];
    for (index, value) in values.iter_mut().enumerate() {
        // SAFETY: the caller's.
        let loaded = unsafe { _mm512_maskz_loadu_epi8(mask, pixels[first + index]) };
        *value = _mm512_xor_si512(loaded, sign);
    }
    let [a, b, c, d] = values;
    let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
    let (low_end, high_end) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
    [
        _mm512_unpacklo_epi16(low, high),
        _mm512_unpackhi_epi16(low, high),
        _mm512_unpacklo_epi16(low_end, high_end),
        _mm512_unpackhi_epi16(low_end, high_end),
    ]
}
