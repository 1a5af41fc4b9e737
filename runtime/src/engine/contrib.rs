//! Quantised operations of ONNX Runtime's own domain, in terms of the standard one.
//!
//! ONNX Runtime's quantiser writes them beside `QLinearConv`. Each is defined as its standard operation on dequantised
//! inputs, quantised again
//! (<https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>).

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::constants::floats;
use super::graph::{input, integer, name};

const DOMAIN: &str = "com.microsoft";

/// Writes out what is known of the domain; other nodes are left as they are.
pub(crate) fn expand(graph: &mut GraphProto) {
    for node in std::mem::take(&mut graph.node) {
        let written = match node.domain == DOMAIN {
            true => written_out(&node, &mut graph.initializer),
            false => None,
        };
        graph.node.extend(written.unwrap_or_else(|| vec![node]));
    }
}

/// The nodes that stand for `node`.
fn written_out(node: &NodeProto, constants: &mut Vec<TensorProto>) -> Option<Vec<NodeProto>> {
    if integer(node, "channels_last", 0) != 0 {
        return None;
    }
    let (operation, inputs, output) = match &node.op_type[..] {
        "QLinearAdd" => ("Add", vec![0, 3], 6),
        "QLinearMul" => ("Mul", vec![0, 3], 6),
        "QLinearSigmoid" => ("Sigmoid", vec![0], 3),
        "QLinearLeakyRelu" => ("LeakyRelu", vec![0], 3),
        "QLinearAveragePool" => ("AveragePool", vec![0], 3),
        "QLinearGlobalAveragePool" => ("GlobalAveragePool", vec![0], 3),
        "QLinearConcat" => ("Concat", (2..node.input.len()).step_by(3).collect(), 0),
        "QGemm" => ("Gemm", vec![0, 3], 7),
        _ => return None,
    };
    let mut writer = Writer {
        node,
        nodes: vec![],
    };
    let mut floats = vec![];
    for first in inputs {
        // Weights have a scale per output.
        let axis = match operation {
            "Gemm" if first == 3 => 1 - integer(node, "transB", 0),
            _ => 1,
        };
        floats.push(writer.dequantize(first, axis)?);
    }
    if operation == "Gemm" && input(node, 6).is_some() {
        floats.push(writer.dequantize_bias(constants)?);
    }
    let is_float = node.input.get(output).is_none_or(|scale| scale.is_empty());
    let mut attributes = node.attribute.clone();
    attributes.retain(|attribute| attribute.name != "channels_last");
    if is_float {
        writer.push(operation, floats, node.output[0].clone(), attributes);
    } else {
        let result = format!("{}.float", node.output[0]);
        writer.push(operation, floats, result.clone(), attributes);
        let parameters = node.input[output..].iter().take(2).cloned();
        let inputs = [result].into_iter().chain(parameters).collect();
        writer.push("QuantizeLinear", inputs, node.output[0].clone(), vec![]);
    }
    Some(writer.nodes)
}

struct Writer<'a> {
    node: &'a NodeProto,
    nodes: Vec<NodeProto>,
}

impl Writer<'_> {
    fn push(
        &mut self,
        operation: &str,
        input: Vec<String>,
        output: String,
        attribute: Vec<AttributeProto>,
    ) {
        // The operation itself keeps the name.
        let own = name(self.node);
        let name = match operation {
            "DequantizeLinear" | "QuantizeLinear" => format!("{own}.{operation}.{output}"),
            _ => own.into(),
        };
        self.nodes.push(NodeProto {
            name,
            op_type: operation.into(),
            input,
            output: vec![output],
            attribute,
            ..NodeProto::default()
        });
    }

    /// Dequantises the input that has its scale and zero point after it.
    fn dequantize(&mut self, first: usize, axis: i64) -> Option<String> {
        let inputs = self.node.input.get(first..first + 3)?.to_vec();
        Some(self.push_dequantize(first, inputs, axis))
    }

    fn push_dequantize(&mut self, first: usize, inputs: Vec<String>, axis: i64) -> String {
        let output = format!("{}.input{first}", self.node.output[0]);
        let axis = AttributeProto {
            name: "axis".into(),
            r#type: AttributeType::Int as i32,
            i: axis,
            ..AttributeProto::default()
        };
        self.push("DequantizeLinear", inputs, output.clone(), vec![axis]);
        output
    }

    /// The bias of a matrix product, whose scale is that of the inputs times that of the weights.
    fn dequantize_bias(&mut self, constants: &mut Vec<TensorProto>) -> Option<String> {
        let scales = |index: usize| {
            let name = &self.node.input[index];
            floats(constants.iter().find(|stored| stored.name == *name)?).ok()
        };
        let ([input], weights) = (&scales(1)?[..], scales(4)?) else {
            return None;
        };
        let products: Vec<f32> = weights.iter().map(|weight| weight * input).collect();
        let name = format!("{}.bias_scale", self.node.output[0]);
        constants.push(TensorProto {
            name: name.clone(),
            // One scale is a scalar, several are a vector.
            dims: match products.len() {
                1 => vec![],
                length => vec![length as i64],
            },
            data_type: DataType::Float as i32,
            float_data: products,
            ..TensorProto::default()
        });
        let inputs = vec![self.node.input[6].clone(), name];
        Some(self.push_dequantize(6, inputs, 0))
    }
}
