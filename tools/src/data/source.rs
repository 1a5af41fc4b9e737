//! Data sets as they are named on the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};

use super::{Dataset, coco, folder, json, nuswide, table, visual_genome, voc};

/// The layout of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// COCO's: `annotations/instances_<split>.json` and a folder of photos per split.
    Coco,
    /// The PASCAL VOC devkit's: `JPEGImages/` and `ImageSets/Main/<class>_<split>.txt`.
    Voc,
    /// A file `[{"image", "labels": [..]}]`, the photos in `images/` beside it or relative to it.
    Json,
    /// A table with the columns `image` and `labels`, the latter with semicolons between labels.
    Csv,
    /// NUS-WIDE's: `ImageList/`, `ConceptsList/`, `Groundtruth/` and `Flickr/`.
    NusWide,
    /// Visual Genome's: `objects.json`, `VG_100K/` and `VG_100K_2/`.
    VisualGenome,
    /// A folder of photos of which nothing is known.
    Folder,
}

/// The formats and what they are called.
const FORMATS: [(&str, Format); 7] = [
    ("coco", Format::Coco),
    ("voc", Format::Voc),
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("nuswide", Format::NusWide),
    ("vg", Format::VisualGenome),
    ("dir", Format::Folder),
];

/// Where a data set is: `coco:DIR`, `voc:DIR`, `json:FILE`, `csv:FILE`, `nuswide:DIR`, `vg:DIR` or `dir:DIR`. Those
/// of published layouts take a split, as in `coco:DIR@val2017` or `nuswide:DIR@test`; without one they are all
/// photos that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSource {
    /// Its layout.
    pub format: Format,
    /// Its folder or file.
    pub path: PathBuf,
    /// The only split to load.
    pub split: Option<String>,
}

impl DataSource {
    /// The names of the data set's labels, in the order of its own list where it has one. Of Visual Genome, which has
    /// none, the `most` most frequent.
    ///
    /// # Errors
    /// When the data set is not in its layout, or has no labels; names file and line.
    pub fn labels(&self, most: usize) -> Result<Vec<String>> {
        match self.format {
            Format::Coco => coco::labels(&self.path, self.split.as_deref()),
            Format::Voc => voc::labels(&self.path, self.split.as_deref()),
            Format::Json => json::labels(&self.path),
            Format::Csv => table::labels(&self.path),
            Format::NusWide => nuswide::labels(&self.path),
            Format::VisualGenome => visual_genome::labels(&self.path, most),
            Format::Folder => bail!("{self}: a folder has no labels"),
        }
    }

    /// Loads the photos with a truth for each of `labels`. Labels of the data set that are not in
    /// `labels` are ignored and noted.
    ///
    /// # Errors
    /// When the data set is not in its layout, or none of its photos exists; names file and line.
    pub fn load(&self, labels: &[String]) -> Result<Dataset> {
        let split = self.split.as_deref();
        let mut dataset = match self.format {
            Format::Coco => coco::load(&self.path, split, labels),
            Format::Voc => voc::load(&self.path, split, labels),
            Format::Json => json::load(&self.path, labels),
            Format::Csv => table::load(&self.path, labels),
            Format::NusWide => nuswide::load(&self.path, split, labels),
            Format::VisualGenome => visual_genome::load(&self.path, split, labels),
            Format::Folder => folder::load(&self.path, labels),
        }?;
        dataset.photos.sort_by(|a, b| a.name.cmp(&b.name));
        if dataset.photos.is_empty() {
            bail!("{self}: none of its photos is there");
        }
        Ok(dataset)
    }
}

impl FromStr for DataSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |name: &str| FORMATS.iter().find(|(known, _)| *known == name);
        let Some((&(_, format), path)) = text
            .split_once(':')
            .and_then(|(name, path)| Some((named(name)?, path)))
        else {
            return Err(format!(
                "{text:?} is not coco:DIR, voc:DIR, json:FILE, csv:FILE, nuswide:DIR, vg:DIR or dir:DIR"
            ));
        };
        let has_splits = !matches!(format, Format::Json | Format::Csv | Format::Folder);
        let (path, split) = match path.rsplit_once('@') {
            Some((path, split)) if has_splits && !split.contains('/') => (path, Some(split)),
            _ => (path, None),
        };
        Ok(DataSource {
            format,
            path: path.into(),
            split: split.map(String::from),
        })
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = FORMATS.iter().find(|(_, known)| *known == self.format);
        let format = named.map_or("", |(name, _)| name);
        write!(f, "{format}:{}", self.path.display())?;
        self.split
            .iter()
            .try_for_each(|split| write!(f, "@{split}"))
    }
}
