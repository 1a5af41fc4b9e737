//! Training and validation photos, and photos that occur twice.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Photo, sha256_of_file};

/// Photos to train on and photos to validate on.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// To train on.
    pub training: Vec<Photo>,
    /// To choose settings and thresholds by.
    pub validation: Vec<Photo>,
}

/// Puts each photo into the validation part with probability `validation_fraction`.
///
/// Only `seed` and the photo's name decide, so a photo stays in its part when others come or go.
pub fn split(photos: Vec<Photo>, validation_fraction: f64, seed: u64) -> Split {
    let (validation, training) = photos
        .into_iter()
        .partition(|photo| uniform(&photo.name, seed) < validation_fraction);
    Split {
        training,
        validation,
    }
}

/// A number in 0..1 that depends on nothing but `name` and `seed`.
fn uniform(name: &str, seed: u64) -> f64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(name.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let (words, _) = digest.as_chunks::<8>();
    // The upper 53 bits are what an f64 holds exactly, so that 1 is never reached.
    (u64::from_le_bytes(words[0]) >> 11) as f64 / (1u64 << 53) as f64
}

/// Writes the photos' names, one a line.
///
/// # Errors
/// When the file can't be written.
pub fn write_names(path: &Path, photos: &[Photo]) -> Result<()> {
    let names: String = photos
        .iter()
        .map(|photo| format!("{}\n", photo.name))
        .collect();
    fs::write(path, names).with_context(|| format!("{}: can't be written", path.display()))
}

/// SHA-256 of the bytes of each photo.
///
/// # Errors
/// When a photo can't be read.
pub fn sha256_set(photos: &[Photo]) -> Result<HashSet<String>> {
    photos
        .par_iter()
        .map(|photo| sha256_of_file(&photo.path))
        .collect()
}

/// Drops photos whose bytes are those of one of `excluded` or of an earlier photo; the number of photos
/// dropped is the difference in length.
///
/// # Errors
/// When a photo can't be read.
pub fn deduplicate(photos: Vec<Photo>, excluded: &HashSet<String>) -> Result<Vec<Photo>> {
    let hashes = photos
        .par_iter()
        .map(|photo| sha256_of_file(&photo.path))
        .collect::<Result<Vec<_>>>()?;
    let mut seen = excluded.clone();
    Ok(photos
        .into_iter()
        .zip(hashes)
        .filter_map(|(photo, hash)| seen.insert(hash).then_some(photo))
        .collect())
}
