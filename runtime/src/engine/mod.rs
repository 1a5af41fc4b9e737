//! The int8 engine: finds the quantised parts of a tract graph and replaces each by one operation of our own.
//!
//! A quantised part begins where an image or float map is quantised and reaches as far as there are operations
//! that the engine knows; in it feature maps stay int8, see [`crate::kernels`]. Whatever else the graph holds
//! runs on tract.

mod constants;
mod operation;
mod program;
mod regions;
mod rewrite;

pub(crate) use program::Program;
pub use program::StepTime;
pub(crate) use rewrite::fuse;
pub use rewrite::{Fusion, Unfused};
