//! PASCAL VOC's layout. Its image sets say of each class 1 (there), -1 (not there) or 0 (there, but
//! difficult: unknown to us). Labels that are not classes of VOC are unknown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::vocabulary::{Vocabulary, missing_note};
use super::{Dataset, Photo, Truth, photos_in};

/// VOC classes under the names that COCO gives them; the other classes bear the same name.
const COCO_NAMES: [(&str, &str); 6] = [
    ("aeroplane", "airplane"),
    ("diningtable", "dining table"),
    ("motorbike", "motorcycle"),
    ("pottedplant", "potted plant"),
    ("sofa", "couch"),
    ("tvmonitor", "tv"),
];

/// Loads the data set in `folder`. Photos that are in no image set are all unknown; they are left out
/// when one `split` is asked for.
pub(super) fn load(folder: &Path, split: Option<&str>, labels: &[String]) -> Result<Dataset> {
    let mut vocabulary = Vocabulary::new(labels);
    let mut truths: BTreeMap<String, Vec<Truth>> = BTreeMap::new();
    for (class, file) in image_sets(&folder.join("ImageSets").join("Main"), split)? {
        let label = vocabulary.find(coco_name(&class));
        for (photo, truth) in read_image_set(&file)? {
            let truths = truths
                .entry(photo)
                .or_insert_with(|| vec![Truth::Unknown; labels.len()]);
            if let Some(label) = label {
                truths[label] = truth;
            }
        }
    }

    let mut photos = vec![];
    for file in photos_in(&[folder.to_path_buf()])? {
        let id = file.path.file_stem().unwrap_or_default().to_string_lossy();
        let truth = truths.remove(id.as_ref());
        if truth.is_none() && split.is_some() {
            continue;
        }
        photos.push(Photo {
            name: file.name,
            path: file.path,
            truth: truth.unwrap_or_else(|| vec![Truth::Unknown; labels.len()]),
        });
    }
    let missing: Vec<String> = truths.into_keys().collect();
    let notes = [vocabulary.note(), missing_note(&missing)];
    Ok(Dataset {
        photos,
        notes: notes.into_iter().flatten().collect(),
    })
}

/// The classes, under COCO's names, in alphabetical order of VOC's.
pub(super) fn labels(folder: &Path, split: Option<&str>) -> Result<Vec<String>> {
    let sets = image_sets(&folder.join("ImageSets").join("Main"), split)?;
    let mut labels: Vec<String> = sets
        .iter()
        .map(|(class, _)| coco_name(class).into())
        .collect();
    labels.dedup();
    Ok(labels)
}

fn coco_name(class: &str) -> &str {
    let known = COCO_NAMES.iter().find(|(voc, _)| *voc == class);
    known.map_or(class, |(_, coco)| coco)
}

/// The class and path of each `<class>_<split>.txt`, in sorted order.
fn image_sets(folder: &Path, only: Option<&str>) -> Result<Vec<(String, PathBuf)>> {
    let context = || format!("{}: can't be read", folder.display());
    let mut files = vec![];
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|extension| extension == "txt")
            && let Some((class, split)) = stem.and_then(|stem| stem.rsplit_once('_'))
            && only.is_none_or(|only| only == split)
        {
            files.push((class.to_string(), path));
        }
    }
    if files.is_empty() {
        let wanted = only.unwrap_or("<split>");
        bail!("{}: no <class>_{wanted}.txt here", folder.display());
    }
    files.sort();
    Ok(files)
}

fn read_image_set(path: &Path) -> Result<Vec<(String, Truth)>> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{name}: can't be read"))?;
    let mut photos = vec![];
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (photo, truth) = match words[..] {
            [] => continue,
            [photo, "1"] => (photo, Truth::Positive),
            [photo, "-1"] => (photo, Truth::Negative),
            [photo, "0"] => (photo, Truth::Unknown),
            _ => bail!("{name}:{number}: {line:?} is not a photo and 1, -1 or 0"),
        };
        photos.push((photo.to_string(), truth));
    }
    Ok(photos)
}
