//! Checkpoints: tensors in a file that bears the key of what they belong to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use graphtag_models::Weights;

/// Writes `weights` under `key`; whoever reads finds the old file or the new one whole.
///
/// # Errors
/// When the file can't be written.
pub fn save(path: &Path, key: &str, weights: &Weights) -> Result<()> {
    let metadata = BTreeMap::from([("key".to_string(), key.to_string())]);
    let bytes = weights.to_safetensors(&metadata)?;
    let temporary = path.with_extension("part");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| path.display().to_string())
}

/// What was saved under `key`, if there is such a file.
///
/// # Errors
/// When the file can't be read or bears another key.
pub fn load(path: &Path, key: &str) -> Result<Option<Weights>> {
    let context = || path.display().to_string();
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.with_context(context)?,
    };
    let metadata = Weights::safetensors_metadata(&bytes).with_context(context)?;
    ensure!(
        metadata.get("key").is_some_and(|found| found == key),
        "{}: a checkpoint of another recipe, data or weights; use another folder or remove it",
        path.display()
    );
    Ok(Some(
        Weights::from_safetensors(&bytes).with_context(context)?,
    ))
}
