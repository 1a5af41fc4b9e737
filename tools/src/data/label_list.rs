//! Lists of label names.

use std::path::Path;

use anyhow::{Result, anyhow};
use graphtag_models::labels::coco80;
use graphtag_runtime::labels;

/// The labels called `name`: `coco80`, or a text file with one label a line.
///
/// # Errors
/// When there is no such file, or it is not a list of labels.
pub fn label_list(name: &str) -> Result<Vec<String>> {
    match name {
        "coco80" => Ok(coco80()),
        file => labels::read(Path::new(file))
            .map_err(|error| anyhow!("{file}: {error}; give coco80 or a file of one label a line")),
    }
}
