//! From the weights that training leaves to the folded network that is deployed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use graphtag_models::{
    Architecture, Metadata, Network, Provenance, Weights, fold, onnx, without_batch_norm,
};
use serde_json::{Value, json};

use crate::data::sha256;
use crate::training::recipe::{Recipe, preprocessing};

/// The threshold of every label before calibration.
const UNCALIBRATED: f32 = 0.5;

/// A network that is ready to be written as a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// The network, batch norm and graph branch folded.
    pub network: Network,
    /// Its weights.
    pub weights: Weights,
    /// What the model file says of itself.
    pub metadata: Metadata,
}

impl Deployment {
    /// Folds the weights of `distill`, whose batch norm is folded already, into the network of `recipe` at
    /// its deployed input size. `training` is the record that `distill` wrote beside them.
    ///
    /// # Errors
    /// When a file can't be read or the weights are not those of the recipe's network.
    pub fn trained(
        recipe: &Path,
        labels: Vec<String>,
        weights: &Path,
        training: &Path,
        name: &str,
    ) -> Result<Self> {
        let recipe = Recipe::open(recipe)?;
        let architecture = recipe.architecture(labels.len(), recipe.deployed_input)?;
        let network = without_batch_norm(&architecture.lower())?;
        let training = fs::read(training)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
            .with_context(|| format!("{}: not a record of training", training.display()))?;
        Deployment::folded(architecture, &network, weights, labels, training, name)
    }

    /// Folds the weights of `import` into the network of `architecture`.
    ///
    /// # Errors
    /// When the file can't be read or the weights are not those of the network.
    pub fn imported(
        architecture: Architecture,
        labels: Vec<String>,
        weights: &Path,
        name: &str,
    ) -> Result<Self> {
        let network = architecture.lower();
        let bytes = fs::read(weights).with_context(|| weights.display().to_string())?;
        let training = json!({"imported_weights_sha256": sha256(&bytes)});
        Deployment::folded(architecture, &network, weights, labels, training, name)
    }

    fn folded(
        architecture: Architecture,
        network: &Network,
        weights: &Path,
        labels: Vec<String>,
        training: Value,
        name: &str,
    ) -> Result<Self> {
        let (network, weights) =
            load(network, weights).with_context(|| weights.display().to_string())?;
        let metadata = Metadata {
            name: name.into(),
            thresholds: vec![UNCALIBRATED; labels.len()],
            labels,
            preprocessing: preprocessing(architecture.backbone, architecture.input),
            architecture: Some(architecture),
            provenance: Provenance {
                training,
                ..Provenance::default()
            },
            accuracy: vec![],
            golden: None,
        };
        Ok(Deployment {
            network,
            weights,
            metadata,
        })
    }

    /// The ONNX file in f32.
    ///
    /// # Errors
    /// When the weights or the metadata don't suit the network.
    pub fn float(&self) -> Result<Vec<u8>> {
        Ok(onnx::float(&self.network, &self.weights, &self.metadata)?)
    }
}

fn load(network: &Network, path: &Path) -> Result<(Network, Weights)> {
    let weights = Weights::from_safetensors(&fs::read(path)?)?;
    Ok(fold(network, &weights)?)
}
