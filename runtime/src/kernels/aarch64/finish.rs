//! From 32-bit sums to the bytes of an output map.

use std::arch::aarch64::*;

use crate::kernels::geometry::LANES;
use crate::kernels::pointwise::Residual;
use crate::kernels::requantize::Requantization;

/// The biases of the 16 channels from `channel` on.
///
/// # Safety
/// `bias` must hold the channels.
#[inline(always)]
pub unsafe fn bias(bias: &[i32], channel: usize) -> [int32x4_t; 4] {
    // SAFETY: the caller's.
    unsafe {
        let bias = bias.as_ptr().add(channel);
        [
            vld1q_s32(bias),
            vld1q_s32(bias.add(4)),
            vld1q_s32(bias.add(8)),
            vld1q_s32(bias.add(12)),
        ]
    }
}

/// The constants of a requantisation.
pub struct Finish<'a> {
    requantization: &'a Requantization,
    /// Bytes from one output pixel to the next.
    pixel: usize,
    zero_point: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
}

impl<'a> Finish<'a> {
    /// For the outputs of a map of `pixel` bytes a pixel.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn new(requantization: &'a Requantization, pixel: usize) -> Self {
        Finish {
            requantization,
            pixel,
            zero_point: vdupq_n_s16(requantization.zero_point.into()),
            low: vdupq_n_s8(requantization.low),
            high: vdupq_n_s8(requantization.high),
        }
    }

    /// Stores the outputs of the sums of 16 channels from `channel` on of the pixels from `output` on.
    ///
    /// # Safety
    /// The channels must exist, and `output` must hold the pixels.
    #[inline]
    #[target_feature(enable = "neon")]
    pub unsafe fn store<const P: usize>(
        &self,
        sums: [[int32x4_t; 4]; P],
        channel: usize,
        output: *mut i8,
    ) {
        // SAFETY: the caller's; there is a multiplier for every channel.
        unsafe {
            let multipliers = self.requantization.multipliers.as_ptr().add(channel);
            let multipliers = [
                vld1q_f32(multipliers),
                vld1q_f32(multipliers.add(4)),
                vld1q_f32(multipliers.add(8)),
                vld1q_f32(multipliers.add(12)),
            ];
            for (index, sums) in sums.into_iter().enumerate() {
                let place = output.add(index * self.pixel + channel);
                vst1q_s8(place, self.bytes(sums, multipliers));
            }
        }
    }

    /// The outputs of the sums of 16 channels. All steps from the product on saturate, so they may be clamped
    /// last.
    #[inline]
    #[target_feature(enable = "neon")]
    fn bytes(&self, mut sums: [int32x4_t; 4], multipliers: [float32x4_t; 4]) -> int8x16_t {
        for (sum, multipliers) in sums.iter_mut().zip(multipliers) {
            *sum = vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(*sum), multipliers));
        }
        vminq_s8(vmaxq_s8(narrow(sums, self.zero_point), self.low), self.high)
    }

    /// Adds the `count` pixels of `others` to the pixels from `output` on.
    ///
    /// # Safety
    /// `output` must hold the pixels.
    #[inline(never)]
    #[target_feature(enable = "neon")]
    pub unsafe fn add(&self, addition: &Residual, others: &[i8], output: *mut i8, count: usize) {
        let others = others[..count * self.pixel].as_chunks::<LANES>().0;
        for (index, others) in others.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let place = output.add(index * LANES);
                let values = vld1q_s8(place);
                let zero_point = self.requantization.zero_point;
                let others = vld1q_s8(others.as_ptr());
                vst1q_s8(place, add(addition, values, zero_point, others));
            }
        }
    }
}

/// 16 outputs, given without their zero point, as saturated bytes.
#[inline]
#[target_feature(enable = "neon")]
pub fn narrow([a, b, c, d]: [int32x4_t; 4], zero_point: int16x8_t) -> int8x16_t {
    let low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), zero_point);
    let high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), zero_point);
    vqmovn_high_s16(vqmovn_s16(low), high)
}

/// [`Residual::apply`], 16 times.
#[inline]
#[target_feature(enable = "neon")]
fn add(addition: &Residual, values: int8x16_t, zero_point: i8, others: int8x16_t) -> int8x16_t {
    let values = dequantize(values, zero_point, addition.scale);
    let others = dequantize(others, addition.other_zero_point, addition.other_scale);
    let lowest = vdupq_n_f32(-128.0 - f32::from(addition.sum_zero_point));
    let scale = vdupq_n_f32(addition.sum_scale);
    let mut sums = [vdupq_n_s32(0); 4];
    for (index, sum) in sums.iter_mut().enumerate() {
        let quotients = vdivq_f32(vaddq_f32(values[index], others[index]), scale);
        // Infinities of both signs have a sum that is no number; the definition takes it for the smallest.
        *sum = vcvtnq_s32_f32(vmaxnmq_f32(quotients, lowest));
    }
    narrow(sums, vdupq_n_s16(addition.sum_zero_point.into()))
}

/// What 16 bytes stand for.
#[inline]
#[target_feature(enable = "neon")]
fn dequantize(values: int8x16_t, zero_point: i8, scale: f32) -> [float32x4_t; 4] {
    let zero_point = vdupq_n_s8(zero_point);
    let low = vsubl_s8(vget_low_s8(values), vget_low_s8(zero_point));
    let high = vsubl_high_s8(values, zero_point);
    let quarters = [
        vmovl_s16(vget_low_s16(low)),
        vmovl_high_s16(low),
        vmovl_s16(vget_low_s16(high)),
        vmovl_high_s16(high),
    ];
    let mut values = [vdupq_n_f32(0.0); 4];
    for (value, quarter) in values.iter_mut().zip(quarters) {
        *value = vmulq_n_f32(vcvtq_f32_s32(quarter), scale);
    }
    values
}
