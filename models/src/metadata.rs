//! What a model file says of itself: ONNX `metadata_props` under `graphtag.*`.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::golden::Golden;

/// Version of the keys and their meaning; a reader refuses a newer one.
pub const SCHEMA_VERSION: u32 = 1;

const PREFIX: &str = "graphtag.";

/// How a photo becomes the input tensor `image` \[1, 3, height, width\]:
/// value = (byte - mean) * scale, per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// How a photo of another shape is fitted.
    pub resize: Resize,
    /// The filter that resizes.
    pub filter: Filter,
    /// Subtracted from each byte, per channel in `color` order.
    pub mean: [f32; 3],
    /// Multiplies the difference, per channel in `color` order.
    pub scale: [f32; 3],
    /// Order of the channels.
    pub color: ColorOrder,
}

/// How a photo is fitted to the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// The whole photo, its aspect ratio not kept.
    Stretch,
    /// The largest centred part of the input's aspect ratio.
    CenterCrop,
}

/// The resampling filter, anti-aliased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Triangle.
    Bilinear,
    /// Windowed sinc over three lobes.
    Lanczos3,
}

/// Order of the input's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColorOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// All that a model file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// A short name, such as `coco80-lite0-int8`.
    pub name: String,
    /// One name per output.
    pub labels: Vec<String>,
    /// One decision threshold per output, within 0..=1.
    pub thresholds: Vec<f32>,
    /// How a photo becomes the input.
    pub preprocessing: Preprocessing,
    /// The architecture, where the model is of ours.
    pub architecture: Option<Architecture>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Accuracy as measured on named data.
    pub accuracy: Vec<Accuracy>,
    /// What it must say of a photo, where the file tells.
    pub golden: Option<Golden>,
}

/// How a model was made, as the tools recorded it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The training recipe: settings, seed, hashes of data, teacher and initial weights.
    pub training: serde_json::Value,
    /// The quantisation recipe; null for a float model.
    pub quantization: serde_json::Value,
}

/// An accuracy measured on named data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// What was measured on.
    pub data: String,
    /// Number of photos.
    pub photos: usize,
    /// Labels with at least one positive, over which `map` is the mean.
    pub labels: usize,
    /// Mean average precision, within 0..=1.
    pub map: f64,
    /// F1 of the mean per-class precision and recall at the thresholds.
    pub cf1: f64,
    /// F1 over all decisions at the thresholds.
    pub of1: f64,
}

/// Metadata that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// A key is missing.
    #[error("{PREFIX}{0} is missing")]
    Missing(&'static str),
    /// A value that is not the JSON its key calls for.
    #[error("{PREFIX}{key}: {source}")]
    Json {
        /// The key, without prefix.
        key: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Written by a newer graphtag.
    #[error(
        "{PREFIX}schema_version is {0}, but this graphtag reads up to {SCHEMA_VERSION}; update graphtag"
    )]
    Schema(u32),
    /// Values that contradict each other or lie out of bounds.
    #[error("{PREFIX}{key}: {problem}")]
    Value {
        /// The key, without prefix.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl Metadata {
    /// The key-value pairs of an ONNX file's `metadata_props`, in a fixed order.
    ///
    /// # Errors
    /// When values are contradictory or out of bounds, so that they could not be read again.
    pub fn to_properties(&self) -> Result<Vec<(String, String)>, MetadataError> {
        self.validate()?;
        let mut properties = vec![
            property("schema_version", &SCHEMA_VERSION)?,
            property("name", &self.name)?,
            property("labels", &self.labels)?,
            property("thresholds", &self.thresholds)?,
            property("preprocessing", &self.preprocessing)?,
            property("architecture", &self.architecture)?,
            property("training", &self.provenance.training)?,
            property("quantization", &self.provenance.quantization)?,
            property("accuracy", &self.accuracy)?,
        ];
        if let Some(golden) = &self.golden {
            properties.push(property("golden", golden)?);
        }
        Ok(properties)
    }

    /// Reads the `graphtag.*` keys among `properties`; `None` when there is none of them, as in a foreign
    /// model.
    ///
    /// # Errors
    /// When keys are missing, or values are malformed, contradictory or out of bounds.
    pub fn from_properties(
        properties: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, MetadataError> {
        if !properties.keys().any(|key| key.starts_with(PREFIX)) {
            return Ok(None);
        }
        let schema: u32 = value(properties, "schema_version")?;
        if schema > SCHEMA_VERSION {
            return Err(MetadataError::Schema(schema));
        }
        let metadata = Metadata {
            name: value(properties, "name")?,
            labels: value(properties, "labels")?,
            thresholds: value(properties, "thresholds")?,
            preprocessing: value(properties, "preprocessing")?,
            architecture: value(properties, "architecture")?,
            provenance: Provenance {
                training: value(properties, "training")?,
                quantization: value(properties, "quantization")?,
            },
            accuracy: value(properties, "accuracy")?,
            golden: optional(properties, "golden")?,
        };
        metadata.validate()?;
        Ok(Some(metadata))
    }

    fn validate(&self) -> Result<(), MetadataError> {
        let refuse = |key, problem| Err(MetadataError::Value { key, problem });
        if self.labels.is_empty() {
            return refuse("labels", "no label".into());
        }
        let distinct: std::collections::HashSet<&String> = self.labels.iter().collect();
        if distinct.len() != self.labels.len() {
            return refuse("labels", "a label occurs twice".into());
        }
        if self.thresholds.len() != self.labels.len() {
            let (thresholds, labels) = (self.thresholds.len(), self.labels.len());
            return refuse("thresholds", format!("{thresholds} for {labels} labels"));
        }
        if !self.thresholds.iter().all(|t| (0.0..=1.0).contains(t)) {
            return refuse("thresholds", "not all within 0 to 1".into());
        }
        let mut shares = self.accuracy.iter().flat_map(|a| [a.map, a.cf1, a.of1]);
        if !shares.all(|share| (0.0..=1.0).contains(&share)) {
            return refuse("accuracy", "not all within 0 to 1".into());
        }
        let golden = self.golden.as_ref();
        if let Some(problem) = golden.and_then(|golden| golden.problem(self.labels.len())) {
            return refuse("golden", problem);
        }
        self.preprocessing.validate()?;
        if let Some(architecture) = &self.architecture {
            if let Err(error) = architecture.validate() {
                return refuse("architecture", error.to_string());
            }
            if architecture.labels != self.labels.len() {
                let labels = self.labels.len();
                return refuse(
                    "architecture",
                    format!("{} labels, but {labels} are named", architecture.labels),
                );
            }
        }
        Ok(())
    }
}

impl Preprocessing {
    /// Checks sizes (1 to 4096 pixels) and that every number is finite.
    ///
    /// # Errors
    /// Names the value out of bounds.
    pub fn validate(&self) -> Result<(), MetadataError> {
        let refuse = |problem| {
            Err(MetadataError::Value {
                key: "preprocessing",
                problem,
            })
        };
        let (height, width) = (self.height, self.width);
        if !(1..=4096).contains(&height) || !(1..=4096).contains(&width) {
            return refuse(format!("size {height}x{width} is not within 1 to 4096"));
        }
        if !self.mean.iter().chain(&self.scale).all(|v| v.is_finite()) {
            return refuse("mean and scale are not all finite".into());
        }
        Ok(())
    }
}

fn property(key: &'static str, value: &impl Serialize) -> Result<(String, String), MetadataError> {
    let json =
        serde_json::to_string(value).map_err(|source| MetadataError::Json { key, source })?;
    Ok((format!("{PREFIX}{key}"), json))
}

fn value<T: DeserializeOwned>(
    properties: &BTreeMap<String, String>,
    key: &'static str,
) -> Result<T, MetadataError> {
    optional(properties, key)?.ok_or(MetadataError::Missing(key))
}

fn optional<T: DeserializeOwned>(
    properties: &BTreeMap<String, String>,
    key: &'static str,
) -> Result<Option<T>, MetadataError> {
    let text = properties.get(&format!("{PREFIX}{key}"));
    let value = text.map(|text| serde_json::from_str(text));
    value
        .transpose()
        .map_err(|source| MetadataError::Json { key, source })
}
