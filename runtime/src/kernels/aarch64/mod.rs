//! Kernels for aarch64.
#![allow(unsafe_code)]

mod convolution;
pub mod depthwise;
pub mod dotprod;
mod finish;
pub mod i8mm;
pub mod image;
pub mod neon;
mod products;

/// Whether two products of `weights` and any bytes always fit into 16 bits: 2 * 128 * 127 does, 2 * 128 * 128
/// does not.
pub fn products_pair(weights: &[i8]) -> bool {
    !weights.contains(&i8::MIN)
}
