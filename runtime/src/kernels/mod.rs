//! Integer kernels of the int8 engine, and the float one that tract lacks.
//!
//! Its feature maps are NHWC int8, channels padded to a multiple of [`LANES`]; what stands in the padding is
//! arbitrary and counts nothing. [`InstructionSet::Scalar`] is the definition: the kernels of every other instruction set
//! give the same bytes.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod aligned;
#[cfg(target_arch = "arm")]
mod arm;
mod convolution;
mod depthwise;
mod geometry;
mod instruction_set;
#[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
mod neon;
mod peak;
mod planes;
mod pointwise;
mod pooling;
mod product;
mod requantize;
mod scalar;
mod table;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use aligned::{AlignedBytes, CACHE_LINE};
pub use convolution::Convolution;
pub use depthwise::Depthwise;
pub use geometry::{LANES, Map, Window};
pub use instruction_set::InstructionSet;
pub use peak::multiply_registers;
pub use planes::{PlaneConvolution, UNBOUNDED};
pub use pointwise::{Residual, add_maps, channel_sums, dequantize, quantize, quantize_image};
pub use pooling::{AveragePool, MaxPool, TableMean};
pub use product::Product;
pub use requantize::Requantization;
pub use table::Table;

#[cfg(test)]
mod tests;
