//! Folding for deployment: batch norm into convolutions, the graph branch into one constant per channel.

use std::collections::BTreeMap;

use crate::network::{Activation, Convolution, Network, Operation, Shape};
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
/// convolution before it, the branch that does not depend on the photo becomes a [`Operation::ConstantScale`],
/// and dropout goes. Folding a folded network changes nothing.
///
/// # Errors
/// When the weights don't suit the network, or a batch norm has no convolution to go into.
pub fn fold(network: &Network, weights: &Weights) -> Result<(Network, Weights), FoldError> {
    weights.check(network)?;
    let constants = constants(network, weights)?;
    let mut folded = Network::default();
    let mut tensors = BTreeMap::new();
    // For each old layer, the new layer that stands for it.
    let mut stands_for: Vec<Option<usize>> = vec![None; network.layers.len()];

    for (index, layer) in network.layers.iter().enumerate() {
        if constants.contains_key(&index) {
            continue;
        }
        let input = layer.inputs.first().and_then(|&i| stands_for[i]);
        let inputs: Vec<usize> = layer.inputs.iter().filter_map(|&i| stands_for[i]).collect();
        let new = match layer.operation {
            Operation::Image => {
                folded.layers.push(layer.clone());
                folded.output()
            }
            Operation::Dropout { .. } => input.unwrap_or_default(),
            Operation::BatchNorm { epsilon } => {
                let convolution = input
                    .filter(|&i| matches!(folded.layers[i].operation, Operation::Convolution(_)))
                    .ok_or_else(|| FoldError::BatchNorm(layer.name.clone()))?;
                fold_batch_norm(
                    &mut folded,
                    &mut tensors,
                    convolution,
                    weights,
                    &layer.name,
                    epsilon,
                )?;
                convolution
            }
            Operation::ScaleChannels if constants.contains_key(&layer.inputs[1]) => {
                let scale = constants[&layer.inputs[1]].clone();
                tensors.insert(format!("{}.scale", layer.name), scale);
                folded.push(&layer.name, Operation::ConstantScale, &inputs)
            }
            operation => {
                for parameter in network.parameters(index) {
                    let tensor = weights.get(&parameter.name)?.clone();
                    tensors.insert(parameter.name, tensor);
                }
                folded.push(&layer.name, operation, &inputs)
            }
        };
        stands_for[index] = Some(new);
    }
    Ok((folded, Weights { tensors }))
}

/// Scales the convolution's weights and gives it a bias.
fn fold_batch_norm(
    folded: &mut Network,
    tensors: &mut BTreeMap<String, Tensor>,
    convolution: usize,
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

    let layer = &mut folded.layers[convolution];
    let name = &layer.name;
    let kernel = tensors
        .get_mut(&format!("{name}.weight"))
        .ok_or_else(|| FoldError::BatchNorm(batch_norm.into()))?;
    let per_channel = kernel.values.len() / scale.len();
    for (channel, scale) in kernel.values.chunks_mut(per_channel).zip(&scale) {
        for value in channel {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
    let bias_name = format!("{name}.bias");
    let old_bias = tensors.get(&bias_name).map(|bias| bias.values.clone());
    let bias = (0..scale.len())
        .map(|c| {
            let before = old_bias.as_ref().map_or(0.0, |bias| bias[c]);
            let centred = f64::from(before) - f64::from(mean.values[c]);
            (centred * scale[c] + f64::from(beta.values[c])) as f32
        })
        .collect();
    tensors.insert(
        bias_name,
        Tensor {
            shape: vec![scale.len()],
            values: bias,
        },
    );
    if let Operation::Convolution(c) = layer.operation {
        layer.operation = Operation::Convolution(Convolution { bias: true, ..c });
    }
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
        debug_assert_eq!(
            value.values.len(),
            match layer.output {
                Shape::Map { .. } => 0,
                shape => shape.elements(),
            }
        );
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
