//! The float form: the standard operators that make up each layer.

use crate::network::{Layer, Network};
use crate::operation::{Activation, Convolution, Operation};
use crate::weights::{Tensor, Weights};

use super::OnnxError;
use super::decoder;
use super::graph::{Graph, float, int, ints, string};
use super::proto::{AttributeProto, GraphProto};

/// The smallest norm that a feature vector is divided by, as in PyTorch's `normalize`.
const SMALLEST_NORM: f32 = 1e-12;
/// The filter of a blur, in one direction.
const BLUR: [f32; 3] = [0.25, 0.5, 0.25];

pub(super) fn graph(network: &Network, weights: &Weights) -> Result<GraphProto, OnnxError> {
    let mut graph = Graph::new("graphtag");
    let mut values: Vec<String> = vec![];
    for layer in &network.layers {
        let inputs: Vec<&str> = layer.inputs.iter().map(|&i| values[i].as_str()).collect();
        let value = push_layer(&mut graph, layer, &inputs, &layer.name, weights)?;
        values.push(value);
    }
    super::declare_output(&mut graph, network, &values[network.output()]);
    Ok(graph.finish())
}

/// Appends a layer that computes in float; returns the name of its output, which is `output` unless the layer is
/// a constant.
pub(super) fn push_layer(
    graph: &mut Graph,
    layer: &Layer,
    inputs: &[&str],
    output: &str,
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
            let attributes = convolution_attributes(&convolution);
            graph.node("Conv", name, &inputs, output, attributes)
        }
        Operation::Activation(activation) => {
            push_activation(graph, activation, name, inputs[0], output)
        }
        Operation::Add => graph.node("Add", name, inputs, output, vec![]),
        Operation::Gate => graph.node("Mul", name, inputs, output, vec![]),
        Operation::Squeeze => graph.node("GlobalAveragePool", name, inputs, output, vec![]),
        Operation::GlobalAveragePool => {
            let map = format!("{name}.map");
            graph.node("GlobalAveragePool", name, inputs, &map, vec![]);
            let flatten = format!("{name}.flatten");
            graph.node("Flatten", &flatten, &[&map], output, vec![int("axis", 1)])
        }
        Operation::AveragePool { side } => {
            let sides = [
                ints("kernel_shape", &[side; 2]),
                ints("strides", &[side; 2]),
            ];
            graph.node("AveragePool", name, inputs, output, sides.to_vec())
        }
        Operation::Blur => push_blur(graph, layer, inputs[0], output),
        Operation::ConstantScale => {
            let scale = push_tensor(graph, name, "scale", tensor("scale")?);
            graph.node("Mul", name, &[inputs[0], &scale], output, vec![])
        }
        Operation::Linear { .. } => {
            let weight = push_tensor(graph, name, "weight", tensor("weight")?);
            let bias = push_tensor(graph, name, "bias", tensor("bias")?);
            graph.node("Gemm", name, &[inputs[0], &weight, &bias], output, vec![])
        }
        Operation::AngularClassifier { scale, .. } => {
            let directions = scaled_directions(tensor("proxies")?, scale);
            let directions = push_tensor(graph, name, "directions", &directions);
            let features = push_normalised(graph, name, inputs[0]);
            graph.node("MatMul", name, &[&features, &directions], output, vec![])
        }
        Operation::Constant { .. } => push_tensor(graph, name, "value", tensor("value")?),
        Operation::LayerNorm { epsilon } => {
            let scale = push_tensor(graph, name, "weight", tensor("weight")?);
            let shift = push_tensor(graph, name, "bias", tensor("bias")?);
            decoder::push_layer_norm(graph, name, inputs[0], epsilon, [&scale, &shift], output)
        }
        Operation::CrossAttention { heads, .. } => {
            decoder::push_attention(graph, layer, heads, inputs, output)
        }
        Operation::GroupLinear { labels } => {
            let weight = tensor("weight")?;
            let weight_name = push_tensor(graph, name, "weight", weight);
            let bias = push_tensor(graph, name, "bias", tensor("bias")?);
            let grouped = format!("{name}.grouped");
            let rows = inputs[0];
            decoder::push_groups(graph, name, rows, &weight_name, weight, labels, &grouped);
            graph.node("Add", name, &[&grouped, &bias], output, vec![])
        }
        Operation::GroupAngularClassifier { labels, scale } => {
            let directions = scaled_directions(tensor("proxies")?, scale);
            let directions_name = push_tensor(graph, name, "directions", &directions);
            let rows = push_normalised(graph, name, inputs[0]);
            let weight = &directions;
            decoder::push_groups(graph, name, &rows, &directions_name, weight, labels, output)
        }
        Operation::BatchNorm { .. }
        | Operation::Dropout { .. }
        | Operation::LabelEmbeddings { .. }
        | Operation::GraphConvolution { .. }
        | Operation::GraphAttention { .. }
        | Operation::LabelMaximum
        | Operation::ScaleChannels
        | Operation::Queries { .. } => return Err(OnnxError::NotFolded(name.into())),
    };
    Ok(output)
}

fn push_activation(
    graph: &mut Graph,
    activation: Activation,
    name: &str,
    input: &str,
    output: &str,
) -> String {
    let hard_sigmoid = || vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)];
    // SiLU and hard-swish are no operators of this version of the standard, but products.
    let (factor, attributes) = match activation {
        Activation::Relu6 => {
            let smallest = graph.floats("relu6.min".into(), &[], &[0.0]);
            let largest = graph.floats("relu6.max".into(), &[], &[6.0]);
            return graph.node("Clip", name, &[input, &smallest, &largest], output, vec![]);
        }
        Activation::Relu => return graph.node("Relu", name, &[input], output, vec![]),
        Activation::LeakyRelu { slope } => {
            let slope = vec![float("alpha", slope)];
            return graph.node("LeakyRelu", name, &[input], output, slope);
        }
        Activation::Elu => return graph.node("Elu", name, &[input], output, vec![]),
        Activation::Sigmoid => return graph.node("Sigmoid", name, &[input], output, vec![]),
        Activation::HardSigmoid => {
            return graph.node("HardSigmoid", name, &[input], output, hard_sigmoid());
        }
        Activation::Silu => ("Sigmoid", vec![]),
        Activation::HardSwish => ("HardSigmoid", hard_sigmoid()),
    };
    let factor_name = format!("{name}.factor");
    graph.node(factor, &factor_name, &[input], &factor_name, attributes);
    graph.node("Mul", name, &[input, &factor_name], output, vec![])
}

/// Mirrors the edges and convolves each channel with the fixed filter.
fn push_blur(graph: &mut Graph, layer: &Layer, input: &str, output: &str) -> String {
    let name = &layer.name;
    let channels = layer.output.channels();
    let pads = graph.int64s("blur.pads".into(), &[0, 0, 1, 1, 0, 0, 1, 1]);
    let padded = format!("{name}.padded");
    let reflect = vec![string("mode", "reflect")];
    graph.node("Pad", &padded, &[input, &pads], &padded, reflect);
    let filter = BLUR.iter().flat_map(|row| BLUR.map(|column| row * column));
    let filter: Vec<f32> = filter.collect();
    let filters = format!("blur.filters.{channels}");
    let filters = graph.floats(filters, &[channels, 1, 3, 3], &filter.repeat(channels));
    let convolution = Convolution {
        outputs: channels,
        kernel: BLUR.len(),
        stride: 2,
        padding: [0; 4],
        groups: channels,
        bias: false,
    };
    let attributes = convolution_attributes(&convolution);
    graph.node("Conv", name, &[&padded, &filters], output, attributes)
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

/// The columns of `proxies`, a matrix or several, each brought to the length `scale`; a column of zeros stays
/// one.
fn scaled_directions(proxies: &Tensor, scale: f32) -> Tensor {
    let [.., rows, columns] = proxies.shape[..] else {
        return proxies.clone();
    };
    let mut directions = proxies.clone();
    for matrix in directions.values.chunks_mut(rows * columns) {
        let mut squares = vec![0.0f64; columns];
        for row in matrix.chunks(columns) {
            for (square, &value) in squares.iter_mut().zip(row) {
                *square += f64::from(value) * f64::from(value);
            }
        }
        let factors: Vec<f64> = squares
            .iter()
            .map(|square| f64::from(scale) / square.sqrt().max(f64::from(SMALLEST_NORM)))
            .collect();
        for (index, value) in matrix.iter_mut().enumerate() {
            *value = (f64::from(*value) * factors[index % columns]) as f32;
        }
    }
    directions
}
