//! Cross-layer equalisation (Nagel et al. 2019, section 4.1): a channel that uses little of its tensor's range
//! is made larger before it is stored and smaller again in the weights that read it.
//!
//! Here weights have a scale per output channel, so the weights that write a channel lose nothing, and those
//! of a depthwise convolution that read it neither. ReLU6 does not commute with a factor, relu6(s x) / s
//! being relu6(x) only while s x stays below 6, so channels that reach 6 are left alone and no channel is
//! brought near it.

use std::collections::BTreeMap;

use graphtag_models::quantization::fused_relu;
use graphtag_models::{Activation, Network, Operation, Weights};

use super::observer::Range;

/// Where ReLU6 clips.
const RELU6_CLIP: f32 = 6.0;
/// The part of the tensor's range that a channel is brought to; what is left is for photos with larger values.
const FILLED: f32 = 0.7;
/// The largest factor; a channel that needs a larger one is as good as dead.
const LARGEST_FACTOR: f32 = 32.0;

/// Equalises every convolution whose ReLU or ReLU6 is read by one other convolution alone; `ranges` are those of
/// each channel of these, by layer. Returns the number of channels changed.
pub fn equalise(
    network: &Network,
    weights: &mut Weights,
    ranges: &BTreeMap<usize, Vec<Range>>,
) -> usize {
    let mut changed = 0;
    for (index, layer) in network.layers.iter().enumerate() {
        let Some(relu) = fused_relu(network, index) else {
            continue;
        };
        let Some(reader) = only_reader(network, relu) else {
            continue;
        };
        let Operation::Convolution(reading) = network.layers[reader].operation else {
            continue;
        };
        let reader = &network.layers[reader].name;
        let depthwise = reading.groups == layer.output.channels();
        if !depthwise && reading.groups != 1 {
            continue;
        }
        let highest: Vec<f32> = ranges[&relu].iter().map(|range| range.highest).collect();
        let largest = largest_by_input(weights, reader, highest.len());
        let clip = match network.layers[relu].operation {
            Operation::Activation(Activation::Relu6) => RELU6_CLIP,
            _ => f32::INFINITY,
        };
        let factors = factors(&highest, clip, (!depthwise).then_some(largest.as_slice()));
        changed += factors.iter().filter(|&&factor| factor != 1.0).count();
        multiply_outputs(weights, &layer.name, &factors);
        divide_inputs(weights, reader, &factors);
    }
    changed
}

/// The factor of each channel, from its largest value, where the function after it clips, and, where the weights that read the channels share
/// their scales, from the largest of the weights that read it.
fn factors(highest: &[f32], clip: f32, weights: Option<&[f32]>) -> Vec<f32> {
    let largest = |values: &[f32]| values.iter().copied().fold(0.0, f32::max);
    let range = largest(highest);
    let factor = |(channel, &highest): (usize, &f32)| {
        if highest <= 0.0 || highest >= clip {
            return 1.0;
        }
        let whole = FILLED * range / highest;
        let wanted = match weights {
            None => whole,
            // The geometric mean at which values and weights fill the same part of their ranges.
            Some(weights) => (range * weights[channel] / (highest * largest(weights))).sqrt(),
        };
        wanted.min(whole).clamp(1.0, LARGEST_FACTOR)
    };
    highest.iter().enumerate().map(factor).collect()
}

fn only_reader(network: &Network, index: usize) -> Option<usize> {
    let layers = network.layers.iter().enumerate();
    let mut readers = layers.filter(|(_, layer)| layer.inputs.contains(&index));
    let (reader, _) = readers.next()?;
    readers.next().is_none().then_some(reader)
}

/// Calls `change` with each weight of convolution `name` and the channel of the input that it reads; for a
/// depthwise convolution that is the output's.
fn for_each_by_input(
    weights: &mut Weights,
    name: &str,
    channels: usize,
    mut change: impl FnMut(usize, &mut f32),
) {
    let Some(tensor) = weights.tensors.get_mut(&format!("{name}.weight")) else {
        return;
    };
    let area = tensor.shape[2] * tensor.shape[3];
    for (index, weight) in tensor.values.iter_mut().enumerate() {
        change(index / area % channels, weight);
    }
}

fn largest_by_input(weights: &mut Weights, name: &str, channels: usize) -> Vec<f32> {
    let mut largest = vec![0.0f32; channels];
    for_each_by_input(weights, name, channels, |channel, weight| {
        largest[channel] = largest[channel].max(weight.abs());
    });
    largest
}

fn divide_inputs(weights: &mut Weights, name: &str, factors: &[f32]) {
    for_each_by_input(weights, name, factors.len(), |channel, weight| {
        *weight /= factors[channel];
    });
}

fn multiply_outputs(weights: &mut Weights, name: &str, factors: &[f32]) {
    for role in ["weight", "bias"] {
        let Some(tensor) = weights.tensors.get_mut(&format!("{name}.{role}")) else {
            continue;
        };
        let per_channel = tensor.values.len() / factors.len();
        for (channel, factor) in tensor.values.chunks_mut(per_channel).zip(factors) {
            for value in channel {
                *value *= factor;
            }
        }
    }
}
