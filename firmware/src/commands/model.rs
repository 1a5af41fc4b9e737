//! The model that a command is to run.

use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use graphtag_models::zoo;
use graphtag_runtime::Model;

/// More threads than any device has cores.
const MAX_THREADS: usize = 256;

/// Loads the model at `path`, or the embedded one, with the labels of a file where it has none.
///
/// # Errors
/// Names the model that is not usable, and why.
pub fn load(path: Option<&Path>, labels: Option<&Path>) -> Result<Model> {
    let model = match (path, labels) {
        (Some(path), Some(labels)) => Model::foreign(path, labels),
        (Some(path), None) => Model::open(path),
        (None, None) => Model::embedded(),
        (None, Some(_)) => bail!("--labels is of use with --model only"),
    };
    model.with_context(|| name(path))
}

/// Has `model`, which was loaded from `path`, run on `threads` threads.
///
/// # Errors
/// When they are too many.
pub fn with_threads(model: Model, path: Option<&Path>, threads: NonZeroUsize) -> Result<Model> {
    ensure!(
        threads.get() <= MAX_THREADS,
        "--threads: {threads} are more than {MAX_THREADS}"
    );
    model.with_threads(threads).with_context(|| name(path))
}

/// What a message calls the model at `path`, or the embedded one.
pub fn name(path: Option<&Path>) -> String {
    match path {
        Some(path) => path.display().to_string(),
        None => format!("embedded model {}", zoo::MODELS[0].name),
    }
}
