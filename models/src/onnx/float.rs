//! The float form: one node of the standard operators per layer.

use crate::network::{Activation, Convolution, Layer, Network, Operation};
use crate::weights::{Tensor, Weights};

use super::OnnxError;
use super::graph::{Graph, int, ints};
use super::proto::{AttributeProto, GraphProto};

/// The smallest norm that a feature vector is divided by, as in PyTorch's `normalize`.
const SMALLEST_NORM: f32 = 1e-12;

pub(super) fn graph(network: &Network, weights: &Weights) -> Result<GraphProto, OnnxError> {
    let mut graph = Graph::new("graphtag");
    let mut values: Vec<String> = vec![];
    for layer in &network.layers {
        let inputs: Vec<&str> = layer.inputs.iter().map(|&i| values[i].as_str()).collect();
        let value = push_layer(&mut graph, layer, &inputs, weights)?;
        values.push(value);
    }
    super::declare_output(&mut graph, network, &values[network.output()]);
    Ok(graph.finish())
}

/// Appends a layer that computes in float; returns the name of its output, which is the layer's name.
pub(super) fn push_layer(
    graph: &mut Graph,
    layer: &Layer,
    inputs: &[&str],
    weights: &Weights,
) -> Result<String, OnnxError> {
    let name = layer.name.as_str();
    let tensor = |role: &str| weights.get(&format!("{name}.{role}"));
    let output = match layer.operation {
        Operation::Image => {
            super::declare_image(graph, layer);
            name.into()
        }
        Operation::Convolution(convolution) => {
            let weight = push_tensor(graph, name, "weight", tensor("weight")?);
            let mut inputs = vec![inputs[0], &weight];
            let bias;
            if convolution.bias {
                bias = push_tensor(graph, name, "bias", tensor("bias")?);
                inputs.push(&bias);
            }
            graph.node(
                "Conv",
                name,
                &inputs,
                name,
                convolution_attributes(&convolution),
            )
        }
        Operation::Activation(Activation::Relu6) => {
            let smallest = graph.floats("relu6.min".into(), &[], &[0.0]);
            let largest = graph.floats("relu6.max".into(), &[], &[6.0]);
            graph.node(
                "Clip",
                name,
                &[inputs[0], &smallest, &largest],
                name,
                vec![],
            )
        }
        Operation::Activation(Activation::Sigmoid) => {
            graph.node("Sigmoid", name, inputs, name, vec![])
        }
        Operation::Add => graph.node("Add", name, inputs, name, vec![]),
        Operation::GlobalAveragePool => {
            let map = format!("{name}.map");
            graph.node("GlobalAveragePool", name, inputs, &map, vec![]);
            let flatten = format!("{name}.flatten");
            graph.node("Flatten", &flatten, &[&map], name, vec![int("axis", 1)])
        }
        Operation::ConstantScale => {
            let scale = push_tensor(graph, name, "scale", tensor("scale")?);
            graph.node("Mul", name, &[inputs[0], &scale], name, vec![])
        }
        Operation::Linear { .. } => {
            let weight = push_tensor(graph, name, "weight", tensor("weight")?);
            let bias = push_tensor(graph, name, "bias", tensor("bias")?);
            graph.node("Gemm", name, &[inputs[0], &weight, &bias], name, vec![])
        }
        Operation::AngularClassifier { scale, .. } => {
            let directions = scaled_directions(tensor("proxies")?, scale);
            let directions = push_tensor(graph, name, "directions", &directions);
            let features = push_normalised(graph, name, inputs[0]);
            graph.node("MatMul", name, &[&features, &directions], name, vec![])
        }
        Operation::BatchNorm { .. }
        | Operation::Activation(Activation::LeakyRelu { .. } | Activation::Elu)
        | Operation::Dropout { .. }
        | Operation::LabelEmbeddings { .. }
        | Operation::GraphConvolution { .. }
        | Operation::GraphAttention { .. }
        | Operation::LabelMaximum
        | Operation::ScaleChannels => return Err(OnnxError::NotFolded(name.into())),
    };
    Ok(output)
}

pub(super) fn convolution_attributes(convolution: &Convolution) -> Vec<AttributeProto> {
    vec![
        int("group", convolution.groups),
        ints("kernel_shape", &[convolution.kernel; 2]),
        ints("pads", &convolution.padding),
        ints("strides", &[convolution.stride; 2]),
    ]
}

fn push_tensor(graph: &mut Graph, layer: &str, role: &str, tensor: &Tensor) -> String {
    graph.floats(format!("{layer}.{role}"), &tensor.shape, &tensor.values)
}

/// x / max(|x|, [`SMALLEST_NORM`]).
fn push_normalised(graph: &mut Graph, name: &str, features: &str) -> String {
    let [norm, guarded, normalised] =
        ["norm", "guarded_norm", "features"].map(|step| format!("{name}.{step}"));
    let axes = vec![ints("axes", &[1]), int("keepdims", 1)];
    graph.node("ReduceL2", &norm, &[features], &norm, axes);
    let smallest = graph.floats(format!("{name}.smallest_norm"), &[1, 1], &[SMALLEST_NORM]);
    graph.node("Max", &guarded, &[&norm, &smallest], &guarded, vec![]);
    graph.node(
        "Div",
        &normalised,
        &[features, &guarded],
        &normalised,
        vec![],
    )
}

/// The columns of `proxies`, each brought to the length `scale`; a column of zeros stays one.
fn scaled_directions(proxies: &Tensor, scale: f32) -> Tensor {
    let labels = proxies.shape[1];
    let mut squares = vec![0.0f64; labels];
    for row in proxies.values.chunks(labels) {
        for (square, &value) in squares.iter_mut().zip(row) {
            *square += f64::from(value) * f64::from(value);
        }
    }
    let factors: Vec<f64> = squares
        .iter()
        .map(|square| f64::from(scale) / square.sqrt().max(f64::from(SMALLEST_NORM)))
        .collect();
    let scaled =
        |(index, &value): (usize, &f32)| (f64::from(value) * factors[index % labels]) as f32;
    Tensor {
        shape: proxies.shape.clone(),
        values: proxies.values.iter().enumerate().map(scaled).collect(),
    }
}
