//! A teacher: any ONNX classifier, and its soft labels over photos.

mod label;
mod soft_labels;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use graphtag_models::Preprocessing;
use graphtag_runtime::network::Network;
use graphtag_runtime::{photo, preprocess};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::data::sha256;

pub use label::{Labelled, PHOTOS_PER_SHARD, label_photos};
pub use soft_labels::{Provenance, Row, SoftLabels, read_provenance, read_shard, write_shard};

/// Probabilities are kept this far from 0 and 1 before their logit is taken.
const PROBABILITY_MARGIN: f32 = 1e-7;

/// What the output of a teacher's network means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// A logit per label; the probability is its sigmoid.
    Logits,
    /// A probability per label.
    Probabilities,
}

/// Everything but the weights that determines a teacher's soft labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Name of the teacher's file, without its folder.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// How a photo becomes its input.
    pub preprocessing: Preprocessing,
    /// What its output means.
    pub output: Output,
    /// What each output stands for.
    pub labels: Vec<String>,
}

/// An ONNX classifier that is asked for soft labels.
pub struct Teacher {
    network: Network,
    description: Description,
}

impl Teacher {
    /// Loads the classifier at `path`, whose K outputs are `labels`. `preprocessing` gets the network's
    /// input as its arguments, height and width.
    ///
    /// # Errors
    /// When the file is not a classifier that the runtime can run or has not as many outputs as labels.
    pub fn open(
        path: &Path,
        labels: Vec<String>,
        output: Output,
        preprocessing: impl FnOnce(usize, usize) -> Preprocessing,
    ) -> Result<Teacher> {
        let name = path.display();
        let bytes = fs::read(path).with_context(|| format!("{name}: can't be read"))?;
        let network =
            Network::from_bytes(&bytes).with_context(|| format!("{name}: can't be used"))?;
        ensure!(
            network.outputs() == labels.len(),
            "{name}: outputs and labels differ in number, {} and {}; give its own with --labels FILE",
            network.outputs(),
            labels.len()
        );
        let [_, _, height, width] = network.input_shape();
        Ok(Teacher {
            network,
            description: Description {
                file: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                sha256: sha256(&bytes),
                preprocessing: preprocessing(height, width),
                output,
                labels,
            },
        })
    }

    /// What this teacher is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The logits, one per label, of an encoded photo.
    ///
    /// # Errors
    /// When the photo can't be decoded, or the network can't be run on it or gives a value that is not
    /// a number.
    pub fn logits(&self, encoded: &[u8]) -> Result<Vec<f32>> {
        self.logits_of(&preprocess::resize(
            &photo::decode(encoded)?,
            &self.description.preprocessing,
        ))
    }

    /// The logits, one per label, of a picture that has the size of the network's input.
    ///
    /// # Errors
    /// When the network can't be run on it or gives a value that is not a number.
    pub fn logits_of(&self, picture: &RgbImage) -> Result<Vec<f32>> {
        let input = preprocess::tensor(picture, &self.description.preprocessing);
        let mut logits = self.network.run(&input)?;
        if self.description.output == Output::Probabilities {
            for value in &mut logits {
                *value = logit(*value);
            }
        }
        ensure!(
            logits.iter().all(|logit| logit.is_finite()),
            "the teacher's output is not finite"
        );
        Ok(logits)
    }
}

/// ln(p / (1 - p)), finite for p of 0 and 1.
fn logit(probability: f32) -> f32 {
    let p = probability.clamp(PROBABILITY_MARGIN, 1.0 - PROBABILITY_MARGIN);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests;
