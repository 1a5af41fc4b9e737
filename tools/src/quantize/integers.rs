//! Convolutions in integers, and back.

use std::collections::BTreeMap;

use graphtag_models::{
    Network, Operation, QuantizationParameters, QuantizedConvolution, Weights, WeightsError,
};

/// The largest integer weight; -128 is not used, so that weights are symmetric.
const LARGEST: f32 = 127.0;
/// A bias takes up at most half of what an i32 holds, which leaves the other half for the sum of products.
const LARGEST_BIAS: f32 = (1 << 30) as f32;

/// Quantises the weights of all convolutions, symmetric with a scale per output channel, and their biases.
///
/// # Errors
/// When the weights are not those of the network.
pub fn quantize_convolutions(
    network: &Network,
    weights: &Weights,
    activations: &BTreeMap<String, QuantizationParameters>,
) -> Result<BTreeMap<String, QuantizedConvolution>, WeightsError> {
    let mut convolutions = BTreeMap::new();
    for layer in &network.layers {
        if matches!(layer.operation, Operation::Convolution(_)) {
            let name = &layer.name;
            let input = activations[&network.layers[layer.inputs[0]].name].scale;
            let weight = &weights.get(&format!("{name}.weight"))?.values;
            let bias = &weights.get(&format!("{name}.bias"))?.values;
            convolutions.insert(name.clone(), quantize(weight, bias, input));
        }
    }
    Ok(convolutions)
}

fn quantize(weight: &[f32], bias: &[f32], input_scale: f32) -> QuantizedConvolution {
    let mut quantized = QuantizedConvolution {
        values: Vec::with_capacity(weight.len()),
        scales: Vec::with_capacity(bias.len()),
        bias: Vec::with_capacity(bias.len()),
    };
    for (channel, bias) in weight.chunks(weight.len() / bias.len()).zip(bias) {
        let largest = channel
            .iter()
            .fold(0.0f32, |largest, w| largest.max(w.abs()));
        // A dead channel has hardly any weights, but its bias must fit in an i32 all the same.
        let scale = (largest / LARGEST)
            .max(bias.abs() / (input_scale * LARGEST_BIAS))
            .max(f32::MIN_POSITIVE);
        let integers = channel.iter().map(|w| (w / scale).round_ties_even() as i8);
        quantized.values.extend(integers);
        quantized.scales.push(scale);
        let step = f64::from(input_scale) * f64::from(scale);
        quantized
            .bias
            .push((f64::from(*bias) / step).round_ties_even() as i32);
    }
    quantized
}

/// The weights with those of the convolutions as their integers stand for.
///
/// # Errors
/// When the weights are not those of the network.
pub fn dequantized(
    network: &Network,
    weights: &Weights,
    activations: &BTreeMap<String, QuantizationParameters>,
    convolutions: &BTreeMap<String, QuantizedConvolution>,
) -> Result<Weights, WeightsError> {
    let mut dequantized = weights.clone();
    for layer in &network.layers {
        let name = &layer.name;
        let Some(convolution) = convolutions.get(name) else {
            continue;
        };
        let QuantizedConvolution {
            values,
            scales,
            bias,
        } = convolution;
        let input = activations[&network.layers[layer.inputs[0]].name].scale;
        let per_channel = values.len() / scales.len();
        let value = |(index, &value): (usize, &i8)| f32::from(value) * scales[index / per_channel];
        let kernel = values.iter().enumerate().map(value).collect();
        let bias = bias.iter().zip(scales);
        let bias =
            bias.map(|(&b, &scale)| (f64::from(b) * f64::from(input) * f64::from(scale)) as f32);
        for (role, values) in [("weight", kernel), ("bias", bias.collect())] {
            let name = format!("{name}.{role}");
            let shape = weights.get(&name)?.shape.clone();
            dequantized
                .tensors
                .insert(name, graphtag_models::Tensor { shape, values });
        }
    }
    Ok(dequantized)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_uses_all_of_its_127_steps() {
        let quantized = quantize(&[0.5, -1.27, 0.0, 254.0], &[0.05, -4.0], 0.5);
        assert_eq!(quantized.values, [50, -127, 0, 127]);
        assert_eq!(quantized.scales, [0.01, 2.0]);
        assert_eq!(quantized.bias, [10, -4]);
    }

    #[test]
    fn the_bias_of_a_dead_channel_is_kept() {
        let quantized = quantize(&[1e-20, 0.0, 0.0, 0.0], &[3.0, 0.0], 0.02);
        let scale = quantized.scales[0];
        let bias = f64::from(quantized.bias[0]) * f64::from(scale) * f64::from(0.02f32);
        assert!((bias - 3.0).abs() < 1e-6, "{quantized:?}");
        assert!(quantized.scales[1] > 0.0, "{quantized:?}");
    }
}
