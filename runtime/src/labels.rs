//! Label files: one label a line.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

/// The largest label file that is read, in bytes.
pub const MAX_LABEL_BYTES: u64 = 1 << 20;

/// A label file that can't be used. The messages are one line, with the cause, and do not name
/// the file.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The system refused to open or read it.
    #[error("can't be read: {0}")]
    Read(io::Error),
    /// A folder, pipe, socket or device.
    #[error("not a regular file")]
    NotAFile,
    /// A file larger than [`MAX_LABEL_BYTES`].
    #[error("larger than {} MiB, the most that is read", MAX_LABEL_BYTES >> 20)]
    FileSize,
    /// Not text.
    #[error("not UTF-8 text")]
    NotText,
    /// No line with a label.
    #[error("no label")]
    Empty,
    /// A line that is no label.
    #[error("line {line} {problem}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl From<io::Error> for LabelsError {
    fn from(error: io::Error) -> Self {
        LabelsError::Read(error)
    }
}

/// Reads the label file at `path`; see [`parse`].
///
/// # Errors
/// Also when it is not a regular file of at most [`MAX_LABEL_BYTES`] with UTF-8 text.
pub fn read(path: &Path) -> Result<Vec<String>, LabelsError> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(LabelsError::NotAFile);
    }
    if metadata.len() > MAX_LABEL_BYTES {
        return Err(LabelsError::FileSize);
    }
    let text = String::from_utf8(fs::read(path)?).map_err(|_| LabelsError::NotText)?;
    parse(&text)
}

/// Reads one label a line, in the order of the model's outputs; space around a label and empty lines at
/// the end don't count.
///
/// # Errors
/// When there is none, a line is empty or has a control character, or a label occurs twice.
pub fn parse(text: &str) -> Result<Vec<String>, LabelsError> {
    let mut labels = Vec::new();
    let mut seen = HashSet::new();
    for (index, line) in text.trim_end().lines().enumerate() {
        let label = line.trim();
        let refuse = |problem| {
            let line = index + 1;
            Err(LabelsError::Line { line, problem })
        };
        if label.is_empty() {
            return refuse("is empty");
        }
        if label.contains(char::is_control) {
            return refuse("has a control character");
        }
        if !seen.insert(label) {
            return refuse("repeats a label");
        }
        labels.push(label.to_string());
    }
    if labels.is_empty() {
        return Err(LabelsError::Empty);
    }
    Ok(labels)
}
