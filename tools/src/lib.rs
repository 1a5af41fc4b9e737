//! graphtag's training side: data sets, teachers, training, quantisation, export and evaluation.
//!
//! Errors are [`anyhow::Error`]s: they end up as one line on stderr.

pub mod commands;
pub mod data;
pub mod distill;
pub mod evaluate;
pub mod export;
pub mod import;
pub mod metrics;
pub mod model_file;
pub mod mosaics;
pub mod progress;
pub mod quantize;
pub mod teacher;
pub mod thresholds;
pub mod training;
