//! `graphtag-tools golden`: the photo on which a model is checked before it is used.

use std::path::PathBuf;

use anyhow::{Context, Result};
use argh::FromArgs;
use graphtag_runtime::{Model, golden, photo};

use super::print_line;
use crate::model_file::change_metadata;

/// Put a small JPEG into a model file, with the probabilities that the engine which ships gives for it here. A device
/// that gets others refuses the model.
#[derive(FromArgs)]
#[argh(subcommand, name = "golden")]
pub struct SetGolden {
    /// the model file to change
    #[argh(option)]
    model: PathBuf,
    /// the photo, a JPEG of at most 256 KiB and one megapixel
    #[argh(option)]
    photo: PathBuf,
}

impl SetGolden {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let model = Model::open(&self.model).with_context(|| self.model.display().to_string())?;
        let named = || self.photo.display().to_string();
        let photo = photo::read_bytes(&self.photo).with_context(named)?;
        let golden = golden::record(&model, photo).with_context(named)?;
        let likeliest = golden.probabilities.iter().zip(&model.metadata().labels);
        let likeliest = likeliest.max_by(|(a, _), (b, _)| a.total_cmp(b));
        let text = likeliest.map(|(probability, label)| format!("{label} {probability:.3}"));
        change_metadata(&self.model, |metadata| metadata.golden = Some(golden))?;
        print_line(&text.unwrap_or_default())
    }
}
