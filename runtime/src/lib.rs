//! How a graphtag model runs on photos: [`photo`] decodes, [`preprocess`] makes the input tensor,
//! [`network`] runs it through tract, [`Model`] puts them together, and [`tags`] decides.

pub mod engine;
pub mod frame;
pub mod kernels;
pub mod labels;
pub mod model;
pub mod network;
pub mod photo;
pub mod preprocess;
pub mod source;
pub mod tags;

pub use model::{Model, Prediction};
pub use network::{ModelError, Network, RunError};
pub use photo::PhotoError;
pub use tags::{Selection, Tag};
