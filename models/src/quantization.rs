//! The numbers that make a folded network an int8 one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::operation::{Activation, Operation};
use crate::shape::Shape;

/// real = scale * (int8 - zero_point).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizationParameters {
    /// Step between neighbouring integers; positive and finite.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i8,
}

/// A convolution's weights in int8: symmetric, one scale per output channel.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedConvolution {
    /// Output channels x input channels per group x kernel x kernel, within -127..=127.
    pub values: Vec<i8>,
    /// One scale per output channel.
    pub scales: Vec<f32>,
    /// One bias per output channel, in units of the input's scale times the channel's scale.
    pub bias: Vec<i32>,
}

/// All that quantisation decided, by layer name of the folded network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantization {
    /// For each of [`int8_layers`], how its output is stored.
    pub activations: BTreeMap<String, QuantizationParameters>,
    /// For each convolution, its integer weights.
    pub convolutions: BTreeMap<String, QuantizedConvolution>,
}

/// The layers of a folded network whose outputs are stored as int8: every feature map, but for a
/// convolution's whose ReLU or ReLU6 is fused. All else is float.
pub fn int8_layers(network: &Network) -> Vec<usize> {
    (0..network.layers.len())
        .filter(|&index| {
            let is_map = matches!(network.layers[index].output, Shape::Map { .. });
            is_map && fused_relu(network, index).is_none()
        })
        .collect()
}

/// The ReLU or ReLU6 that is the only reader of convolution `index`: saturation of the int8 output implements
/// it, since zero is stored as -128, and of ReLU6 the largest value is at most 6.
pub fn fused_relu(network: &Network, index: usize) -> Option<usize> {
    if !matches!(network.layers[index].operation, Operation::Convolution(_)) {
        return None;
    }
    let mut readers =
        (0..network.layers.len()).filter(|&i| network.layers[i].inputs.contains(&index));
    let reader = readers.next()?;
    let is_relu = matches!(
        network.layers[reader].operation,
        Operation::Activation(Activation::Relu | Activation::Relu6)
    );
    (is_relu && readers.next().is_none()).then_some(reader)
}
