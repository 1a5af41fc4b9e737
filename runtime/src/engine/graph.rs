//! An ONNX graph by its tensors: what makes each, what reads it, its shape and its constants.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::*;

/// The nodes of a graph, numbered in the order of the file.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub nodes: &'a [NodeProto],
    /// The outlet of each tensor in the analysed graph.
    pub outlets: HashMap<&'a str, OutletId>,
    pub outputs: Vec<&'a str>,
    model: &'a TypedModel,
    constants: HashMap<&'a str, &'a TensorProto>,
    makers: HashMap<&'a str, usize>,
    readers: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Graph<'a> {
    /// `model` is the analysed graph of `proto`.
    pub fn new(proto: &'a GraphProto, model: &'a TypedModel) -> Self {
        let initializers = proto.initializer.iter();
        let mut graph = Graph {
            nodes: &proto.node,
            outlets: HashMap::new(),
            outputs: proto.output.iter().map(|o| &o.name[..]).collect(),
            model,
            constants: initializers.map(|t| (&t.name[..], t)).collect(),
            makers: HashMap::new(),
            readers: HashMap::new(),
        };
        // tract labels what nodes make; an input has but the name of its node.
        let inputs = model.inputs.iter();
        let inputs = inputs.map(|outlet| (&model.node(outlet.node).name[..], *outlet));
        let labels = model.outlet_labels.iter();
        graph.outlets = labels
            .map(|(outlet, name)| (&name[..], *outlet))
            .chain(inputs)
            .collect();
        for (index, node) in proto.node.iter().enumerate() {
            let value = node.attribute.iter().find(|a| a.name == "value");
            if let ("Constant", Some(tensor)) =
                (&node.op_type[..], value.and_then(|a| a.t.as_ref()))
            {
                graph
                    .constants
                    .extend(node.output.first().map(|name| (&name[..], tensor)));
            }
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                graph.makers.insert(output, index);
            }
            for input in node.input.iter().filter(|name| !name.is_empty()) {
                graph.readers.entry(input).or_default().push(index);
            }
        }
        graph
    }

    /// The node that makes `tensor`.
    pub fn maker(&self, tensor: &str) -> Option<(usize, &'a NodeProto)> {
        let index = *self.makers.get(tensor)?;
        Some((index, &self.nodes[index]))
    }

    /// The nodes that read `tensor`.
    pub fn readers(&self, tensor: &str) -> &[usize] {
        self.readers.get(tensor).map_or(&[][..], |readers| readers)
    }

    /// Whether a single node reads `tensor`, and nobody else wants it.
    pub fn is_read_once(&self, tensor: &str) -> bool {
        self.readers(tensor).len() == 1 && !self.outputs.contains(&tensor)
    }

    /// The shape of `tensor`, where it does not depend on the input.
    pub fn shape(&self, tensor: &str) -> Option<&'a [usize]> {
        let fact = self.model.outlet_fact(*self.outlets.get(tensor)?).ok()?;
        fact.shape.as_concrete()
    }

    /// `tensor`, where the file stores it.
    pub fn constant(&self, tensor: &str) -> Option<&'a TensorProto> {
        self.constants.get(tensor).copied()
    }

    /// The axes that `node` reduces: an input since opset 18 (`ReduceMean`, `ReduceL2`), an attribute before. Empty where
    /// it names none; `None` where they are computed.
    pub fn axes(&self, node: &NodeProto) -> Option<Vec<i64>> {
        let Some(tensor) = input(node, 1) else {
            return Some(integers(node, "axes").to_vec());
        };
        let stored = self.constant(tensor)?;
        let raw = stored.raw_data.as_chunks().0.iter();
        let raw = raw.map(|&bytes| i64::from_le_bytes(bytes));
        Some(raw.chain(stored.int64_data.iter().copied()).collect())
    }

    /// What a node that only reshapes or copies its input reads.
    pub fn reshaped(&self, tensor: &str) -> Option<&'a str> {
        const VIEWS: [&str; 6] = [
            "Dropout",
            "Flatten",
            "Identity",
            "Reshape",
            "Squeeze",
            "Unsqueeze",
        ];
        let (_, node) = self.maker(tensor)?;
        let is_view = VIEWS.contains(&&node.op_type[..]) && node.output[0] == tensor;
        is_view.then(|| input(node, 0)).flatten()
    }
}

/// Input `index` of `node`, if it has one.
pub(super) fn input(node: &NodeProto, index: usize) -> Option<&str> {
    let name = node.input.get(index)?;
    (!name.is_empty()).then_some(name)
}

/// The name by which tract and people know `node`.
pub(super) fn name(node: &NodeProto) -> &str {
    match (&node.name[..], node.output.first()) {
        ("", Some(output)) => output,
        (name, _) => name,
    }
}

/// An integer attribute.
pub(super) fn integer(node: &NodeProto, attribute: &str, default: i64) -> i64 {
    let found = node.attribute.iter().find(|a| a.name == attribute);
    found.map_or(default, |attribute| attribute.i)
}

/// A float attribute.
pub(super) fn float(node: &NodeProto, attribute: &str, default: f32) -> f32 {
    let found = node.attribute.iter().find(|a| a.name == attribute);
    found.map_or(default, |attribute| attribute.f)
}

/// An attribute of integers; empty when it is missing.
pub(super) fn integers<'a>(node: &'a NodeProto, attribute: &str) -> &'a [i64] {
    let found = node.attribute.iter().find(|a| a.name == attribute);
    found.map_or(&[], |attribute| &attribute.ints)
}

/// A text attribute; empty when it is missing.
pub(super) fn text<'a>(node: &'a NodeProto, attribute: &str) -> &'a [u8] {
    let found = node.attribute.iter().find(|a| a.name == attribute);
    found.map_or(&[], |attribute| &attribute.s)
}
