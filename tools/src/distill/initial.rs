//! The network that training starts from.

use anyhow::Result;
use burn::tensor::{Device, Distribution, Tensor};
use graphtag_models::{
    AdjacencySettings, Architecture, Network, Operation, Weights, adjacency, fold_batch_norm,
    labels,
};

use crate::training::parameters::values;

/// The network with batch norm folded, the backbone's weights and a fresh head.
pub(super) fn initial(
    architecture: &Architecture,
    backbone: &[u8],
    seed: u64,
    device: &Device,
) -> Result<(Network, Weights)> {
    let mut weights = Weights::from_safetensors(backbone)?;
    weights
        .tensors
        .retain(|name, _| !name.starts_with("classifier."));
    let network = architecture.lower();
    device.seed(seed);
    for (index, layer) in network.layers.iter().enumerate() {
        for parameter in network.parameters(index) {
            if weights.tensors.contains_key(&parameter.name) {
                continue;
            }
            let fresh = match layer.operation {
                Operation::LabelEmbeddings { .. } => labels::coco80_embeddings(),
                _ if parameter.name.ends_with(".adjacency") => {
                    let counts = labels::coco80_cooccurrence();
                    adjacency(
                        &counts.counts,
                        &counts.cooccurrence,
                        AdjacencySettings::default(),
                    )
                }
                // Glorot and Bengio 2010.
                Operation::GraphConvolution { .. }
                | Operation::GraphAttention { .. }
                | Operation::AngularClassifier { .. } => {
                    let deviation = (2.0 / parameter.shape.iter().sum::<usize>() as f64).sqrt();
                    normal(&parameter.shape, deviation, device)
                }
                _ => continue,
            };
            weights.tensors.insert(parameter.name, fresh);
        }
    }
    Ok(fold_batch_norm(&network, &weights)?)
}

fn normal(shape: &[usize], deviation: f64, device: &Device) -> graphtag_models::Tensor {
    let length = shape.iter().product::<usize>();
    let random = Tensor::<1>::random([length], Distribution::Normal(0.0, deviation), device);
    graphtag_models::Tensor {
        shape: shape.to_vec(),
        values: values(random),
    }
}
