//! Folding for deployment: batch norm into convolutions, what does not see the photo into constants.

mod constants;

use std::collections::{BTreeMap, HashSet};

use crate::network::{Layer, Network};
use crate::operation::Operation;
use crate::shape::Shape;
use crate::weights::{Tensor, Weights, WeightsError};

use constants::{constant_layers, constants};

/// A network that can't be folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The weights don't suit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A batch norm that does not directly follow a convolution.
    #[error("{0} does not follow a convolution, so it can't be folded")]
    BatchNorm(String),
}

/// Rewrites `network` for inference, exactly but for rounding: every batch norm becomes part of the
/// convolution before it, what does not depend on the photo becomes a [`Operation::ConstantScale`] or
/// [`Operation::Constant`]s, and dropout goes. Folding a folded network changes nothing.
///
/// # Errors
/// When the weights don't suit the network, or a batch norm has no convolution to go into.
pub fn fold(network: &Network, weights: &Weights) -> Result<(Network, Weights), FoldError> {
    let (network, mut weights) = fold_batch_norm(network, weights)?;
    for (index, value) in constants(&network, &weights)? {
        let value_name = format!("{}.value", network.layers[index].name);
        for layer in &network.layers {
            if layer.operation == Operation::ScaleChannels && layer.inputs[1] == index {
                let name = format!("{}.scale", layer.name);
                weights.tensors.insert(name, value.clone());
            }
        }
        weights.tensors.insert(value_name, value);
    }
    let folded = without_constants(&network);
    let names: HashSet<String> = folded
        .all_parameters()
        .into_iter()
        .map(|p| p.name)
        .collect();
    weights.tensors.retain(|name, _| names.contains(name));
    Ok((folded, weights))
}

/// The network that [`fold`] gives, whatever the weights.
///
/// # Errors
/// When a batch norm has no convolution to go into.
pub fn folded(network: &Network) -> Result<Network, FoldError> {
    Ok(without_constants(&without_batch_norm(network)?))
}

/// Makes every batch norm part of the convolution before it, and changes nothing else.
///
/// # Errors
/// When the weights don't suit the network, or a batch norm has no convolution to go into.
pub fn fold_batch_norm(
    network: &Network,
    weights: &Weights,
) -> Result<(Network, Weights), FoldError> {
    weights.check(network)?;
    let folded = without_batch_norm(network)?;
    let mut tensors = BTreeMap::new();
    for (index, layer) in network.layers.iter().enumerate() {
        if let Operation::BatchNorm { epsilon } = layer.operation {
            let convolution = convolution_before(network, index)?;
            absorb(&mut tensors, convolution, weights, &layer.name, epsilon)?;
        } else {
            for parameter in network.parameters(index) {
                let tensor = weights.get(&parameter.name)?.clone();
                tensors.insert(parameter.name, tensor);
            }
        }
    }
    Ok((folded, Weights { tensors }))
}

/// The network that [`fold_batch_norm`] gives, whatever the weights.
///
/// # Errors
/// When a batch norm has no convolution to go into.
pub fn without_batch_norm(network: &Network) -> Result<Network, FoldError> {
    let mut folding = Folding::default();
    for (index, layer) in network.layers.iter().enumerate() {
        if !matches!(layer.operation, Operation::BatchNorm { .. }) {
            folding.push(layer, layer.operation);
            continue;
        }
        convolution_before(network, index)?;
        let convolution = folding.skip(layer);
        if let Operation::Convolution(c) = &mut folding.network.layers[convolution].operation {
            c.bias = true;
        }
    }
    Ok(folding.network)
}

/// The name of the convolution that batch norm `index` directly follows.
fn convolution_before(network: &Network, index: usize) -> Result<&str, FoldError> {
    let layer = &network.layers[index];
    let before = &network.layers[layer.inputs[0]];
    match before.operation {
        Operation::Convolution(_) => Ok(&before.name),
        _ => Err(FoldError::BatchNorm(layer.name.clone())),
    }
}

/// The network without dropout and without the layers that don't depend on the photo: the outcome of a graph
/// branch becomes the weights of a [`Operation::ConstantScale`], any other a [`Operation::Constant`].
fn without_constants(network: &Network) -> Network {
    let constant = constant_layers(network);
    let is_read = |index: usize| {
        let readers = network.layers.iter().enumerate();
        let mut readers = readers.filter(|(_, layer)| layer.inputs.contains(&index));
        readers
            .any(|(reader, layer)| !constant[reader] && layer.operation != Operation::ScaleChannels)
    };
    let mut folding = Folding::default();
    for (index, layer) in network.layers.iter().enumerate() {
        match (layer.operation, layer.output) {
            (_, Shape::Matrix { rows, columns }) if constant[index] && is_read(index) => {
                let layer = Layer {
                    inputs: vec![],
                    ..layer.clone()
                };
                folding.push(&layer, Operation::Constant { rows, columns });
            }
            _ if constant[index] => folding.stands_for.push(None),
            (Operation::Dropout { .. }, _) => {
                folding.skip(layer);
            }
            (Operation::ScaleChannels, _) if constant[layer.inputs[1]] => {
                folding.push(layer, Operation::ConstantScale);
            }
            (operation, _) => folding.push(layer, operation),
        }
    }
    folding.network
}

/// A network in the making.
#[derive(Default)]
struct Folding {
    network: Network,
    /// For each layer of the old network, the new one that stands for it.
    stands_for: Vec<Option<usize>>,
}

impl Folding {
    /// Appends `layer` with another operation.
    fn push(&mut self, layer: &Layer, operation: Operation) {
        if operation == Operation::Image {
            self.network.layers.push(layer.clone());
        } else {
            let inputs = layer.inputs.iter();
            let inputs: Vec<usize> = inputs.filter_map(|&input| self.stands_for[input]).collect();
            self.network.push(&layer.name, operation, &inputs);
        }
        self.stands_for.push(Some(self.network.output()));
    }

    /// Lets the input of `layer` stand for it; returns the input's index in the new network.
    fn skip(&mut self, layer: &Layer) -> usize {
        let input = self.stands_for[layer.inputs[0]];
        self.stands_for.push(input);
        input.unwrap_or_default()
    }
}

/// Scales the weights of `convolution` among `tensors` and gives it a bias, as the batch norm would.
fn absorb(
    tensors: &mut BTreeMap<String, Tensor>,
    convolution: &str,
    weights: &Weights,
    batch_norm: &str,
    epsilon: f32,
) -> Result<(), FoldError> {
    let statistic = |role: &str| weights.get(&format!("{batch_norm}.{role}"));
    let (gamma, beta) = (statistic("weight")?, statistic("bias")?);
    let (mean, variance) = (statistic("running_mean")?, statistic("running_variance")?);
    let scale: Vec<f64> = gamma
        .values
        .iter()
        .zip(&variance.values)
        .map(|(&gamma, &variance)| f64::from(gamma) / f64::from(variance + epsilon).sqrt())
        .collect();

    let kernel = tensors
        .get_mut(&format!("{convolution}.weight"))
        .ok_or_else(|| FoldError::BatchNorm(batch_norm.into()))?;
    let per_channel = kernel.values.len() / scale.len();
    for (channel, scale) in kernel.values.chunks_mut(per_channel).zip(&scale) {
        for value in channel {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
    let bias_name = format!("{convolution}.bias");
    let old_bias = tensors.get(&bias_name).map(|bias| bias.values.clone());
    let values = (0..scale.len())
        .map(|c| {
            let before = old_bias.as_ref().map_or(0.0, |bias| bias[c]);
            let centred = f64::from(before) - f64::from(mean.values[c]);
            (centred * scale[c] + f64::from(beta.values[c])) as f32
        })
        .collect();
    let shape = vec![scale.len()];
    tensors.insert(bias_name, Tensor { shape, values });
    Ok(())
}
