//! The commands of `graphtag-tools`: each parses its arguments and calls the rest.

mod calibrate;
mod cost;
mod distill;
mod eval;
mod export;
mod golden;
mod import;
mod label;
mod labels;
mod options;
mod quantize;

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use argh::FromArgs;

/// Makes and measures graphtag's models.
#[derive(FromArgs)]
pub struct Arguments {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Calibrate(calibrate::Calibrate),
    Cost(cost::CostOf),
    Distill(distill::Distill),
    Eval(eval::Eval),
    Export(export::Export),
    Golden(golden::SetGolden),
    Import(import::Import),
    Label(label::Label),
    Labels(labels::Labels),
    Quantize(quantize::Quantize),
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever stopped it.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Calibrate(calibrate) => calibrate.run(),
            Command::Cost(cost) => cost.run(),
            Command::Distill(distill) => distill.run(),
            Command::Eval(eval) => eval.run(),
            Command::Export(export) => export.run(),
            Command::Golden(golden) => golden.run(),
            Command::Import(import) => import.run(),
            Command::Label(label) => label.run(),
            Command::Labels(labels) => labels.run(),
            Command::Quantize(quantize) => quantize.run(),
        }
    }
}

/// Prints `text` and a newline on stdout; a reader that has gone away is no error.
///
/// # Errors
/// When stdout can't be written for another reason, such as a full disk.
pub fn print_line(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("stdout"),
        _ => Ok(()),
    }
}
