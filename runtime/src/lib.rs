//! How a graphtag model runs on photos and streams.
//!
//! A photo: [`photo`] decodes, [`preprocess`] makes the input tensor, [`network`] runs it through tract,
//! [`Model`] puts them together, and [`tags`] decides. A stream: a [`source`] delivers frames, and [`stream`]
//! runs the model on the latest one, whose probabilities [`presence`] turns into tags over time.

pub mod engine;
pub mod frame;
pub mod golden;
pub mod kernels;
pub mod labels;
pub mod model;
pub mod network;
pub mod photo;
mod pool;
pub mod preprocess;
pub mod presence;
pub mod source;
pub mod stream;
pub mod tags;

pub use model::{Model, Prediction};
pub use network::{ModelError, Network, RunError};
pub use photo::PhotoError;
pub use tags::{Selection, Tag};
