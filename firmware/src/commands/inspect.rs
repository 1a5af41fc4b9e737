//! `graphtag inspect`: what a model knows, where it comes from and what it costs.

mod report;

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result};
use argh::{ArgsInfo, FromArgs};
use graphtag_models::zoo::{self, EmbeddedModel};
use graphtag_runtime::network;

use super::Outcome;
use crate::arguments::PathArgument;
use report::Report;

/// Describe a model: labels and thresholds, origin, accuracy, and cost per layer.
#[derive(ArgsInfo, FromArgs)]
#[argh(subcommand, name = "inspect")]
pub struct Inspect {
    /// text (default) or json
    #[argh(option, default = "Format::Text")]
    format: Format,
    /// a model file or the name of an embedded model; the default model if not given
    #[argh(positional)]
    model: Option<PathArgument>,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err("neither text nor json"),
        }
    }
}

/// Prints the report of a model.
///
/// # Errors
/// A model that can't be loaded, or output that can't be written.
pub fn run(options: &Inspect) -> Result<Outcome> {
    let (name, file) = find_or_default(options.model.as_ref())?;
    let report = Report::new(&name, &file).with_context(|| name.clone())?;
    let mut to = BufWriter::new(io::stdout().lock());
    match options.format {
        Format::Text => report.write_text(&mut to)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut to, &report).map_err(io::Error::from)?;
            writeln!(to)?;
        }
    }
    to.flush()?;
    Ok(Outcome::AllWell)
}

/// Name and bytes of a model file or an embedded model; of the default model if none is named.
///
/// # Errors
/// When there is no such model, or it can't be read.
pub fn find_or_default(model: Option<&PathArgument>) -> Result<(String, Cow<'static, [u8]>)> {
    match model {
        Some(model) => find(&model.0),
        None => Ok(embedded(&zoo::MODELS[0])),
    }
}

fn embedded(model: &EmbeddedModel) -> (String, Cow<'static, [u8]>) {
    (model.name.into(), Cow::Borrowed(model.bytes))
}

fn find(path: &Path) -> Result<(String, Cow<'static, [u8]>)> {
    let by_name = zoo::MODELS
        .iter()
        .find(|model| path == Path::new(model.name));
    if let (Some(model), false) = (by_name, path.exists()) {
        return Ok(embedded(model));
    }
    let name = path.display().to_string();
    let file = network::read(path).with_context(|| name.clone())?;
    Ok((name, Cow::Owned(file)))
}
