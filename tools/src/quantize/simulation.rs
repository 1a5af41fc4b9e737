//! The int8 network simulated in float: every tensor that it stores as int8 goes through int8 here too.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use graphtag_models::{Network, Operation, QuantizationParameters};

use crate::training::forward::{Mode, Value, image_value, run_between};
use crate::training::parameters::Parameters;

/// Runs `network`, whose `parameters` are those that its integers stand for, on photos
/// \[N, 3, height, width\]. What `correct` makes of a convolution's output \[channels, N * pixels\], given
/// the layer's index, takes its place. Returns the output \[N, K\].
pub fn run(
    network: &Network,
    parameters: &Parameters,
    activations: &BTreeMap<String, QuantizationParameters>,
    photos: &Tensor<4>,
    mut correct: impl FnMut(usize, Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let visit = |index: usize, value: Value| {
        let layer = &network.layers[index];
        let Value::Map(mut map) = value else {
            return value;
        };
        if matches!(layer.operation, Operation::Convolution(_)) {
            map = correct(index, map);
        }
        if let Some(parameters) = activations.get(&layer.name) {
            map = through_int8(map, *parameters);
        }
        Value::Map(map)
    };
    let image = &network.layers[0].name;
    let pixels = through_int8(image_value(photos.clone()).tensor(), activations[image]);
    let input = (0, Value::Map(pixels));
    let (mode, end) = (Mode::Inference, network.output());
    let count = photos.dims()[0];
    run_between(network, parameters, mode, count, input, end, visit).tensor()
}

/// Each value as the int8 nearest to it stands for.
fn through_int8(values: Tensor<2>, parameters: QuantizationParameters) -> Tensor<2> {
    let QuantizationParameters { scale, zero_point } = parameters;
    let lowest = f64::from(i8::MIN) - f64::from(zero_point);
    let highest = f64::from(i8::MAX) - f64::from(zero_point);
    (values / scale).round().clamp(lowest, highest) * scale
}
