//! The int8 engine: finds the quantised parts of an ONNX graph and replaces each by one operation of our own.
//!
//! A quantised part begins where an image or float map is quantised and reaches as far as there are operations
//! that the engine knows; in it feature maps stay int8, see [`crate::kernels`]. An operation is quantised by itself
//! (`QLinearConv`) or stands between `DequantizeLinear` and `QuantizeLinear`. Whatever else the graph holds runs on
//! tract, but for depthwise float convolutions on x86-64; where that is nothing, tract is not asked at all.

mod buffers;
mod constants;
mod contrib;
mod elementwise;
mod exits;
mod expressions;
mod graph;
mod operation;
mod parts;
mod planes;
mod pooling;
mod products;
mod program;
mod regions;
mod rewrite;
mod vectors;
mod walk;
mod weighted;
mod windows;

pub(crate) use contrib::expand;
pub(crate) use planes::replace_depthwise;
pub(crate) use program::Program;
pub use program::StepTime;
pub(crate) use rewrite::{Fused, fuse};
pub use rewrite::{Fusion, Unfused};
