//! Folding for deployment: batch norm into convolutions, the graph branch into one constant per channel.

use std::collections::{BTreeMap, HashSet};

use crate::network::{Activation, Layer, Network, Operation};
use crate::weights::{Tensor, Weights, WeightsError};

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
/// convolution before it, the branch that does not depend on the photo becomes a
/// [`Operation::ConstantScale`], and dropout goes. Folding a folded network changes nothing.
///
/// # Errors
/// When the weights don't suit the network, or a batch norm has no convolution to go into.
pub fn fold(network: &Network, weights: &Weights) -> Result<(Network, Weights), FoldError> {
    let (network, mut weights) = fold_batch_norm(network, weights)?;
    let constants = constants(&network, &weights)?;
    for layer in &network.layers {
        if layer.operation == Operation::ScaleChannels
            && let Some(scale) = constants.get(&layer.inputs[1])
        {
            let name = format!("{}.scale", layer.name);
            weights.tensors.insert(name, scale.clone());
        }
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

/// The network without dropout and without the branch that does not depend on the photo, whose outcome
/// becomes the weights of a [`Operation::ConstantScale`].
fn without_constants(network: &Network) -> Network {
    let constant = constant_layers(network);
    let mut folding = Folding::default();
    for (index, layer) in network.layers.iter().enumerate() {
        match layer.operation {
            _ if constant[index] => folding.stands_for.push(None),
            Operation::Dropout { .. } => {
                folding.skip(layer);
            }
            Operation::ScaleChannels if constant[layer.inputs[1]] => {
                folding.push(layer, Operation::ConstantScale);
            }
            operation => folding.push(layer, operation),
        }
    }
    folding.network
}

/// Which layers don't depend on the image.
fn constant_layers(network: &Network) -> Vec<bool> {
    let mut constant = vec![];
    for layer in &network.layers {
        constant.push(match layer.operation {
            Operation::LabelEmbeddings { .. } => true,
            Operation::GraphConvolution { .. }
            | Operation::GraphAttention { .. }
            | Operation::LabelMaximum
            | Operation::Activation(_) => layer.inputs.iter().all(|&input| constant[input]),
            _ => false,
        });
    }
    constant
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

/// The outputs of all layers that don't depend on the image.
fn constants(
    network: &Network,
    weights: &Weights,
) -> Result<BTreeMap<usize, Tensor>, WeightsError> {
    let mut constants: BTreeMap<usize, Tensor> = BTreeMap::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let inputs: Option<Vec<&Tensor>> = layer.inputs.iter().map(|i| constants.get(i)).collect();
        let Some(inputs) = inputs else { continue };
        let parameter = |role: &str| weights.get(&format!("{}.{role}", layer.name));
        let value = match (layer.operation, inputs.as_slice()) {
            (Operation::LabelEmbeddings { .. }, []) => parameter("embeddings")?.clone(),
            (Operation::GraphConvolution { .. }, [nodes]) => {
                let support = product(nodes, parameter("weight")?);
                product(parameter("adjacency")?, &support)
            }
            (Operation::GraphAttention { slope, .. }, [nodes]) => graph_attention(
                &product(nodes, parameter("weight")?),
                parameter("attention")?,
                parameter("adjacency")?,
                slope,
            ),
            (Operation::Activation(activation), [input]) => Tensor {
                shape: input.shape.clone(),
                values: input
                    .values
                    .iter()
                    .map(|&x| activate(activation, x))
                    .collect(),
            },
            (Operation::LabelMaximum, [nodes]) => {
                let columns = nodes.shape[1];
                let mut maximum = vec![f32::NEG_INFINITY; columns];
                for row in nodes.values.chunks(columns) {
                    for (maximum, &value) in maximum.iter_mut().zip(row) {
                        *maximum = maximum.max(value);
                    }
                }
                Tensor {
                    shape: vec![columns],
                    values: maximum,
                }
            }
            _ => continue,
        };
        constants.insert(index, value);
    }
    Ok(constants)
}

fn activate(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } if x < 0.0 => slope * x,
        Activation::Elu if x < 0.0 => x.exp_m1(),
        Activation::LeakyRelu { .. } | Activation::Elu => x,
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
    }
}

/// A matrix product, accumulated in f64.
fn product(a: &Tensor, b: &Tensor) -> Tensor {
    let (inner, columns) = (b.shape[0], b.shape[1]);
    let mut values = Vec::with_capacity(a.shape[0] * columns);
    let mut sums = vec![0.0f64; columns];
    for row in a.values.chunks(inner) {
        sums.fill(0.0);
        for (&factor, b_row) in row.iter().zip(b.values.chunks(columns)) {
            for (sum, &value) in sums.iter_mut().zip(b_row) {
                *sum += f64::from(factor) * f64::from(value);
            }
        }
        values.extend(sums.iter().map(|&sum| sum as f32));
    }
    Tensor {
        shape: vec![a.shape[0], columns],
        values,
    }
}

/// Single-head graph attention over `nodes` = X W; see [`Operation::GraphAttention`].
fn graph_attention(nodes: &Tensor, attention: &Tensor, adjacency: &Tensor, slope: f32) -> Tensor {
    let (labels, features) = (nodes.shape[0], nodes.shape[1]);
    let scores = |which: usize| -> Vec<f32> {
        let vector = &attention.values[which * features..(which + 1) * features];
        let rows = nodes.values.chunks(features);
        rows.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
            .collect()
    };
    let (from, to) = (scores(0), scores(1));
    let mut coefficients = vec![0.0; labels * labels];
    for (i, row) in coefficients.chunks_mut(labels).enumerate() {
        let logits: Vec<f32> = (0..labels)
            .map(|j| {
                if adjacency.values[i * labels + j] > 0.0 {
                    activate(Activation::LeakyRelu { slope }, from[i] + to[j])
                } else {
                    f32::NEG_INFINITY
                }
            })
            .collect();
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: Vec<f32> = logits.iter().map(|&l| (l - largest).exp()).collect();
        let sum: f32 = exponentials.iter().sum();
        for (coefficient, exponential) in row.iter_mut().zip(exponentials) {
            *coefficient = exponential / sum;
        }
    }
    let coefficients = Tensor {
        shape: vec![labels, labels],
        values: coefficients,
    };
    let mut output = product(&coefficients, nodes);
    for value in &mut output.values {
        *value = activate(Activation::Elu, *value);
    }
    output
}
