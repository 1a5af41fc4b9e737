//! A network together with what its outputs mean.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use graphtag_models::{ColorOrder, Filter, Metadata, Preprocessing, Provenance, Resize, zoo};
use image::RgbImage;

use crate::labels;
use crate::network::{self, ModelError, Network, OutputKind, RunError};
use crate::pool::Pool;
use crate::preprocess::Preprocessor;

/// Per-channel mean of ImageNet's photos, red, green, blue, in bytes.
const IMAGENET_MEAN: [f32; 3] = [123.675, 116.28, 103.53];
/// Per-channel standard deviation of ImageNet's photos, red, green, blue, in bytes.
const IMAGENET_DEVIATION: [f32; 3] = [58.395, 57.12, 57.375];
/// The threshold of every label of a foreign model, which has no calibrated ones.
const FOREIGN_THRESHOLD: f32 = 0.5;

/// A classifier that takes photos and gives one probability per label.
pub struct Model {
    network: Network,
    metadata: Metadata,
    preprocessors: Pool<Preprocessor>,
}

/// What a model says of one photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// One probability per label, within 0..=1.
    pub probabilities: Vec<f32>,
    /// Time to resize and normalise.
    pub preprocess: Duration,
    /// Time to run the network.
    pub inference: Duration,
}

impl Model {
    /// The default model inside the binary.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn embedded() -> Result<Self, ModelError> {
        Self::from_bytes(zoo::default_model())
    }

    /// Loads a graphtag model file; see [`Model::from_bytes`].
    ///
    /// # Errors
    /// Also when it can't be read.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::from_bytes(&network::read(path)?)
    }

    /// Loads a graphtag model: an ONNX classifier with metadata under `graphtag.*`.
    ///
    /// # Errors
    /// When the network can't be loaded, or metadata is missing, malformed or not that of the network.
    pub fn from_bytes(onnx: &[u8]) -> Result<Self, ModelError> {
        let network = Network::from_bytes(onnx)?;
        let metadata =
            Metadata::from_properties(network.properties())?.ok_or(ModelError::NoLabels)?;
        Self::new(network, metadata)
    }

    /// Loads the ONNX classifier at `path` with the labels of `labels_file`, one a line.
    ///
    /// A graphtag model keeps all but its labels. Any other gets thresholds of 0.5 and photos stretched to
    /// its input size (bilinear, RGB) and normalised by ImageNet's mean and standard deviation; see
    /// [`Model::with_normalization`]. Where the graph ends in a sigmoid or softmax, its outputs are
    /// probabilities; otherwise they are logits, and the sigmoid is applied.
    ///
    /// # Errors
    /// When a file can't be read or loaded, or the labels are not as many as the outputs.
    pub fn foreign(path: &Path, labels_file: &Path) -> Result<Self, ModelError> {
        let labels = labels::read(labels_file).map_err(|error| ModelError::Labels {
            path: labels_file.into(),
            error,
        })?;
        let network = Network::open(path)?;
        let metadata = match Metadata::from_properties(network.properties())? {
            Some(metadata) => Metadata { labels, ..metadata },
            None => foreign_metadata(path, &network, labels),
        };
        Self::new(network, metadata)
    }

    fn new(network: Network, metadata: Metadata) -> Result<Self, ModelError> {
        let (outputs, labels) = (network.outputs(), metadata.labels.len());
        if outputs != labels {
            return Err(ModelError::LabelCount { outputs, labels });
        }
        let [_, _, height, width] = network.input_shape();
        let wanted = &metadata.preprocessing;
        if (height, width) != (wanted.height, wanted.width) {
            return Err(ModelError::InputSize {
                input: (height, width),
                metadata: (wanted.height, wanted.width),
            });
        }
        Ok(Model {
            network,
            metadata,
            preprocessors: Pool::default(),
        })
    }

    /// Normalises photos by `mean` and `scale` (see [`Preprocessing`]) from now on.
    pub fn with_normalization(mut self, mean: [f32; 3], scale: [f32; 3]) -> Self {
        self.metadata.preprocessing.mean = mean;
        self.metadata.preprocessing.scale = scale;
        self.preprocessors = Pool::default();
        self
    }

    /// Runs on `threads` threads from now on; the default is the caller's thread alone.
    ///
    /// # Errors
    /// When the system refuses that many threads.
    pub fn with_threads(self, threads: NonZeroUsize) -> Result<Self, ModelError> {
        let network = self.network.with_threads(threads)?;
        Ok(Model { network, ..self })
    }

    /// Labels, thresholds, preprocessing and origin.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Preprocesses `photo` and runs the network.
    ///
    /// # Errors
    /// When the network fails to run.
    pub fn predict(&self, photo: &RgbImage) -> Result<Prediction, RunError> {
        let start = Instant::now();
        let preprocessor = self.preprocessors.take();
        let mut preprocessor = preprocessor
            .unwrap_or_else(|| Preprocessor::new(&self.network, &self.metadata.preprocessing));
        let input = preprocessor.input(photo);
        let preprocessed = Instant::now();
        let mut probabilities = self.network.run_on(input)?;
        self.preprocessors.give(preprocessor);
        if self.network.output_kind() == OutputKind::Logits {
            for value in &mut probabilities {
                *value = 1.0 / (1.0 + (-*value).exp());
            }
        }
        Ok(Prediction {
            probabilities,
            preprocess: preprocessed - start,
            inference: preprocessed.elapsed(),
        })
    }
}

/// How photos become the input of `network`: as its metadata says, or for a foreign model as
/// [`Model::foreign`] does.
///
/// # Errors
/// When there is metadata, but malformed.
pub fn preprocessing(network: &Network) -> Result<Preprocessing, ModelError> {
    let metadata = Metadata::from_properties(network.properties())?;
    Ok(metadata.map_or_else(
        || foreign_preprocessing(network),
        |metadata| metadata.preprocessing,
    ))
}

fn foreign_preprocessing(network: &Network) -> Preprocessing {
    let [_, _, height, width] = network.input_shape();
    Preprocessing {
        height,
        width,
        resize: Resize::Stretch,
        filter: Filter::Bilinear,
        mean: IMAGENET_MEAN,
        scale: IMAGENET_DEVIATION.map(|deviation| 1.0 / deviation),
        color: ColorOrder::Rgb,
    }
}

fn foreign_metadata(path: &Path, network: &Network, labels: Vec<String>) -> Metadata {
    let name = path.file_stem().unwrap_or(path.as_os_str());
    Metadata {
        name: name.to_string_lossy().into_owned(),
        thresholds: vec![FOREIGN_THRESHOLD; labels.len()],
        labels,
        preprocessing: foreign_preprocessing(network),
        architecture: None,
        provenance: Provenance::default(),
        accuracy: Vec::new(),
        golden: None,
    }
}
