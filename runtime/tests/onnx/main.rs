//! ONNX files of `graphtag-models`, run through tract and held against plain definitions of the layers.

mod example;
mod reference;

use std::collections::{BTreeMap, BTreeSet};

use example::{quantize, tiny};
use graphtag_models::quantization::{fused_relu6, int8_layers};
use graphtag_models::{Network, Operation, Quantization, fold, onnx};
use reference::Stored;
use tract_onnx::prelude::*;

const HEADS: [&str; 4] = ["linear", "linear-angular", "graph-gcn", "graph-gat"];

/// The probabilities that the runtime computes for one image.
fn probabilities(file: &[u8], image: &[f32]) -> Vec<f64> {
    let network =
        graphtag_runtime::network::Network::from_bytes(file).expect("the runtime takes the file");
    let probabilities = network.run(image).unwrap();
    probabilities.into_iter().map(f64::from).collect()
}

/// The outputs of the nodes called `names`, for one image.
fn inner_values(file: &[u8], image: &[f32], names: &[&str]) -> Vec<Tensor> {
    let mut model = tract_onnx::onnx().model_for_read(&mut &file[..]).unwrap();
    model
        .select_outputs_by_name(names)
        .expect("layers name the nodes");
    let shape = model.input_fact(0).unwrap().shape.as_concrete_finite();
    let image = Tensor::from_shape(&shape.unwrap().unwrap(), image).unwrap();
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let outputs = plan.run(tvec![image.into_tvalue()]).unwrap();
    outputs.into_iter().map(TValue::into_tensor).collect()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

#[test]
fn the_float_file_computes_what_the_unfolded_layers_define() {
    for (seed, head) in HEADS.iter().enumerate() {
        let example = tiny(head.parse().unwrap(), seed as u64);
        let unfolded = reference::run(&example.network, &example.weights, &example.image);
        let (network, weights) = fold(&example.network, &example.weights).unwrap();
        let file = onnx::float(&network, &weights, &example.metadata).unwrap();
        let probabilities = probabilities(&file, &example.image);
        let difference = largest_difference(&probabilities, unfolded.last().unwrap());
        assert!(difference < 1e-5, "{head}: {difference}");
    }
}

#[test]
fn every_int8_layer_is_within_a_step_of_its_definition() {
    let example = tiny("graph".parse().unwrap(), 11);
    let (network, weights) = fold(&example.network, &example.weights).unwrap();
    let quantization = quantize(&network, &weights, &example.image);
    let file = onnx::quantized(&network, &weights, &quantization, &example.metadata).unwrap();
    let stored = stored_values(&file, &network, &quantization, &example.image);

    let mut distinct = 0;
    for (index, layer) in network.layers.iter().enumerate() {
        if !matches!(layer.operation, Operation::Convolution(_) | Operation::Add) {
            continue;
        }
        let inputs: Vec<&Stored> = layer.inputs.iter().map(|input| &stored[input]).collect();
        let actual = &stored[&fused_relu6(&network, index).unwrap_or(index)];
        let convolution = quantization.convolutions.get(&layer.name);
        let expected =
            reference::int8_layer(&network, index, convolution, &inputs, actual.parameters);
        assert_eq!(actual.values.len(), expected.len());
        let pairs = actual.values.iter().zip(&expected);
        let steps = pairs
            .map(|(a, b)| i32::from(*a).abs_diff((*b).into()))
            .max();
        assert!(steps <= Some(1), "{}: {steps:?} steps", layer.name);
        distinct += expected.iter().collect::<BTreeSet<_>>().len();
    }
    assert!(distinct > 2000, "the layers took only {distinct} values");
}

#[test]
fn what_follows_the_int8_layers_is_computed_in_float() {
    for (seed, head) in HEADS.iter().enumerate() {
        let example = tiny(head.parse().unwrap(), 20 + seed as u64);
        let (network, weights) = fold(&example.network, &example.weights).unwrap();
        let quantization = quantize(&network, &weights, &example.image);
        let file = onnx::quantized(&network, &weights, &quantization, &example.metadata).unwrap();

        let stored = stored_values(&file, &network, &quantization, &example.image);
        let (last, map) = stored.last_key_value().unwrap();
        let mut values = BTreeMap::from([(*last, map.real())]);
        for index in last + 1..network.layers.len() {
            let inputs: Vec<&[f64]> = network.layers[index]
                .inputs
                .iter()
                .map(|i| &values[i][..])
                .collect();
            let value = reference::layer(&network, &weights, index, &inputs);
            values.insert(index, value);
        }
        let actual = probabilities(&file, &example.image);
        let difference = largest_difference(&actual, &values[&network.output()]);
        assert!(difference < 1e-5, "{head}: {difference}");
    }
}

/// The int8 output of every layer that has one, by the layer's index.
fn stored_values(
    file: &[u8],
    network: &Network,
    quantization: &Quantization,
    image: &[f32],
) -> BTreeMap<usize, Stored> {
    let layers = int8_layers(network);
    let nodes: Vec<String> = layers
        .iter()
        .map(|&index| int8_node(network, index))
        .collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let tensors = inner_values(file, image, &nodes);
    let stored = |(index, tensor): (usize, Tensor)| {
        let values = tensor.cast_to::<i8>().unwrap();
        let stored = Stored {
            values: values
                .to_plain_array_view()
                .unwrap()
                .iter()
                .copied()
                .collect(),
            parameters: quantization.activations[&network.layers[index].name],
        };
        (index, stored)
    };
    layers.into_iter().zip(tensors).map(stored).collect()
}

/// The node that makes the int8 output of layer `index`.
fn int8_node(network: &Network, index: usize) -> String {
    let layer = &network.layers[index];
    match layer.operation {
        Operation::Activation(_) => network.layers[layer.inputs[0]].name.clone(),
        Operation::Convolution(_) => layer.name.clone(),
        _ => format!("{}.quantize", layer.name),
    }
}
