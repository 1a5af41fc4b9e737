//! A CSV file with the columns `image` and `labels`: a photo's path, relative to the file, and its labels with
//! semicolons between. The labels of a photo are taken as complete.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::vocabulary::{Vocabulary, missing_note};
use super::{Dataset, Photo, Truth, base_name};

#[derive(Deserialize)]
struct Row {
    image: String,
    labels: String,
}

impl Row {
    fn labels(&self) -> impl Iterator<Item = &str> {
        let labels = self.labels.split(';').map(str::trim);
        labels.filter(|label| !label.is_empty())
    }
}

/// All labels in alphabetical order.
pub(super) fn labels(file: &Path) -> Result<Vec<String>> {
    let rows = read(file)?;
    let labels: BTreeSet<&str> = rows.iter().flat_map(Row::labels).collect();
    Ok(labels.into_iter().map(String::from).collect())
}

/// Loads the data set in `file`.
pub(super) fn load(file: &Path, labels: &[String]) -> Result<Dataset> {
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let base = base_name(folder)?;
    let mut vocabulary = Vocabulary::new(labels);
    let (mut photos, mut missing) = (vec![], vec![]);
    for row in read(file)? {
        let path = folder.join(&row.image);
        if !path.is_file() {
            missing.push(row.image);
            continue;
        }
        let mut truth = vec![Truth::Negative; labels.len()];
        for label in row.labels().filter_map(|name| vocabulary.find(name)) {
            truth[label] = Truth::Positive;
        }
        photos.push(Photo {
            name: format!("{base}/{}", row.image),
            path,
            truth,
        });
    }
    let notes = [vocabulary.note(), missing_note(&missing)];
    Ok(Dataset {
        photos,
        notes: notes.into_iter().flatten().collect(),
    })
}

fn read(file: &Path) -> Result<Vec<Row>> {
    let name = file.display();
    let mut reader =
        csv::Reader::from_path(file).with_context(|| format!("{name}: can't be read"))?;
    let headers = reader.headers().with_context(|| format!("{name}:1"))?;
    for column in ["image", "labels"] {
        ensure!(
            headers.iter().any(|header| header == column),
            "{name}:1: there is no column {column:?}"
        );
    }
    let mut rows = vec![];
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        let context = || format!("{name}:{line}");
        if !reader.read_record(&mut record).with_context(context)? {
            return Ok(rows);
        }
        let headers = reader.headers().with_context(context)?;
        rows.push(record.deserialize(Some(headers)).with_context(context)?);
    }
}
