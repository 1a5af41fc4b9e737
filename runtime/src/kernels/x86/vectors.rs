//! Plain loops that the compiler makes vectors of, compiled for AVX2.

use crate::kernels::geometry::Map;
use crate::kernels::pointwise::{Residual, add_values, quantize_planes};
use crate::kernels::product::Product;

pub fn quantize_image(image: &[f32], shape: Map, quantization: (f32, i8), output: &mut [i8]) {
    #[target_feature(enable = "avx2")]
    fn compiled(image: &[f32], shape: Map, quantization: (f32, i8), output: &mut [i8]) {
        quantize_planes(image, shape, quantization, output);
    }
    // SAFETY: the instruction set was detected.
    unsafe { compiled(image, shape, quantization, output) }
}

pub fn add_maps(addition: &Residual, zero_point: i8, maps: [&[i8]; 2], output: &mut [i8]) {
    #[target_feature(enable = "avx2")]
    fn compiled(addition: &Residual, zero_point: i8, maps: [&[i8]; 2], output: &mut [i8]) {
        add_values(addition, zero_point, maps, output);
    }
    // SAFETY: the instruction set was detected.
    unsafe { compiled(addition, zero_point, maps, output) }
}

pub fn multiply(product: &Product, maps: [&[i8]; 2], pixel: usize, output: &mut [i8]) {
    #[target_feature(enable = "avx2")]
    fn compiled(product: &Product, maps: [&[i8]; 2], pixel: usize, output: &mut [i8]) {
        product.multiply(maps, pixel, output);
    }
    // SAFETY: the instruction set was detected.
    unsafe { compiled(product, maps, pixel, output) }
}
