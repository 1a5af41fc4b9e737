//! A folder of photos of which nothing is known.

use std::path::Path;

use anyhow::Result;

use super::{Dataset, Photo, Truth, photos_in};

/// Loads the photos in `folder` and below.
pub(super) fn load(folder: &Path, labels: &[String]) -> Result<Dataset> {
    let photos = photos_in(&[folder.to_path_buf()])?
        .into_iter()
        .map(|file| Photo {
            name: file.name,
            path: file.path,
            truth: vec![Truth::Unknown; labels.len()],
        })
        .collect();
    Ok(Dataset {
        photos,
        notes: vec![],
    })
}
