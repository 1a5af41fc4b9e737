//! Changes to what a model file says of itself.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use graphtag_models::{Metadata, onnx};

/// Replaces the metadata of the model file at `path` by what `change` makes of it; the network stays as it is.
///
/// # Errors
/// When the file can't be read or written, or is not a model of graphtag's.
pub fn change_metadata(path: &Path, change: impl FnOnce(&mut Metadata)) -> Result<()> {
    let context = || path.display().to_string();
    let file = fs::read(path).with_context(context)?;
    let changed = changed(&file, change).with_context(context)?;
    // A reader sees the old file or the new one, never a part.
    let beside = path.with_extension("onnx.new");
    fs::write(&beside, changed)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("{}: can't be written", path.display()))
}

fn changed(file: &[u8], change: impl FnOnce(&mut Metadata)) -> Result<Vec<u8>> {
    let mut metadata = Metadata::from_properties(&onnx::properties(file)?)?
        .context("not a model of graphtag's: it says nothing of itself")?;
    change(&mut metadata);
    Ok(onnx::with_metadata(file, &metadata)?)
}
