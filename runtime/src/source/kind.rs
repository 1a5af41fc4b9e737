//! The text that names a source.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which source, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A folder of photos, or one photo.
    Folder(PathBuf),
}

impl SourceKind {
    /// Whether a source of this kind that was lost or is not there yet may come back.
    pub fn comes_back(&self) -> bool {
        !matches!(self, SourceKind::Folder(_))
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SourceKind::Folder(path) => path.display().fmt(formatter),
        }
    }
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
