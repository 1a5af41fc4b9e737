//! What can be wrong with a model, in one line.

use std::io;
use std::path::PathBuf;

use graphtag_models::MetadataError;
use tract_onnx::prelude::TractError;

use super::MAX_MODEL_BYTES;
use crate::labels::LabelsError;

/// A model that can't be loaded. The messages are one line, with the cause, and do not name the file, which
/// only the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The system refused to open or read it.
    #[error("can't be read: {0}")]
    Read(io::Error),
    /// A folder, pipe, socket or device.
    #[error("not a regular file")]
    NotAFile,
    /// A file larger than [`MAX_MODEL_BYTES`].
    #[error("larger than {} MiB, the most that is read", MAX_MODEL_BYTES >> 20)]
    FileSize,
    /// Not ONNX, or cut off.
    #[error("not an ONNX model, or a truncated or damaged one")]
    NotOnnx,
    /// An ONNX model that is not a classifier of one photo.
    #[error("not a photo classifier that can be run: {0}")]
    Signature(String),
    /// A tensor that is too large, or whose declared shape is not that of its data.
    #[error("{0}")]
    Tensor(String),
    /// A graph that tract refuses.
    #[error("can't be run: {0}")]
    Graph(String),
    /// Metadata under `graphtag.*` that can't be used.
    #[error("unusable metadata: {0}")]
    Metadata(MetadataError),
    /// A foreign model, which has no labels of its own.
    #[error("no labels of its own; give them in a labels file, one a line")]
    NoLabels,
    /// A labels file that can't be used.
    #[error("labels file {}: {error}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: LabelsError,
    },
    /// The system refuses to start threads.
    #[error("can't be run on that many threads: {0}")]
    Threads(rayon::ThreadPoolBuildError),
    /// Labels for another number of outputs.
    #[error("{outputs} outputs, but {labels} labels are given")]
    LabelCount {
        /// Outputs of the network.
        outputs: usize,
        /// Labels given.
        labels: usize,
    },
    /// Preprocessing to another size than the network's input.
    #[error(
        "takes photos of {}x{}, but its metadata says {}x{}",
        .input.0, .input.1, .metadata.0, .metadata.1
    )]
    InputSize {
        /// Height and width of the network's input.
        input: (usize, usize),
        /// Height and width in the metadata.
        metadata: (usize, usize),
    },
}

impl From<io::Error> for ModelError {
    fn from(error: io::Error) -> Self {
        ModelError::Read(error)
    }
}

impl From<MetadataError> for ModelError {
    fn from(error: MetadataError) -> Self {
        ModelError::Metadata(error)
    }
}

/// An inference that failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Not as many values as the input or the output has.
    #[error("{found} values, where the network has {expected}")]
    Length {
        /// Values of the input or output.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// An input of another network.
    #[error("the input is not in the form that the network takes")]
    InputForm,
    /// The engine failed.
    #[error("the model failed to run: {0}")]
    Engine(String),
    /// An output that is not a finite number.
    #[error("the model gave a number that is not finite")]
    NotFinite,
}

/// The root cause of a tract error, in one line of bounded length.
pub(super) fn one_line(error: TractError) -> String {
    shorten(&error.root_cause().to_string())
}

pub(super) fn shorten(message: &str) -> String {
    const MAX_CHARS: usize = 200;
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
