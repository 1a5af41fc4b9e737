//! `graphtag-tools export`: trained weights as a model file in f32.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use argh::FromArgs;

use crate::export::Deployment;

/// Write the weights of `distill` as a float model file. Its thresholds are 0.5 until `calibrate`.
#[derive(FromArgs)]
#[argh(subcommand, name = "export")]
pub struct Export {
    /// the recipe that the weights were trained by
    #[argh(option)]
    recipe: PathBuf,
    /// the weights, as `distill` writes them
    #[argh(option)]
    weights: PathBuf,
    /// the record of the training; training.json beside the weights by default
    #[argh(option)]
    training: Option<PathBuf>,
    /// the ONNX file to write; the model is called as it is
    #[argh(option)]
    out: PathBuf,
}

impl Export {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let training = self.training.as_deref();
        let deployment = open(&self.recipe, &self.weights, training, &self.out)?;
        write(&self.out, &deployment.float()?)
    }
}

/// Opens what is to be written to `out`.
pub(super) fn open(
    recipe: &Path,
    weights: &Path,
    training: Option<&Path>,
    out: &Path,
) -> Result<Deployment> {
    let beside = weights.with_file_name("training.json");
    let name = out.file_stem().unwrap_or(out.as_os_str()).to_string_lossy();
    Deployment::open(recipe, weights, training.unwrap_or(&beside), &name)
}

/// Writes a model file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("{}: can't be written", path.display()))
}
