//! Photo files: folders of them, their names and hashes.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// File name extensions of photos, in lower case.
const EXTENSIONS: [&str; 12] = [
    "jpg", "jpeg", "png", "bmp", "gif", "webp", "pnm", "pbm", "pgm", "ppm", "tif", "tiff",
];

/// A photo on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoFile {
    /// What identifies the photo on any machine: its path from the folder that holds its data set's
    /// folder, with slashes, such as `voc12/JPEGImages/2007_000063.jpg`.
    pub name: String,
    /// Where it is on this one.
    pub path: PathBuf,
}

/// The photos in `folders` and below, sorted by name.
///
/// # Errors
/// When no folder is given, one can't be read or has no photos, or two bear the same name, which would
/// make their photos' names ambiguous.
pub fn photos_in(folders: &[PathBuf]) -> Result<Vec<PhotoFile>> {
    ensure!(!folders.is_empty(), "no folder of photos is given");
    let mut photos = vec![];
    let mut names = HashSet::new();
    for folder in folders {
        let base = base_name(folder)?;
        if !names.insert(base.clone()) {
            bail!(
                "{}: another folder is called {base} too; rename one, since photos are identified by it",
                folder.display()
            );
        }
        let before = photos.len();
        collect(folder, &base, &mut photos)?;
        if photos.len() == before {
            bail!("{}: no photos in this folder", folder.display());
        }
    }
    photos.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(photos)
}

/// The last component of a folder's path, also when it is given as `.` or through a link.
///
/// # Errors
/// When there is no such folder, or it is the root, or its name is not UTF-8.
pub fn base_name(folder: &Path) -> Result<String> {
    let folder_name = folder.display();
    let absolute =
        fs::canonicalize(folder).with_context(|| format!("{folder_name}: can't be read"))?;
    let base = absolute.file_name().and_then(|name| name.to_str());
    Ok(base
        .with_context(|| format!("{folder_name}: needs a folder with a UTF-8 name"))?
        .to_string())
}

/// SHA-256 of a file's bytes, in lower-case hexadecimal.
///
/// # Errors
/// When the file can't be read.
pub fn sha256_of_file(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("{}: can't be read", path.display()))?;
    Ok(sha256(&bytes))
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn collect(folder: &Path, name: &str, photos: &mut Vec<PhotoFile>) -> Result<()> {
    let context = || format!("{}: can't be read", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let path = entry.path();
        let file_name = entry.file_name();
        let Some(file_name) = file_name.to_str() else {
            bail!("{}: the name is not UTF-8; rename the file", path.display());
        };
        let name = format!("{name}/{file_name}");
        if entry.file_type().with_context(context)?.is_dir() {
            collect(&path, &name, photos)?;
        } else if is_photo(&path) {
            photos.push(PhotoFile { name, path });
        }
    }
    Ok(())
}

fn is_photo(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}
