//! Products of two maps.

use super::instruction_set::InstructionSet;
use super::requantize::round_to_even;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// Products of values of two maps: dequantised, multiplied and quantised again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Product {
    /// Zero points of the two maps.
    pub zero_points: [i8; 2],
    /// Scale of the one times that of the other, divided by that of the product.
    pub multiplier: f32,
    /// Zero point of the product.
    pub zero_point: i8,
}

impl Product {
    /// Multiplies pixels of `pixel` bytes of `values` by those of `factors`, which begin anew when they end: a single
    /// pixel is a factor for every channel.
    pub fn run(
        &self,
        instruction_set: InstructionSet,
        maps: [&[i8]; 2],
        pixel: usize,
        output: &mut [i8],
    ) {
        match instruction_set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 | InstructionSet::Avx512Vnni => {
                x86::vectors::multiply(self, maps, pixel, output);
            }
            _ => self.multiply(maps, pixel, output),
        }
    }

    /// As [`Product::run`]; for every instruction set that the compiler makes vectors of.
    #[inline(always)]
    pub(super) fn multiply(&self, [values, factors]: [&[i8]; 2], pixel: usize, output: &mut [i8]) {
        let [zero_point, factors_zero_point] = self.zero_points.map(i32::from);
        let offset = f32::from(self.zero_point);
        let pixels = output
            .chunks_exact_mut(pixel)
            .zip(values.chunks_exact(pixel));
        for ((output, values), factors) in pixels.zip(factors.chunks_exact(pixel).cycle()) {
            for ((output, &value), &factor) in output.iter_mut().zip(values).zip(factors) {
                let (value, factor) = (i32::from(value), i32::from(factor));
                let product = (value - zero_point) * (factor - factors_zero_point);
                let value = product as f32 * self.multiplier;
                let clamped = value.max(-128.0 - offset).min(127.0 - offset);
                *output = (round_to_even(clamped) + i32::from(self.zero_point)) as i8;
            }
        }
    }
}
