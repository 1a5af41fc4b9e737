//! COCO's layout. A box of a category makes its label positive; a category without one is negative.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::vocabulary::{Vocabulary, missing_note};
use super::{Dataset, Photo, Truth, base_name};

#[derive(Deserialize)]
struct Instances {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

/// Loads the data set in `folder`.
pub(super) fn load(folder: &Path, split: Option<&str>, labels: &[String]) -> Result<Dataset> {
    let base = base_name(folder)?;
    let mut photos = vec![];
    let mut missing = vec![];
    let mut vocabulary = Vocabulary::new(labels);
    for (split, annotations) in annotation_files(folder, split)? {
        let instances = read(&annotations)?;
        let Some(photo_folder) = photo_folder(folder, &split) else {
            missing.extend(instances.images.into_iter().map(|image| image.file_name));
            continue;
        };
        for (file_name, truth) in truths(instances, &annotations, labels.len(), &mut vocabulary)? {
            let relative = photo_folder.join(&file_name);
            let path = folder.join(&relative);
            if path.is_file() {
                let name = format!("{base}/{}", relative.display());
                photos.push(Photo { name, path, truth });
            } else {
                missing.push(file_name);
            }
        }
    }
    let notes = [vocabulary.note(), missing_note(&missing)];
    Ok(Dataset {
        photos,
        notes: notes.into_iter().flatten().collect(),
    })
}

/// The categories, in the order of their ids.
pub(super) fn labels(folder: &Path, split: Option<&str>) -> Result<Vec<String>> {
    let mut categories = BTreeMap::new();
    for (_, annotations) in annotation_files(folder, split)? {
        let instances = read(&annotations)?;
        categories.extend(instances.categories.into_iter().map(|c| (c.id, c.name)));
    }
    Ok(categories.into_values().collect())
}

/// The split and path of each `instances_<split>.json`.
fn annotation_files(folder: &Path, only: Option<&str>) -> Result<BTreeMap<String, PathBuf>> {
    let annotations = folder.join("annotations");
    let context = || format!("{}: can't be read", annotations.display());
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&annotations).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let file_name = path.file_name().and_then(|name| name.to_str());
        let split = file_name
            .and_then(|name| name.strip_prefix("instances_"))
            .and_then(|name| name.strip_suffix(".json"));
        if let Some(split) = split
            && only.is_none_or(|only| only == split)
        {
            files.insert(split.to_string(), path);
        }
    }
    if files.is_empty() {
        let wanted = only.unwrap_or("*");
        bail!("{}: no instances_{wanted}.json here", annotations.display());
    }
    Ok(files)
}

/// The folder of a split's photos, relative to the data set's.
fn photo_folder(folder: &Path, split: &str) -> Option<PathBuf> {
    [
        PathBuf::from(split),
        Path::new("images").join(split),
        "images".into(),
    ]
    .into_iter()
    .find(|relative| folder.join(relative).is_dir())
}

fn read(path: &Path) -> Result<Instances> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name}: can't be read"))?;
    serde_json::from_reader(BufReader::new(file))
        .with_context(|| format!("{name}: not COCO's instances"))
}

/// File name and truths of each photo.
fn truths(
    instances: Instances,
    file: &Path,
    labels: usize,
    vocabulary: &mut Vocabulary,
) -> Result<Vec<(String, Vec<Truth>)>> {
    let mut absent = vec![Truth::Unknown; labels];
    let mut by_category = HashMap::new();
    for category in instances.categories {
        let label = vocabulary.find(&category.name);
        if let Some(label) = label {
            absent[label] = Truth::Negative;
        }
        by_category.insert(category.id, label);
    }
    let mut photos = vec![];
    let mut by_image = HashMap::new();
    for image in instances.images {
        by_image.insert(image.id, photos.len());
        photos.push((image.file_name, absent.clone()));
    }
    for Annotation {
        image_id,
        category_id,
    } in instances.annotations
    {
        let file = file.display();
        let Some(label) = by_category.get(&category_id) else {
            bail!(
                "{file}: an annotation of image {image_id} has the unknown category {category_id}"
            );
        };
        let Some(&photo) = by_image.get(&image_id) else {
            bail!("{file}: an annotation is of image {image_id}, which is not in the file");
        };
        if let Some(label) = *label {
            photos[photo].1[label] = Truth::Positive;
        }
    }
    Ok(photos)
}
