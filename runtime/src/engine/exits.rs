//! What the rest of a graph needs of its quantised parts.

use std::collections::HashSet;

use tract_onnx::pb::NodeProto;

use super::constants::{Weights, floats};
use super::graph::{Graph, float, input, integer};
use super::program::{MapId, Quantization};
use super::regions::{Place, Regions};
use super::vectors::{Exit, Layer};

/// A tensor of the graph that a region computes and something else reads.
pub(super) struct Needed<'a> {
    pub tensor: &'a str,
    pub map: MapId,
    pub exit: Exit,
    /// What the tensor is quantised by, if it is: the exit's floats have to be quantised anew.
    pub quantized: Option<Quantization>,
}

/// What leaves every region, and the nodes that remain.
pub(super) struct Exits<'a> {
    /// By region; none of those that are not worth it.
    pub needed: Vec<Vec<Needed<'a>>>,
    /// The nodes that are left to tract, by number.
    pub remaining: HashSet<usize>,
}

/// Goes through the graph from its outputs back, as far as something must be computed outside of the regions.
pub(super) fn exits<'a>(found: &Regions<'a>) -> Exits<'a> {
    let mut exits = Exits {
        needed: found.regions.iter().map(|_| vec![]).collect(),
        remaining: HashSet::new(),
    };
    let mut seen = HashSet::new();
    let mut open = found.graph.outputs.clone();
    while let Some(tensor) = open.pop() {
        if !seen.insert(tensor) {
            continue;
        }
        let quantized = found.places.get(tensor).copied();
        let exit = match quantized {
            Some(place) => Some((place, Exit::values(place.quantization))),
            None => found.exit(tensor),
        };
        let exit = exit.filter(|(place, _)| found.regions[place.region].is_worth_it());
        match exit.filter(|_| found.graph.outlets.contains_key(tensor)) {
            Some((place, exit)) => {
                open.push(found.regions[place.region].source);
                exits.needed[place.region].push(Needed {
                    tensor,
                    map: place.map,
                    exit,
                    quantized: quantized.map(|place| place.quantization),
                });
            }
            None => {
                if let Some((index, node)) = found.graph.maker(tensor) {
                    exits.remaining.insert(index);
                    open.extend((0..node.input.len()).filter_map(|index| input(node, index)));
                }
            }
        }
    }
    exits
}

impl<'a> Regions<'a> {
    /// If the float tensor `tensor` can be computed from a map: from which, and how.
    fn exit(&self, tensor: &str) -> Option<(Place, Exit)> {
        // Operations from the last one back, until what they begin with is there.
        let mut nodes: Vec<&NodeProto> = vec![];
        let mut tensor = tensor;
        let (place, mut exit) = loop {
            if let Some(place) = self.dequantized(tensor) {
                break (place, Exit::values(place.quantization));
            }
            if let Some(inner) = self.graph.reshaped(tensor) {
                tensor = inner;
                continue;
            }
            let (_, node) = self.graph.maker(tensor)?;
            if self.is_mean_over_pixels(node) {
                let place = self.dequantized(&node.input[0])?;
                break (place, Exit::means(place.quantization));
            }
            nodes.push(node);
            let mut inputs = (0..node.input.len()).filter_map(|index| input(node, index));
            tensor = inputs.find(|tensor| !is_constant(self.graph, tensor))?;
        };
        let map = self.map(place);
        let mut length = match exit.means {
            true => map.channels,
            false => map.channels * map.pixels(),
        };
        // Vectors alone: what is done to maps is tract's.
        let is_vector = exit.means || map.pixels() == 1;
        for node in nodes.into_iter().rev() {
            let layer = layer(self.graph, node, length).filter(|_| is_vector)?;
            length = layer.length(length);
            exit.layers.push(layer);
        }
        Some((place, exit))
    }
}

/// Whether `tensor` is stored in the file, perhaps quantised.
fn is_constant(graph: &Graph, tensor: &str) -> bool {
    graph.constant(tensor).is_some() || Weights::dequantized(graph, tensor).is_ok()
}

/// The operation `node` on a vector of `length` values.
fn layer(graph: &Graph, node: &NodeProto, length: usize) -> Option<Layer> {
    let constant = |index| constant(graph, input(node, index)?);
    // The side of a symmetric operation that is stored.
    let stored = || constant(1).or_else(|| constant(0));
    let shape = graph.shape(&node.output[0])?;
    let outputs = *shape.get(1)?;
    if shape.iter().product::<usize>() != outputs {
        return None;
    }
    let per_value = |values: Vec<f32>| match values.len() {
        1 => Some(vec![values[0]; length]),
        _ => (values.len() == length).then_some(values),
    };
    match &node.op_type[..] {
        "Mul" => Some(Layer::Scale(per_value(stored()?)?)),
        "Add" => Some(Layer::Add(per_value(stored()?)?)),
        "Div" => normalization(graph, node),
        "Sigmoid" => Some(Layer::Sigmoid),
        "Softmax" if [1, -1].contains(&integer(node, "axis", -1)) && shape.len() == 2 => {
            Some(Layer::Softmax)
        }
        "MatMul" => Layer::linear(constant(1)?, vec![0.0; outputs], length),
        "Gemm" => {
            let is_plain = integer(node, "transA", 0) == 0
                && float(node, "alpha", 1.0) == 1.0
                && float(node, "beta", 1.0) == 1.0;
            let weights = constant(1).filter(|weights| weights.len() == length * outputs)?;
            let weights = match integer(node, "transB", 0) {
                0 => weights,
                _ => (0..length)
                    .flat_map(|from| weights.iter().skip(from).step_by(length).copied())
                    .collect(),
            };
            let bias = match input(node, 2) {
                Some(_) => constant(2)?,
                None => vec![0.0],
            };
            let bias = match bias.len() {
                1 => vec![bias[0]; outputs],
                _ => bias,
            };
            is_plain
                .then(|| Layer::linear(weights, bias, length))
                .flatten()
        }
        _ => None,
    }
}

/// The division of a vector by its own length, which `Max` may keep from zero.
fn normalization(graph: &Graph, node: &NodeProto) -> Option<Layer> {
    let (vector, divisor) = (input(node, 0)?, input(node, 1)?);
    let (_, mut length) = graph.maker(divisor)?;
    let mut smallest = 0.0;
    if length.op_type == "Max" {
        let [a, b] = &length.input[..] else {
            return None;
        };
        let (norm, bound) = match graph.constant(a) {
            None => (a, b),
            Some(_) => (b, a),
        };
        let [bound] = floats(graph.constant(bound)?).ok()?[..] else {
            return None;
        };
        (smallest, length) = (bound, graph.maker(norm)?.1);
    }
    let is_length = length.op_type == "ReduceL2"
        && input(length, 0) == Some(vector)
        && integer(length, "keepdims", 1) == 1
        && [[1], [-1]].contains(&graph.axes(length)?.try_into().ok()?);
    (is_length && graph.shape(vector)?.len() == 2).then_some(Layer::Normalize { smallest })
}

/// The floats of a constant, dequantised where it is quantised.
fn constant(graph: &Graph, tensor: &str) -> Option<Vec<f32>> {
    if let Some(stored) = graph.constant(tensor) {
        return floats(stored).ok();
    }
    let weights = Weights::dequantized(graph, tensor).ok()?;
    let per_scale: usize = weights.dimensions.iter().skip(weights.axis + 1).product();
    let (scales, zero_points) = (&weights.scales, &weights.zero_points);
    let mut values = Vec::with_capacity(weights.values.len());
    for (index, value) in weights.values.iter().enumerate() {
        let channel = index / per_scale.max(1);
        let of = |count: usize| if count == 1 { 0 } else { channel % count };
        if scales.is_empty() || zero_points.is_empty() {
            return None;
        }
        let centred = value.wrapping_sub(zero_points[of(zero_points.len())]);
        values.push(centred as f32 * scales[of(scales.len())]);
    }
    Some(values)
}
