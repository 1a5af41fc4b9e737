//! Visual Genome's layout: the objects that people saw in `objects.json`, photos in `VG_100K/` and
//! `VG_100K_2/`. A photo's labels are the names of its objects; what nobody named counts as absent.
//!
//! The splits of VG-500 (Chen et al. 2019) are lists of file names, `train_list_500.txt` and
//! `test_list_500.txt`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::vocabulary::{Vocabulary, missing_note};
use super::{Dataset, Photo, Truth, base_name};

const FOLDERS: [&str; 2] = ["VG_100K", "VG_100K_2"];

#[derive(Deserialize)]
struct Image {
    #[serde(alias = "id")]
    image_id: u64,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    names: Vec<String>,
}

impl Image {
    /// The names of its objects, each once.
    fn names(&self) -> BTreeSet<String> {
        let names = self.objects.iter().flat_map(|object| &object.names);
        names.map(|name| name.trim().to_lowercase()).collect()
    }
}

/// The `most` names that the most photos have, the most frequent first.
pub(super) fn labels(folder: &Path, most: usize) -> Result<Vec<String>> {
    let mut photos: BTreeMap<String, usize> = BTreeMap::new();
    for name in read(folder)?.iter().flat_map(Image::names) {
        *photos.entry(name).or_default() += 1;
    }
    let mut names: Vec<(String, usize)> = photos.into_iter().collect();
    // Stable, so names of one frequency stay in alphabetical order.
    names.sort_by_key(|(_, photos)| std::cmp::Reverse(*photos));
    Ok(names.into_iter().take(most).map(|(name, _)| name).collect())
}

/// Loads the data set in `folder`.
pub(super) fn load(folder: &Path, split: Option<&str>, labels: &[String]) -> Result<Dataset> {
    let base = base_name(folder)?;
    let listed = split.map(|split| read_list(folder, split)).transpose()?;
    let mut vocabulary = Vocabulary::new(labels);
    let (mut photos, mut missing) = (vec![], vec![]);
    for image in read(folder)? {
        let file = format!("{}.jpg", image.image_id);
        if listed
            .as_ref()
            .is_some_and(|listed| !listed.contains(&file))
        {
            continue;
        }
        let relative = FOLDERS.map(|photos| format!("{photos}/{file}"));
        let Some(relative) = relative.into_iter().find(|r| folder.join(r).is_file()) else {
            missing.push(file);
            continue;
        };
        let mut truth = vec![Truth::Negative; labels.len()];
        for label in image
            .names()
            .iter()
            .filter_map(|name| vocabulary.find(name))
        {
            truth[label] = Truth::Positive;
        }
        photos.push(Photo {
            name: format!("{base}/{relative}"),
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

fn read(folder: &Path) -> Result<Vec<Image>> {
    let path = folder.join("objects.json");
    let name = path.display();
    let file = File::open(&path).with_context(|| format!("{name}: can't be read"))?;
    // serde_json tells the line.
    serde_json::from_reader(BufReader::new(file))
        .with_context(|| format!("{name}: not Visual Genome's objects"))
}

fn read_list(folder: &Path, split: &str) -> Result<HashSet<String>> {
    let path = folder.join(format!("{split}_list_500.txt"));
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("{}: can't be read", path.display()))?;
    Ok(text.lines().map(|line| line.trim().to_string()).collect())
}
