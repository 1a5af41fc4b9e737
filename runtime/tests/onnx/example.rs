//! Networks with random weights, and their quantisation from the values that they take on one image.

use graphtag_models::quantization::int8_layers;
use graphtag_models::{
    Architecture, Backbone, ColorOrder, Filter, Head, InputSize, Metadata, Network, Operation,
    Preprocessing, Provenance, Quantization, QuantizationParameters, QuantizedConvolution, Resize,
    Tensor, Weights,
};

use crate::reference;

/// A network and all that its file needs.
pub struct Example {
    pub network: Network,
    pub weights: Weights,
    pub metadata: Metadata,
    pub image: Vec<f32>,
}

/// EfficientNet-Lite0 of a tenth of the width on 35 x 32 pixels, with `head` over 7 labels.
pub fn tiny(head: Head, seed: u64) -> Example {
    let architecture = Architecture {
        backbone: Backbone::EfficientNetLite {
            variant: 0,
            width: 0.1,
        },
        head,
        input: InputSize {
            height: 35,
            width: 32,
        },
        labels: 7,
    };
    example(architecture, seed)
}

pub fn example(architecture: Architecture, seed: u64) -> Example {
    let network = architecture.lower();
    let mut noise = Noise(seed);
    let mut weights = Weights::default();
    for parameter in network.all_parameters() {
        let length = parameter.shape.iter().product();
        let role = parameter.name.rsplit('.').next().unwrap();
        let fan_in = length / parameter.shape[0].max(1);
        let values = match role {
            "running_variance" => noise.within(0.5, 1.5, length),
            "adjacency" => noise.within(-0.5, 1.0, length),
            "weight" if parameter.shape.len() == 1 => noise.within(0.7, 1.3, length),
            "weight" if parameter.shape.len() == 4 => {
                let bound = (9.0 / fan_in as f32).sqrt();
                noise.within(-bound, bound, length)
            }
            _ => noise.within(-0.3, 0.3, length),
        };
        let mut tensor = Tensor {
            shape: parameter.shape,
            values,
        };
        if role == "adjacency" {
            let labels = tensor.shape[0];
            for label in 0..labels {
                tensor.values[label * (labels + 1)] = 1.0;
            }
        }
        weights.tensors.insert(parameter.name, tensor);
    }
    let InputSize { height, width } = architecture.input;
    Example {
        metadata: Metadata {
            name: "example".into(),
            labels: (0..architecture.labels)
                .map(|k| format!("label {k}"))
                .collect(),
            thresholds: vec![0.5; architecture.labels],
            preprocessing: Preprocessing {
                height,
                width,
                resize: Resize::Stretch,
                filter: Filter::Bilinear,
                mean: [127.0; 3],
                scale: [1.0 / 128.0; 3],
                color: ColorOrder::Rgb,
            },
            architecture: Some(architecture),
            provenance: Provenance::default(),
            accuracy: vec![],
            golden: None,
        },
        image: noise.within(-1.0, 1.0, 3 * height * width),
        network,
        weights,
    }
}

/// Quantises a folded network by the extremes of its values on `image`.
pub fn quantize(network: &Network, weights: &Weights, image: &[f32]) -> Quantization {
    let outputs = reference::run(network, weights, image);
    let mut quantization = Quantization::default();
    for index in int8_layers(network) {
        let layer = &network.layers[index];
        let smallest = outputs[index].iter().copied().fold(0.0, f64::min);
        let largest = outputs[index].iter().copied().fold(0.1, f64::max);
        let scale = ((largest - smallest) / 255.0) as f32;
        let zero_point = (-128.0 - smallest / f64::from(scale)).round() as i8;
        quantization.activations.insert(
            layer.name.clone(),
            QuantizationParameters { scale, zero_point },
        );
    }
    for layer in &network.layers {
        if !matches!(layer.operation, Operation::Convolution(_)) {
            continue;
        }
        let input = &network.layers[layer.inputs[0]].name;
        let input_scale = quantization.activations[input].scale;
        let weight = weights.get(&format!("{}.weight", layer.name)).unwrap();
        let bias = weights.get(&format!("{}.bias", layer.name)).unwrap();
        let per_channel = weight.values.len() / weight.shape[0];
        let mut convolution = QuantizedConvolution {
            values: vec![],
            scales: vec![],
            bias: vec![],
        };
        for (channel, bias) in weight.values.chunks(per_channel).zip(&bias.values) {
            let scale = channel.iter().fold(1e-6, |m: f32, w| m.max(w.abs())) / 127.0;
            let integers = channel.iter().map(|w| (w / scale).round() as i8);
            convolution.values.extend(integers);
            convolution.scales.push(scale);
            convolution
                .bias
                .push((bias / (input_scale * scale)).round() as i32);
        }
        quantization
            .convolutions
            .insert(layer.name.clone(), convolution);
    }
    quantization
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Noise(u64);

impl Noise {
    fn within(&mut self, low: f32, high: f32, length: usize) -> Vec<f32> {
        (0..length)
            .map(|_| low + (high - low) * self.next())
            .collect()
    }

    /// Uniform within 0..1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}
