//! Kernels for aarch64.
#![allow(unsafe_code)]

pub mod depthwise;
pub mod dotprod;
mod finish;
pub mod i8mm;
pub mod image;
pub mod neon;
pub mod peak;
mod products;
