//! ONNX files of `graphtag-models`, run through tract and held against plain definitions of the layers.

mod example;
mod reference;

use example::{quantize, tiny};
use graphtag_models::quantization::{fused_relu6, int8_layers};
use graphtag_models::{Network, Operation, fold, onnx};
use tract_onnx::prelude::*;

const HEADS: [&str; 4] = ["linear", "linear-angular", "graph-gcn", "graph-gat"];

/// The file's tensors called `names`, or its output, for one image.
fn run(file: &[u8], image: &[f32], names: &[&str]) -> Vec<Tensor> {
    let mut model = tract_onnx::onnx()
        .model_for_read(&mut &file[..])
        .expect("tract reads the file");
    if !names.is_empty() {
        model.set_output_names(names).expect("the nodes are there");
    }
    let shape = model
        .input_fact(0)
        .unwrap()
        .shape
        .as_concrete_finite()
        .unwrap()
        .unwrap();
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let image = Tensor::from_shape(&shape, image).unwrap();
    let outputs = plan.run(tvec![image.into_tvalue()]).unwrap();
    outputs.into_iter().map(TValue::into_tensor).collect()
}

fn floats(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.cast_to::<f64>().unwrap();
    tensor
        .to_plain_array_view::<f64>()
        .unwrap()
        .iter()
        .copied()
        .collect()
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
        let probabilities = floats(&run(&file, &example.image, &[])[0]);
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
    let layers: Vec<usize> = int8_layers(&network);
    let nodes: Vec<String> = layers
        .iter()
        .map(|&index| int8_node(&network, index))
        .collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let tensors: Vec<Vec<i8>> = run(&file, &example.image, &nodes)
        .iter()
        .map(|tensor| floats(tensor).iter().map(|&value| value as i8).collect())
        .collect();
    let stored = |index: usize| {
        let position = layers.iter().position(|&layer| layer == index).unwrap();
        let parameters = quantization.activations[&network.layers[index].name];
        (&tensors[position][..], parameters)
    };

    let mut distinct = 0;
    for (index, layer) in network.layers.iter().enumerate() {
        if !matches!(layer.operation, Operation::Convolution(_) | Operation::Add) {
            continue;
        }
        let inputs: Vec<_> = layer.inputs.iter().map(|&input| stored(input)).collect();
        let (actual, parameters) = stored(fused_relu6(&network, index).unwrap_or(index));
        let expected = reference::run_int8(
            &network,
            index,
            &quantization.convolutions,
            &inputs,
            parameters,
        );
        let pairs = actual.iter().zip(&expected);
        let steps = pairs
            .map(|(a, b)| i32::from(*a).abs_diff((*b).into()))
            .max();
        assert!(steps <= Some(1), "{}: {steps:?} steps", layer.name);
        distinct += expected
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len();
    }
    assert!(distinct > 2000, "the layers took only {distinct} values");
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

#[test]
fn the_int8_file_gives_nearly_the_probabilities_of_the_float_one() {
    for (seed, head) in HEADS.iter().enumerate() {
        let example = tiny(head.parse().unwrap(), 20 + seed as u64);
        let (network, weights) = fold(&example.network, &example.weights).unwrap();
        let quantization = quantize(&network, &weights, &example.image);
        let float = onnx::float(&network, &weights, &example.metadata).unwrap();
        let int8 = onnx::quantized(&network, &weights, &quantization, &example.metadata).unwrap();
        let [float, int8] = [float, int8].map(|file| floats(&run(&file, &example.image, &[])[0]));
        let difference = largest_difference(&float, &int8);
        assert!(difference < 0.05, "{head}: {difference}");
    }
}
