//! Lists of label names.

use std::path::Path;

use anyhow::{Result, anyhow};
use graphtag_models::labels::coco80;
use graphtag_runtime::labels;

/// The names of labels, in a folder that `graphtag-tools labels` wrote.
pub(super) const LABELS_FILE: &str = "labels.txt";

/// The labels called `name`: `coco80`, a text file with one label a line, or a folder that `graphtag-tools labels`
/// wrote.
///
/// # Errors
/// When there is no such file, or it is not a list of labels.
pub fn label_list(name: &str) -> Result<Vec<String>> {
    match name {
        "coco80" => Ok(coco80()),
        folder if Path::new(folder).is_dir() => read(&Path::new(folder).join(LABELS_FILE)),
        file => read(Path::new(file)),
    }
}

fn read(file: &Path) -> Result<Vec<String>> {
    labels::read(file).map_err(|error| {
        let file = file.display();
        anyhow!("{file}: {error}; give coco80, a file of one label a line or a folder of `labels`")
    })
}
