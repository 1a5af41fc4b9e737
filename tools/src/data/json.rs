//! A JSON file of photos and their labels. The labels of a photo are taken as complete: every label
//! that is not among them is negative.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::vocabulary::{Vocabulary, missing_note};
use super::{Dataset, Photo, Truth, base_name};

#[derive(Deserialize)]
struct Entry {
    image: String,
    labels: Vec<String>,
}

fn read(file: &Path) -> Result<Vec<Entry>> {
    let file_name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("{file_name}: can't be read"))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{file_name}: not [{{\"image\", \"labels\": [..]}}]"))
}

/// All labels in alphabetical order.
pub(super) fn labels(file: &Path) -> Result<Vec<String>> {
    let labels = read(file)?.into_iter().flat_map(|entry| entry.labels);
    let labels: BTreeSet<String> = labels.collect();
    Ok(labels.into_iter().collect())
}

/// Loads the data set in `file`.
pub(super) fn load(file: &Path, labels: &[String]) -> Result<Dataset> {
    let entries = read(file)?;
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let base = base_name(folder)?;
    let mut vocabulary = Vocabulary::new(labels);
    let mut missing = vec![];
    let mut photos = vec![];
    for Entry {
        image,
        labels: names,
    } in entries
    {
        let Some(relative) = find(folder, &image) else {
            missing.push(image);
            continue;
        };
        let mut truth = vec![Truth::Negative; labels.len()];
        for label in names.iter().filter_map(|name| vocabulary.find(name)) {
            truth[label] = Truth::Positive;
        }
        photos.push(Photo {
            name: format!("{base}/{}", relative.display()),
            path: folder.join(relative),
            truth,
        });
    }
    let notes = [vocabulary.note(), missing_note(&missing)];
    Ok(Dataset {
        photos,
        notes: notes.into_iter().flatten().collect(),
    })
}

/// The path of a photo relative to the file's folder.
fn find(folder: &Path, image: &str) -> Option<PathBuf> {
    [Path::new("images").join(image), image.into()]
        .into_iter()
        .find(|relative| folder.join(relative).is_file())
}
