//! Images to quantised maps.

use std::arch::aarch64::*;

use super::finish::narrow;
use crate::kernels::geometry::{LANES, Map};
use crate::kernels::pointwise::{quantize, quantize_planes};

pub fn quantize_image(
    image: &[f32],
    shape: Map,
    (scale, zero_point): (f32, i8),
    output: &mut [i8],
) {
    if (shape.channels, shape.pixel) != (3, 4) {
        return quantize_planes(image, shape, (scale, zero_point), output);
    }
    let planes = [0, 1, 2].map(|channel| &image[channel * shape.pixels()..][..shape.pixels()]);
    let [(red, red_rest), (green, green_rest), (blue, blue_rest)] =
        planes.map(|plane| plane.as_chunks::<LANES>());
    let (pixels, rest) = output[..shape.bytes()].as_chunks_mut::<{ LANES * 4 }>();
    for (((pixels, red), green), blue) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
        // SAFETY: every aarch64 has the instruction set.
        unsafe { quantize_pixels([red, green, blue], (scale, zero_point), pixels) }
    }
    for (index, pixel) in rest.chunks_exact_mut(4).enumerate() {
        for (value, plane) in pixel.iter_mut().zip([red_rest, green_rest, blue_rest]) {
            *value = quantize(plane[index], scale, zero_point);
        }
    }
}

/// [`quantize`] of 16 pixels.
#[inline]
#[target_feature(enable = "neon")]
fn quantize_pixels(
    planes: [&[f32; LANES]; 3],
    (scale, zero_point): (f32, i8),
    output: &mut [i8; LANES * 4],
) {
    let lowest = vdupq_n_f32(-128.0 - f32::from(zero_point));
    let zero_points = vdupq_n_s16(zero_point.into());
    let scale = vdupq_n_f32(scale);
    let quantize = |plane: &[f32; LANES]| {
        let mut values = [vdupq_n_s32(0); 4];
        for (index, value) in values.iter_mut().enumerate() {
            // SAFETY: there are four times four.
            let four = unsafe { vld1q_f32(plane.as_ptr().add(index * 4)) };
            // What is no number becomes the smallest, as in the definition.
            *value = vcvtnq_s32_f32(vmaxnmq_f32(vdivq_f32(four, scale), lowest));
        }
        narrow(values, zero_points)
    };
    // SAFETY: the output holds them. The fourth byte of each pixel stays.
    unsafe {
        let mut pixels = vld4q_s8(output.as_ptr());
        pixels.0 = quantize(planes[0]);
        pixels.1 = quantize(planes[1]);
        pixels.2 = quantize(planes[2]);
        vst4q_s8(output.as_mut_ptr(), pixels);
    }
}
