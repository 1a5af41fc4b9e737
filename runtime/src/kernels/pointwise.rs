//! What is done value by value, and sums over a map.

use std::ops::Range;

#[cfg(target_arch = "aarch64")]
use super::aarch64;
use super::geometry::{LANES, Map};
use super::instruction_set::InstructionSet;
use super::requantize::round_to_even;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// A residual addition after a convolution: both summands dequantised, added and quantised again, as
/// `DequantizeLinear`, `Add` and `QuantizeLinear` do it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residual {
    /// Scale of the convolution's own output.
    pub scale: f32,
    /// Scale of the other summand.
    pub other_scale: f32,
    /// Zero point of the other summand.
    pub other_zero_point: i8,
    /// Scale of the sum.
    pub sum_scale: f32,
    /// Zero point of the sum.
    pub sum_zero_point: i8,
}

impl Residual {
    /// The sum of `value`, whose zero point is `zero_point`, and `other`.
    #[inline]
    pub fn apply(&self, value: i8, zero_point: i8, other: i8) -> i8 {
        let value = (f32::from(value) - f32::from(zero_point)) * self.scale;
        let other = (f32::from(other) - f32::from(self.other_zero_point)) * self.other_scale;
        quantize(value + other, self.sum_scale, self.sum_zero_point)
    }
}

/// `QuantizeLinear`: divided, rounded to the nearest even, offset, saturated.
#[inline(always)]
pub fn quantize(value: f32, scale: f32, zero_point: i8) -> i8 {
    let offset = f32::from(zero_point);
    let quotient = (value / scale).max(-128.0 - offset).min(127.0 - offset);
    (round_to_even(quotient) + i32::from(zero_point)) as i8
}

/// Quantises an image, \[channel, height, width\] of f32, into a map of `shape`.
///
/// # Panics
/// When a slice is shorter than the shape calls for.
pub fn quantize_image(
    instruction_set: InstructionSet,
    image: &[f32],
    shape: Map,
    quantization: (f32, i8),
    output: &mut [i8],
) {
    match instruction_set {
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon | InstructionSet::NeonDotprod | InstructionSet::NeonI8mm => {
            aarch64::image::quantize_image(image, shape, quantization, output);
        }
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni => {
            x86::vectors::quantize_image(image, shape, quantization, output);
        }
        _ => quantize_planes(image, shape, quantization, output),
    }
}

/// As [`quantize_image`]; for every instruction set that the compiler makes vectors of.
#[inline(always)]
pub(super) fn quantize_planes(
    image: &[f32],
    shape: Map,
    (scale, zero_point): (f32, i8),
    output: &mut [i8],
) {
    const PIXELS: usize = 32;
    let planes = image.chunks_exact(shape.pixels()).take(shape.channels);
    for (channel, plane) in planes.enumerate() {
        let parts = output[..shape.bytes()].chunks_mut(PIXELS * shape.pixel);
        for (values, pixels) in plane.chunks(PIXELS).zip(parts) {
            let mut quantized = [0; PIXELS];
            for (quantized, &value) in quantized.iter_mut().zip(values) {
                *quantized = quantize(value, scale, zero_point);
            }
            let pixels = pixels.chunks_exact_mut(shape.pixel);
            for (pixel, quantized) in pixels.zip(quantized) {
                pixel[channel] = quantized;
            }
        }
    }
}

/// The values of a map of `shape`, as f32 \[channel, height, width\].
///
/// # Panics
/// When a slice is shorter than the shape calls for.
pub fn dequantize(map: &[i8], shape: Map, scale: f32, zero_point: i8, output: &mut [f32]) {
    for (channel, plane) in output.chunks_exact_mut(shape.pixels()).enumerate() {
        let values = map[channel..shape.bytes()].iter().step_by(shape.pixel);
        for (output, &value) in plane.iter_mut().zip(values) {
            *output = (f32::from(value) - f32::from(zero_point)) * scale;
        }
    }
}

/// Adds two maps, the first of zero point `zero_point`.
pub fn add_maps(
    instruction_set: InstructionSet,
    addition: &Residual,
    zero_point: i8,
    maps: [&[i8]; 2],
    output: &mut [i8],
) {
    match instruction_set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni => {
            x86::vectors::add_maps(addition, zero_point, maps, output);
        }
        _ => add_values(addition, zero_point, maps, output),
    }
}

/// As [`add_maps`]; for every instruction set that the compiler makes vectors of.
#[inline(always)]
pub(super) fn add_values(
    addition: &Residual,
    zero_point: i8,
    [values, others]: [&[i8]; 2],
    output: &mut [i8],
) {
    for ((output, &value), &other) in output.iter_mut().zip(values).zip(others) {
        *output = addition.apply(value, zero_point, other);
    }
}

/// Calls `sum` for each of `channels` with its sum over all pixels of `map`.
///
/// # Panics
/// When `map` is shorter than its shape calls for, or has no such channels.
pub fn channel_sums(
    map: &[i8],
    shape: Map,
    channels: Range<usize>,
    mut sum: impl FnMut(usize, i32),
) {
    let map = &map[..shape.bytes()];
    for start in channels.clone().step_by(LANES) {
        let mut sums = [0; LANES];
        for pixel in map.chunks_exact(shape.pixel) {
            for (sum, &value) in sums.iter_mut().zip(&pixel[start..]) {
                *sum += i32::from(value);
            }
        }
        let channels = (start..channels.end).zip(sums);
        channels.for_each(|(channel, total)| sum(channel, total));
    }
}
