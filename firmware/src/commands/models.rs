//! `graphtag models`: the models inside the binary.

use std::io::{self, Write};

use anyhow::{Context, Result};
use argh::{ArgsInfo, FromArgs};
use graphtag_models::{Metadata, onnx, zoo};

use super::Outcome;

/// List the embedded models; the first is the default.
#[derive(ArgsInfo, FromArgs)]
#[argh(subcommand, name = "models")]
pub struct Models {}

/// Prints a line per embedded model.
///
/// # Errors
/// Output that can't be written.
pub fn run(_: &Models) -> Result<Outcome> {
    let mut to = io::stdout().lock();
    let names = zoo::MODELS.iter().map(|model| model.name.len());
    let column = names.max().unwrap_or(0);
    for model in &zoo::MODELS {
        let megabytes = model.bytes.len() as f64 / 1e6;
        let metadata = Metadata::from_properties(&onnx::properties(model.bytes)?)
            .with_context(|| format!("embedded model {}", model.name))?;
        write!(to, "{:<column$}  {megabytes:.2} MB", model.name)?;
        if let Some(metadata) = metadata {
            write!(to, "  {} labels", metadata.labels.len())?;
            if let Some(architecture) = &metadata.architecture {
                write!(to, "  {architecture}")?;
            }
            if let Some(accuracy) = metadata.accuracy.first() {
                write!(to, "  mAP {:.3} on {}", accuracy.map, accuracy.data)?;
            }
        }
        writeln!(to)?;
    }
    Ok(Outcome::AllWell)
}
