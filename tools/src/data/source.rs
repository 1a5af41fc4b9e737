//! Data sets as they are named on the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};

use super::{Dataset, coco, folder, json, voc};

/// The layout of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// COCO's: `annotations/instances_<split>.json` and a folder of photos per split.
    Coco,
    /// The PASCAL VOC devkit's: `JPEGImages/` and `ImageSets/Main/<class>_<split>.txt`.
    Voc,
    /// A file `[{"image", "labels": [..]}]`, the photos in `images/` beside it or relative to it.
    Json,
    /// A folder of photos of which nothing is known.
    Folder,
}

/// Where a data set is: `coco:DIR`, `voc:DIR`, `json:FILE` or `dir:DIR`. The first two take a split, as
/// in `coco:DIR@val2017`; without one they are all splits that are there.
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
        let (format, path) = match text.split_once(':') {
            Some(("coco", path)) => (Format::Coco, path),
            Some(("voc", path)) => (Format::Voc, path),
            Some(("json", path)) => (Format::Json, path),
            Some(("dir", path)) => (Format::Folder, path),
            _ => {
                return Err(format!(
                    "{text:?} is not coco:DIR, voc:DIR, json:FILE or dir:DIR"
                ));
            }
        };
        let has_splits = matches!(format, Format::Coco | Format::Voc);
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
        let format = match self.format {
            Format::Coco => "coco",
            Format::Voc => "voc",
            Format::Json => "json",
            Format::Folder => "dir",
        };
        write!(f, "{format}:{}", self.path.display())?;
        self.split
            .iter()
            .try_for_each(|split| write!(f, "@{split}"))
    }
}
