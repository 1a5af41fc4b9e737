//! `graphtag config`: a configuration to begin with.

use std::io::{self, Write};

use anyhow::Result;
use argh::FromArgs;

use super::Outcome;
use crate::service::settings;

/// Print a commented configuration file for graphtag run.
#[derive(FromArgs)]
#[argh(subcommand, name = "config")]
pub struct Config {}

/// Prints it.
///
/// # Errors
/// When standard output can't be written.
pub fn run() -> Result<Outcome> {
    io::stdout().write_all(settings::DEFAULT.as_bytes())?;
    Ok(Outcome::AllWell)
}
