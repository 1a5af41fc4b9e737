//! How a graphtag model runs on photos.

pub mod network;
pub mod photo;
pub mod preprocess;
