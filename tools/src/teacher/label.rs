//! Soft labels over many photos, in shards, so that a killed run goes on where it stopped.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use graphtag_runtime::photo::MAX_FILE_BYTES;
use rayon::prelude::*;

use super::soft_labels::to_key_values;
use super::{Provenance, Row, Teacher, read_provenance, read_shard, write_shard};
use crate::data::{PhotoFile, sha256};
use crate::progress::Progress;

/// Photos of one file, as `graphtag-tools label` writes them.
pub const PHOTOS_PER_SHARD: usize = 1000;

/// How a run of [`label_photos`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Photos with soft labels, those of earlier runs included.
    pub labelled: usize,
    /// Photos that could not be read and have none.
    pub skipped: usize,
}

/// Writes the teacher's soft labels of `photos` to `part-00000.parquet` and so on in `folder`, of
/// `photos_per_shard` photos each; the last has what is left.
///
/// Shards that an earlier run of the same teacher and photos left are kept; the files are the same
/// bytes whether or not the run was interrupted. A photo that can't be read is reported and skipped.
///
/// # Errors
/// When `folder` holds soft labels of another run or can't be written.
pub fn label_photos(
    teacher: &Teacher,
    photos: &[PhotoFile],
    folder: &Path,
    photos_per_shard: usize,
) -> Result<Labelled> {
    fs::create_dir_all(folder).with_context(|| format!("{}: can't be made", folder.display()))?;
    let provenance = Provenance {
        teacher: teacher.description().clone(),
        photos_sha256: photo_list_sha256(photos),
    };
    let mut shards = vec![];
    for (index, photos) in photos.chunks(photos_per_shard).enumerate() {
        let path = folder.join(format!("part-{index:05}.parquet"));
        let rows = finished_rows(&path, &provenance)?;
        shards.push((path, photos, rows));
    }
    let done = |(_, photos, rows): &(PathBuf, &[PhotoFile], Option<usize>)| {
        rows.map_or(0, |_| photos.len())
    };
    let progress = Progress::new("label", shards.iter().map(done).sum(), photos.len());
    let mut labelled = 0;
    for (path, photos, rows) in shards {
        labelled += match rows {
            Some(rows) => rows,
            None => {
                let rows = label_shard(teacher, photos, &progress);
                write_shard(&path, &provenance, &rows)?;
                rows.len()
            }
        };
    }
    progress.finish();
    Ok(Labelled {
        labelled,
        skipped: photos.len() - labelled,
    })
}

/// The number of rows of a shard that is already there, after checking that it is of the same run.
fn finished_rows(path: &Path, expected: &Provenance) -> Result<Option<usize>> {
    if !path.exists() {
        return Ok(None);
    }
    let found = to_key_values(&read_provenance(path)?)?;
    for ((key, found), (_, expected)) in found.iter().zip(to_key_values(expected)?) {
        if *found != expected {
            bail!(
                "{}: of another run, its {key} differs; choose another --out folder or remove this one",
                path.display()
            );
        }
    }
    Ok(Some(read_shard(path)?.len()))
}

fn label_shard(teacher: &Teacher, photos: &[PhotoFile], progress: &Progress) -> Vec<Row> {
    let label = |photo: &PhotoFile| {
        let row = label_photo(teacher, photo);
        progress.advance(1);
        row.map_err(|error| progress.note(&format!("{}: skipped: {error:#}", photo.path.display())))
            .ok()
    };
    photos.par_iter().filter_map(label).collect()
}

fn label_photo(teacher: &Teacher, photo: &PhotoFile) -> Result<Row> {
    let file = fs::metadata(&photo.path)?;
    ensure!(file.is_file(), "not a regular file");
    ensure!(file.len() <= MAX_FILE_BYTES, "larger than any photo");
    let bytes = fs::read(&photo.path)?;
    Ok(Row {
        photo: photo.name.clone(),
        sha256: sha256(&bytes),
        logits: teacher.logits(&bytes)?,
    })
}

fn photo_list_sha256(photos: &[PhotoFile]) -> String {
    let list: String = photos
        .iter()
        .map(|photo| format!("{}\n", photo.name))
        .collect();
    sha256(list.as_bytes())
}
