//! How maps leave a program: as floats, and what the end of a classifier makes of them.

use super::parts::in_parts;
use super::program::Quantization;
use crate::kernels::{Map, channel_sums, dequantize};

/// How a map leaves the program, as floats, channels first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exit {
    pub quantization: Quantization,
    /// Only the mean over all pixels, per channel.
    pub means: bool,
    /// What is done to the floats.
    pub layers: Vec<Layer>,
}

impl Exit {
    /// Every value.
    pub fn values(quantization: Quantization) -> Self {
        Exit {
            quantization,
            means: false,
            layers: vec![],
        }
    }

    /// The mean of every channel.
    pub fn means(quantization: Quantization) -> Self {
        Exit {
            means: true,
            ..Exit::values(quantization)
        }
    }

    /// Leaves the floats of `map`, whose shape is `shape`, in `vectors`.
    pub fn run(&self, map: &[i8], shape: Map, vectors: &mut Vectors, threads: usize) {
        let Quantization { scale, zero_point } = self.quantization;
        let Vectors { values, spare } = vectors;
        values.clear();
        if self.means {
            let pixels = shape.pixels() as i32;
            let offset = i32::from(zero_point) * pixels;
            values.resize(shape.channels, 0.0);
            in_parts(values, shape.channels, threads, |channels, values| {
                let first = channels.start;
                channel_sums(map, shape, channels, |channel, sum| {
                    values[channel - first] = (sum - offset) as f32 * scale / pixels as f32;
                });
            });
        } else {
            values.resize(shape.channels * shape.pixels(), 0.0);
            dequantize(map, shape, scale, zero_point, values);
        }
        for layer in &self.layers {
            layer.run(values, spare, threads);
        }
    }
}

/// What exits compute in.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    pub values: Vec<f32>,
    spare: Vec<f32>,
}

/// What becomes of a vector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Layer {
    /// Each value times one of these.
    Scale(Vec<f32>),
    /// Each value plus one of these.
    Add(Vec<f32>),
    /// A matrix product, and what is added to it.
    Linear {
        /// \[inputs\]\[outputs\].
        weights: Vec<f32>,
        bias: Vec<f32>,
    },
    /// Each value divided by the length of the vector, or by `smallest` if that is more.
    Normalize {
        /// What the length counts as at least.
        smallest: f32,
    },
    /// The logistic function of each value.
    Sigmoid,
    /// Exponentials of the values, divided by their sum.
    Softmax,
}

impl Layer {
    /// A product of a vector of `inputs` values with a matrix; `None` when the lengths don't fit.
    pub fn linear(weights: Vec<f32>, bias: Vec<f32>, inputs: usize) -> Option<Layer> {
        let fits = !bias.is_empty() && weights.len() == inputs * bias.len();
        fits.then_some(Layer::Linear { weights, bias })
    }

    /// Values that it makes of `inputs`.
    pub fn length(&self, inputs: usize) -> usize {
        match self {
            Layer::Linear { bias, .. } => bias.len(),
            _ => inputs,
        }
    }

    /// Replaces `values`; `spare` is there to be used.
    pub fn run(&self, values: &mut Vec<f32>, spare: &mut Vec<f32>, threads: usize) {
        match self {
            Layer::Scale(factors) => {
                for (value, factor) in values.iter_mut().zip(factors) {
                    *value *= factor;
                }
            }
            Layer::Add(terms) => {
                for (value, term) in values.iter_mut().zip(terms) {
                    *value += term;
                }
            }
            Layer::Linear { weights, bias } => {
                spare.clear();
                spare.extend_from_slice(bias);
                in_parts(spare, bias.len(), threads, |outputs, sums| {
                    let rows = weights.chunks_exact(bias.len());
                    for (value, weights) in values.iter().zip(rows) {
                        for (sum, weight) in sums.iter_mut().zip(&weights[outputs.clone()]) {
                            *sum += value * weight;
                        }
                    }
                });
                std::mem::swap(values, spare);
            }
            Layer::Normalize { smallest } => {
                let squares: f32 = values.iter().map(|value| value * value).sum();
                let length = squares.sqrt().max(*smallest);
                values.iter_mut().for_each(|value| *value /= length);
            }
            Layer::Sigmoid => {
                for value in values {
                    *value = 1.0 / (1.0 + (-*value).exp());
                }
            }
            Layer::Softmax => {
                let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0;
                for value in values.iter_mut() {
                    *value = (*value - largest).exp();
                    sum += *value;
                }
                for value in values {
                    *value /= sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_compute_what_their_names_say() {
        let mut values = vec![1.0, -2.0];
        let mut spare = vec![];
        let layers = [
            Layer::Scale(vec![2.0, 0.5]),
            Layer::Add(vec![1.0, 1.0]),
            Layer::linear(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0.5, 0.0, -9.0], 2).unwrap(),
        ];
        let expected = [vec![2.0, -1.0], vec![3.0, 0.0], vec![3.5, 6.0, 0.0]];
        for (layer, expected) in layers.iter().zip(expected) {
            layer.run(&mut values, &mut spare, 1);
            assert_eq!(values, expected);
            assert_eq!(layer.length(2), values.len());
        }
        values = vec![3.0, -4.0];
        Layer::Normalize { smallest: 2.0 }.run(&mut values, &mut spare, 1);
        assert_eq!(values, [0.6, -0.8]);
        Layer::Normalize { smallest: 2.0 }.run(&mut values, &mut spare, 1);
        assert_eq!(values, [0.3, -0.4]);
        values = vec![0.0, 200.0, -200.0];
        Layer::Sigmoid.run(&mut values, &mut spare, 1);
        assert_eq!(values, [0.5, 1.0, 0.0]);
        values = vec![800.0, 800.0];
        Layer::Softmax.run(&mut values, &mut spare, 1);
        assert_eq!(values, [0.5, 0.5]);
        assert_eq!(Layer::linear(vec![1.0; 5], vec![0.0; 2], 3), None);
    }
}
