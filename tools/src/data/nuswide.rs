//! NUS-WIDE's layout: lists of photos, and for each of the 81 concepts a file that says 1 or 0 of the photo in
//! the same line of the list.
//!
//! `ConceptsList/Concepts81.txt`; `ImageList/Imagelist.txt` with `Groundtruth/AllLabels/Labels_<concept>.txt`, or of a
//! split `ImageList/TrainImagelist.txt` with `Groundtruth/TrainTestLabels/Labels_<concept>_Train.txt`; photos
//! in `Flickr/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::vocabulary::{Vocabulary, missing_note};
use super::{Dataset, Photo, Truth, base_name};

/// Where the photos are.
const PHOTOS: &str = "Flickr";

/// The list of photos of a split, and the label file of a concept.
fn files(folder: &Path, split: Option<&str>) -> Result<(PathBuf, impl Fn(&str) -> PathBuf)> {
    let part = match split {
        None => "",
        Some("train") => "Train",
        Some("test") => "Test",
        Some(other) => bail!("NUS-WIDE has the splits train and test, not {other}"),
    };
    let list = folder.join(format!("ImageList/{part}Imagelist.txt"));
    let truth = folder.join("Groundtruth");
    let labels = move |concept: &str| match part {
        "" => truth.join(format!("AllLabels/Labels_{concept}.txt")),
        part => truth.join(format!("TrainTestLabels/Labels_{concept}_{part}.txt")),
    };
    Ok((list, labels))
}

/// The concepts, in the order of their list.
pub(super) fn labels(folder: &Path) -> Result<Vec<String>> {
    let file = folder.join("ConceptsList/Concepts81.txt");
    let text = read(&file)?;
    let concepts: Vec<String> = text.lines().map(|line| line.trim().to_string()).collect();
    ensure!(
        !concepts.iter().any(String::is_empty),
        "{}: a line is empty",
        file.display()
    );
    Ok(concepts)
}

/// Loads the data set in `folder`.
pub(super) fn load(folder: &Path, split: Option<&str>, labels: &[String]) -> Result<Dataset> {
    let base = base_name(folder)?;
    let (list, label_file) = files(folder, split)?;
    let text = read(&list)?;
    // The lists are from Windows.
    let names: Vec<String> = text.lines().map(|n| n.trim().replace('\\', "/")).collect();
    let mut truths = vec![vec![Truth::Unknown; labels.len()]; names.len()];
    let mut vocabulary = Vocabulary::new(labels);
    for concept in self::labels(folder)? {
        let Some(label) = vocabulary.find(&concept) else {
            continue;
        };
        let file = label_file(&concept);
        let told = read_truths(&file)?;
        ensure!(
            told.len() == names.len(),
            "{}: {} lines for the {} photos of {}",
            file.display(),
            told.len(),
            names.len(),
            list.display()
        );
        for (truths, told) in truths.iter_mut().zip(told) {
            truths[label] = told;
        }
    }
    let (mut photos, mut missing) = (vec![], vec![]);
    for (name, truth) in names.into_iter().zip(truths) {
        let path = folder.join(PHOTOS).join(&name);
        if path.is_file() {
            let name = format!("{base}/{PHOTOS}/{name}");
            photos.push(Photo { name, path, truth });
        } else {
            missing.push(name);
        }
    }
    let notes = [vocabulary.note(), missing_note(&missing)];
    Ok(Dataset {
        photos,
        notes: notes.into_iter().flatten().collect(),
    })
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("{}: can't be read", file.display()))
}

fn read_truths(file: &Path) -> Result<Vec<Truth>> {
    let text = read(file)?;
    let truth = |(number, line): (usize, &str)| match line.trim() {
        "1" => Ok(Truth::Positive),
        "0" => Ok(Truth::Negative),
        other => bail!("{}:{number}: {other:?} is not 1 or 0", file.display()),
    };
    (1..).zip(text.lines()).map(truth).collect()
}
