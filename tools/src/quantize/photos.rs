//! The photos that quantisation is calibrated on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use graphtag_models::Preprocessing;
use graphtag_runtime::{photo, preprocess};
use rayon::prelude::*;

use crate::data::{PhotoFile, photos_in, sha256, sha256_of_file};

/// Photos that run at once.
const BATCH: usize = 32;

/// Calibration photos as inputs of a network.
#[derive(Clone, Debug)]
pub struct CalibrationPhotos {
    /// Batches \[N, 3, height, width\].
    pub batches: Vec<Tensor<4>>,
    /// Number of photos.
    pub count: usize,
    /// SHA-256 over the SHA-256 of each photo's bytes, in lower-case hexadecimal and sorted order.
    pub sha256: String,
}

/// The photos that `source` names: a folder, searched recursively, or a text file with the names of photos,
/// a line each, that are paths from `root`.
///
/// # Errors
/// When the folder or the file can't be read or names no photo.
pub fn find(source: &Path, root: Option<&Path>) -> Result<Vec<PhotoFile>> {
    if source.is_dir() {
        return photos_in(&[source.to_path_buf()]);
    }
    let names = fs::read_to_string(source)
        .with_context(|| format!("{}: not a folder or a list of photos", source.display()))?;
    let root = root.with_context(|| {
        let source = source.display();
        format!("{source}: a list of photos needs --root, the folder that the names start from")
    })?;
    let photos: Vec<PhotoFile> = names
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| PhotoFile {
            name: name.into(),
            path: root.join(name),
        })
        .collect();
    ensure!(!photos.is_empty(), "{}: names no photo", source.display());
    Ok(photos)
}

/// Prepares `count` of the photos; `seed` and their names decide which, whatever their order.
///
/// # Errors
/// When one of them can't be read.
pub fn prepare(
    mut photos: Vec<PhotoFile>,
    count: usize,
    seed: u64,
    preprocessing: &Preprocessing,
    device: &Device,
) -> Result<CalibrationPhotos> {
    photos.sort_by_cached_key(|photo| sha256(format!("{seed} {}", photo.name).as_bytes()));
    photos.truncate(count);
    let paths: Vec<PathBuf> = photos.into_iter().map(|photo| photo.path).collect();
    let batches = paths
        .chunks(BATCH)
        .map(|paths| batch(paths, preprocessing, device))
        .collect::<Result<_>>()?;
    let hashes = paths.par_iter().map(|path| sha256_of_file(path));
    let mut hashes = hashes.collect::<Result<Vec<String>>>()?;
    hashes.sort();
    Ok(CalibrationPhotos {
        batches,
        count: paths.len(),
        sha256: sha256(hashes.concat().as_bytes()),
    })
}

fn batch(paths: &[PathBuf], preprocessing: &Preprocessing, device: &Device) -> Result<Tensor<4>> {
    let tensors = paths
        .par_iter()
        .map(|path| {
            let photo = photo::open(path).with_context(|| path.display().to_string())?;
            Ok(preprocess::preprocess(&photo, preprocessing))
        })
        .collect::<Result<Vec<Vec<f32>>>>()?;
    let shape = [paths.len(), 3, preprocessing.height, preprocessing.width];
    let data = TensorData::new(tensors.concat(), shape);
    Ok(Tensor::from_data(data, device))
}
