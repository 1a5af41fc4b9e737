//! The text that names a source.

use std::path::PathBuf;
use std::str::FromStr;

/// Which source, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A folder of photos, or one photo.
    Folder(PathBuf),
}

/// A text that names no source.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceKindError(String);

impl FromStr for SourceKind {
    type Err = SourceKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(SourceKindError("no source named".into()));
        }
        Ok(SourceKind::Folder(text.into()))
    }
}
