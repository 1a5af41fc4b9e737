//! The part of a network that does not depend on the photo, computed.

use std::collections::BTreeMap;

use crate::network::Network;
use crate::operation::{Activation, Operation};
use crate::weights::{Tensor, Weights, WeightsError};

/// Which layers don't depend on the image.
pub(super) fn constant_layers(network: &Network) -> Vec<bool> {
    let mut constant = vec![];
    for layer in &network.layers {
        constant.push(match layer.operation {
            Operation::LabelEmbeddings { .. }
            | Operation::Queries { .. }
            | Operation::Constant { .. } => true,
            Operation::GraphConvolution { .. }
            | Operation::GraphAttention { .. }
            | Operation::LabelMaximum
            | Operation::Activation(_)
            | Operation::Add
            | Operation::Dropout { .. }
            | Operation::Linear { .. }
            | Operation::LayerNorm { .. } => layer.inputs.iter().all(|&input| constant[input]),
            _ => false,
        });
    }
    constant
}

/// The outputs of all layers that don't depend on the image.
pub(super) fn constants(
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
                values: input.values.iter().map(|&x| activation.apply(x)).collect(),
            },
            (Operation::Queries { .. }, []) => parameter("queries")?.clone(),
            (Operation::Constant { .. }, []) => parameter("value")?.clone(),
            (Operation::Dropout { .. }, [input]) => (*input).clone(),
            (Operation::Add, [a, b]) => Tensor {
                shape: a.shape.clone(),
                values: a.values.iter().zip(&b.values).map(|(a, b)| a + b).collect(),
            },
            (Operation::Linear { .. }, [input]) => {
                let bias = &parameter("bias")?.values;
                let mut output = product(input, parameter("weight")?);
                for row in output.values.chunks_mut(bias.len()) {
                    for (value, bias) in row.iter_mut().zip(bias) {
                        *value += bias;
                    }
                }
                output
            }
            (Operation::LayerNorm { epsilon }, [input]) => {
                layer_norm(input, parameter("weight")?, parameter("bias")?, epsilon)
            }
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
    let leaky_relu = Activation::LeakyRelu { slope };
    let mut coefficients = vec![0.0; labels * labels];
    for (i, row) in coefficients.chunks_mut(labels).enumerate() {
        let logits: Vec<f32> = (0..labels)
            .map(|j| {
                if adjacency.values[i * labels + j] > 0.0 {
                    leaky_relu.apply(from[i] + to[j])
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
        *value = Activation::Elu.apply(*value);
    }
    output
}

fn layer_norm(input: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Tensor {
    let length = weight.values.len();
    let mut output = input.clone();
    for row in output.values.chunks_mut(length) {
        let mean = row.iter().copied().map(f64::from).sum::<f64>() / length as f64;
        let squares = row.iter().map(|&x| (f64::from(x) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / length as f64 + f64::from(epsilon)).sqrt();
        for ((x, weight), bias) in row.iter_mut().zip(&weight.values).zip(&bias.values) {
            *x = ((f64::from(*x) - mean) / deviation) as f32 * weight + bias;
        }
    }
    output
}
