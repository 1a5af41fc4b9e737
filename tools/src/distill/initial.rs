//! The network that training starts from.

use anyhow::{Context, Result};
use burn::tensor::{Device, Distribution, Tensor};
use graphtag_models::{AdjacencySettings, Network, Operation, Weights, adjacency, fold_batch_norm};

use super::last_feature;
use crate::data::LabelSet;
use crate::training::parameters::values;

/// `network` with batch norm folded, the backbone's weights and a fresh head.
pub(super) fn initial(
    network: &Network,
    backbone: &[u8],
    labels: &LabelSet,
    seed: u64,
    device: &Device,
) -> Result<(Network, Weights)> {
    let mut weights = Weights::from_safetensors(backbone)?;
    weights
        .tensors
        .retain(|name, _| !name.starts_with("classifier."));
    let head = last_feature(network)?;
    device.seed(seed);
    for (index, layer) in network.layers.iter().enumerate() {
        for parameter in network.parameters(index) {
            if weights.tensors.contains_key(&parameter.name) {
                continue;
            }
            let fresh = match layer.operation {
                Operation::LabelEmbeddings { .. } => labels
                    .embeddings
                    .clone()
                    .context("a graph head needs embeddings of the labels: labels --glove")?,
                _ if parameter.name.ends_with(".adjacency") => {
                    let counts = &labels.cooccurrence;
                    adjacency(
                        &counts.counts,
                        &counts.cooccurrence,
                        AdjacencySettings::default(),
                    )
                }
                Operation::GraphConvolution { .. }
                | Operation::GraphAttention { .. }
                | Operation::AngularClassifier { .. } => glorot(&parameter.shape, device),
                Operation::Queries { .. } => normal(&parameter.shape, 1.0, device),
                Operation::LayerNorm { .. } if parameter.name.ends_with(".weight") => {
                    constant(&parameter.shape, 1.0)
                }
                Operation::LayerNorm { .. } => constant(&parameter.shape, 0.0),
                Operation::GroupAngularClassifier { .. } => glorot(&parameter.shape, device),
                // Of the backbone, nothing may be missing.
                Operation::Convolution(_) | Operation::Linear { .. } if index > head => {
                    if parameter.name.ends_with(".bias") {
                        constant(&parameter.shape, 0.0)
                    } else {
                        glorot(&parameter.shape, device)
                    }
                }
                _ => continue,
            };
            weights.tensors.insert(parameter.name, fresh);
        }
    }
    Ok(fold_batch_norm(network, &weights)?)
}

/// Random weights of a matrix, or of several, or of a pointwise convolution (Glorot and Bengio 2010).
fn glorot(shape: &[usize], device: &Device) -> graphtag_models::Tensor {
    let sides: usize = match shape {
        [_, rows, columns] => rows + columns,
        sides => sides.iter().filter(|&&side| side != 1).sum(),
    };
    normal(shape, (2.0 / sides as f64).sqrt(), device)
}

fn constant(shape: &[usize], value: f32) -> graphtag_models::Tensor {
    graphtag_models::Tensor {
        shape: shape.to_vec(),
        values: vec![value; shape.iter().product()],
    }
}

fn normal(shape: &[usize], deviation: f64, device: &Device) -> graphtag_models::Tensor {
    let length = shape.iter().product::<usize>();
    let random = Tensor::<1>::random([length], Distribution::Normal(0.0, deviation), device);
    graphtag_models::Tensor {
        shape: shape.to_vec(),
        values: values(random),
    }
}
