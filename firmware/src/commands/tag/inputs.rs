//! From the paths of the command line to photos.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use graphtag_runtime::photo;

/// One photo to tag, or the reason that there is none.
#[derive(Debug, PartialEq)]
pub struct Input {
    /// The path as given, or below the folder given; `-` for standard input.
    pub path: PathBuf,
    /// Where the photo is.
    pub source: Source,
}

/// Where a photo is.
#[derive(Debug, PartialEq)]
pub enum Source {
    /// At the input's path.
    File,
    /// On standard input.
    StandardInput,
    /// Nowhere: what is wrong with the input's path.
    Unreadable(String),
}

/// The photos that `path` stands for: itself, standard input for `-`, or all photos of a folder.
///
/// A folder is searched with its folders, everything in the order of names; hidden files, links to folders
/// and files without the extension of a photo are passed over.
pub fn expand(path: &Path) -> Vec<Input> {
    if path == Path::new("-") {
        return vec![input(path, Source::StandardInput)];
    }
    if !path.is_dir() {
        return vec![input(path, Source::File)];
    }
    let mut inputs = Vec::new();
    search(path, &mut inputs);
    if inputs.is_empty() {
        inputs.push(input(
            path,
            Source::Unreadable("no photo in this folder".into()),
        ));
    }
    inputs
}

fn search(folder: &Path, inputs: &mut Vec<Input>) {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let problem = format!("can't be read: {error}");
            return inputs.push(input(folder, Source::Unreadable(problem)));
        }
    };
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let path = entry.path();
        if is_hidden(&entry.file_name()) {
            continue;
        }
        // Not following links keeps out of loops.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            search(&path, inputs);
        } else if photo::has_photo_extension(&path) && !path.is_dir() {
            inputs.push(input(&path, Source::File));
        }
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn input(path: &Path, source: Source) -> Input {
    Input {
        path: path.into(),
        source,
    }
}
