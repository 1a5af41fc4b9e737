//! ONNX files of `graphtag-models`, run through tract and held against plain definitions of the layers.

mod example;
mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use example::{quantize, tiny};
use graphtag_models::quantization::{fused_relu, int8_layers};
use graphtag_models::{Operation, Quantization, fold, onnx};
use graphtag_runtime::Network;
use graphtag_runtime::network::Engine;
use prost::Message;
use reference::Stored;
use tract_onnx::pb::{ModelProto, TensorProto};
use tract_onnx::prelude::*;

const HEADS: [&str; 4] = ["linear", "linear-angular", "graph-gcn", "graph-gat"];

/// The probabilities that the runtime computes for one image.
fn probabilities(file: &[u8], image: &[f32]) -> Vec<f64> {
    let network = Network::from_bytes(file).expect("the runtime takes the file");
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
fn the_float_file_computes_the_same_on_any_number_of_threads() {
    let example = tiny("graph".parse().unwrap(), 1);
    let (network, weights) = fold(&example.network, &example.weights).unwrap();
    let file = onnx::float(&network, &weights, &example.metadata).unwrap();
    let on = |threads: usize| {
        let network = Network::from_bytes(&file).unwrap();
        let threads = NonZeroUsize::new(threads).unwrap();
        let network = network.with_threads(threads).unwrap();
        network.run(&example.image).unwrap()
    };
    assert_eq!(on(2), on(1));
    assert_eq!(on(3), on(1));
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
        let actual = &stored[&fused_relu(&network, index).unwrap_or(index)];
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
fn the_int8_engine_computes_what_the_operators_define() {
    for (seed, head) in HEADS.iter().enumerate() {
        let example = tiny(head.parse().unwrap(), 20 + seed as u64);
        let (network, weights) = fold(&example.network, &example.weights).unwrap();
        let quantization = quantize(&network, &weights, &example.image);
        let file = onnx::quantized(&network, &weights, &quantization, &example.metadata).unwrap();

        let stored = defined_values(&network, &quantization, &example.image);
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
        let runtime = Network::from_bytes(&file).unwrap();
        let convolutions = quantization.convolutions.keys();
        let unfused: Vec<_> = convolutions
            .filter(|name| !runtime.fusion().fused.contains(name))
            .collect();
        assert!(unfused.is_empty(), "{unfused:?}");
        let actual = runtime.run(&example.image).unwrap();
        let on_three_threads = runtime.with_threads(NonZeroUsize::new(3).unwrap()).unwrap();
        assert_eq!(on_three_threads.run(&example.image).unwrap(), actual);
        let actual: Vec<f64> = actual.into_iter().map(f64::from).collect();
        let difference = largest_difference(&actual, &values[&network.output()]);
        assert!(difference < 1e-5, "{head}: {difference}");
    }
}

/// What is said of a quantised model in whose constant `constant` something is wrong.
fn refusal(constant: &str, spoil: impl Fn(&mut TensorProto)) -> String {
    let example = tiny("linear".parse().unwrap(), 31);
    let (network, weights) = fold(&example.network, &example.weights).unwrap();
    let quantization = quantize(&network, &weights, &example.image);
    let file = onnx::quantized(&network, &weights, &quantization, &example.metadata).unwrap();
    let mut model = ModelProto::decode(&file[..]).unwrap();
    let constants = &mut model.graph.as_mut().unwrap().initializer;
    let constant = constants.iter_mut().find(|tensor| tensor.name == constant);
    spoil(constant.unwrap());
    let refused = Network::from_bytes(&model.encode_to_vec()).err().unwrap();
    refused.to_string()
}

#[test]
fn a_model_with_an_impossible_scale_is_refused() {
    for scale in [0.0, -0.5, f32::NAN, f32::INFINITY, 1e-40] {
        for name in ["stem.convolution.weight_scale", "image.output_scale"] {
            let message = refusal(name, |constant| {
                let elements = constant.dims.iter().product::<i64>() as usize;
                constant.raw_data = scale.to_le_bytes().repeat(elements);
                constant.float_data.clear();
            });
            assert!(
                message.contains("is not a positive number"),
                "{name} {scale}: {message}"
            );
            assert!(message.contains("node \""), "{message}");
        }
    }
}

#[test]
fn a_model_with_an_impossible_zero_point_is_refused() {
    let names = [
        "image.output_zero_point",
        "weight_zero_point",
        "stem.relu6.output_zero_point",
    ];
    for name in names {
        let message = refusal(name, |constant| {
            constant.raw_data.clear();
            constant.int32_data = vec![300];
        });
        let expected = format!("{name} holds 300, which is out of range");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn a_model_whose_numbers_do_not_suit_its_channels_is_refused() {
    let one_less = |constant: &mut TensorProto| {
        let channel = constant.raw_data.len() / constant.dims[0] as usize;
        constant.dims[0] -= 1;
        constant
            .raw_data
            .truncate(constant.dims[0] as usize * channel);
    };
    for convolution in ["stem", "blocks.0.depthwise"] {
        for constant in ["weight", "weight_scale", "bias"] {
            let message = refusal(&format!("{convolution}.convolution.{constant}"), one_less);
            let node = format!("node \"{convolution}.convolution\"");
            assert!(message.contains(&node), "{constant}: {message}");
        }
    }
}

#[test]
fn a_convolution_may_take_its_input_for_something_else_than_it_was_written_as() {
    let example = tiny("linear".parse().unwrap(), 41);
    let (network, weights) = fold(&example.network, &example.weights).unwrap();
    let quantization = quantize(&network, &weights, &example.image);
    let file = onnx::quantized(&network, &weights, &quantization, &example.metadata).unwrap();
    let mut model = ModelProto::decode(&file[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let convolutions = graph.node.iter_mut();
    let convolution = convolutions
        .filter(|node| node.op_type == "QLinearConv")
        .nth(3)
        .unwrap();
    let zero_point = &mut convolution.input[2];
    let constants = graph.initializer.iter();
    let mut changed = constants
        .clone()
        .find(|tensor| tensor.name == *zero_point)
        .unwrap()
        .clone();
    changed.name = "changed_zero_point".into();
    changed.int32_data.clear();
    changed.raw_data = vec![60];
    *zero_point = changed.name.clone();
    graph.initializer.push(changed);

    let run = |file: &[u8], engine: Engine| -> Vec<f64> {
        let network = Network::from_bytes_for(file, engine).unwrap();
        let outputs = network.run(&example.image).unwrap();
        outputs.into_iter().map(f64::from).collect()
    };
    let changed = model.encode_to_vec();
    let tract = run(&changed, Engine::Tract);
    let effect = largest_difference(&tract, &run(&file, Engine::Tract));
    let difference = largest_difference(&tract, &run(&changed, Engine::Graphtag));
    assert!(difference < effect / 10.0, "{difference} of {effect}");
}

/// The int8 output that the operators define for every layer that has one, by the layer's index.
fn defined_values(
    network: &graphtag_models::Network,
    quantization: &Quantization,
    image: &[f32],
) -> BTreeMap<usize, Stored> {
    let mut stored: BTreeMap<usize, Stored> = BTreeMap::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let convolution = quantization.convolutions.get(&layer.name);
        let output = match layer.operation {
            Operation::Image => index,
            Operation::Convolution(_) => fused_relu(network, index).unwrap_or(index),
            Operation::Add => index,
            _ => continue,
        };
        let parameters = quantization.activations[&network.layers[output].name];
        let values = if index == 0 {
            let quantize = |value: f32| (value / parameters.scale).round_ties_even();
            let offset = f32::from(parameters.zero_point);
            image
                .iter()
                .map(|&value| (quantize(value) + offset) as i8)
                .collect()
        } else {
            let inputs: Vec<&Stored> = layer.inputs.iter().map(|input| &stored[input]).collect();
            reference::int8_layer(network, index, convolution, &inputs, parameters)
        };
        stored.insert(output, Stored { values, parameters });
    }
    stored
}

/// The int8 output of every layer that has one, by the layer's index.
fn stored_values(
    file: &[u8],
    network: &graphtag_models::Network,
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
fn int8_node(network: &graphtag_models::Network, index: usize) -> String {
    let layer = &network.layers[index];
    match layer.operation {
        Operation::Activation(_) => network.layers[layer.inputs[0]].name.clone(),
        Operation::Convolution(_) => layer.name.clone(),
        _ => format!("{}.quantize", layer.name),
    }
}
