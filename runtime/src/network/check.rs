//! Refuses models that are no photo classifiers, and sizes that would take too much memory, before it is
//! taken.

use prost::Message;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::{ModelError, OutputKind, one_line};
use crate::engine;

/// The largest tensor, in elements: 64 times the largest activation of EfficientNet-Lite0 at 224 pixels.
const MAX_ELEMENTS: u64 = 1 << 26;

/// The longest side of an input, in pixels.
const MAX_SIDE: i64 = 4096;

/// What a classifier takes and gives.
#[derive(Clone, Copy)]
pub(super) struct Signature {
    /// \[1, 3, height, width\].
    pub input_shape: [usize; 4],
    /// By the operation that makes the output.
    pub output_kind: OutputKind,
}

/// The model in a file, operations of ONNX Runtime's own written out in those of the standard.
pub(super) fn decode(onnx: &[u8]) -> Result<ModelProto, ModelError> {
    let mut proto = ModelProto::decode(onnx).map_err(|_| ModelError::NotOnnx)?;
    if let Some(graph) = &mut proto.graph {
        engine::expand(graph);
    }
    Ok(proto)
}

/// Reads off the declared input and output of a model, and checks its stored tensors.
pub(super) fn signature(proto: &ModelProto) -> Result<Signature, ModelError> {
    let graph = proto.graph.as_ref().ok_or(ModelError::NotOnnx)?;
    for tensor in &graph.initializer {
        check_tensor(tensor)?;
    }
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    for tensor in attributes.filter_map(|attribute| attribute.t.as_ref()) {
        check_tensor(tensor)?;
    }
    Ok(Signature {
        input_shape: input_shape(graph)?,
        output_kind: output_kind(graph)?,
    })
}

fn check_tensor(tensor: &TensorProto) -> Result<(), ModelError> {
    let name = &tensor.name;
    let refuse = |problem: &str| Err(ModelError::Tensor(format!("tensor {name:?} {problem}")));
    let elements = tensor.dims.iter().try_fold(1u64, |product, &dimension| {
        product.checked_mul(u64::try_from(dimension).ok()?)
    });
    let Some(elements) = elements.filter(|&elements| elements <= MAX_ELEMENTS) else {
        return refuse("has an impossible shape, or one that is too large");
    };
    if tensor.data_location == Some(DataLocation::External as i32) {
        return refuse("is stored in another file, which is not supported");
    }
    let element_bytes = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Bool | DataType::Int8 | DataType::Uint8) => 1,
        Ok(DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16) => 2,
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => 4,
        Ok(DataType::Double | DataType::Int64 | DataType::Uint64) => 8,
        _ => return refuse("is not of numbers"),
    };
    if !tensor.raw_data.is_empty() && tensor.raw_data.len() as u64 != elements * element_bytes {
        return refuse("has another amount of data than its shape calls for");
    }
    Ok(())
}

fn input_shape(graph: &GraphProto) -> Result<[usize; 4], ModelError> {
    let refuse = |problem: String| Err(ModelError::Signature(problem));
    let stored = |input: &&ValueInfoProto| graph.initializer.iter().all(|t| t.name != input.name);
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(stored).collect();
    let [input] = inputs[..] else {
        return refuse(format!("it has {} inputs, not 1", inputs.len()));
    };
    let Some(Type::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return refuse(format!("input {:?} is not a tensor", input.name));
    };
    if tensor.elem_type != DataType::Float as i32 {
        return refuse(format!("input {:?} is not of 32-bit floats", input.name));
    }
    let dimensions: Vec<Option<i64>> = tensor
        .shape
        .iter()
        .flat_map(|shape| &shape.dim)
        .map(|dim| match dim.value {
            Some(Dimension::DimValue(value)) => Some(value),
            _ => None,
        })
        .collect();
    match dimensions[..] {
        [
            None | Some(..=1),
            Some(3),
            Some(height @ 1..=MAX_SIDE),
            Some(width @ 1..=MAX_SIDE),
        ] => Ok([1, 3, height as usize, width as usize]),
        _ => {
            let shape: Vec<String> = dimensions
                .iter()
                .map(|dimension| dimension.map_or("?".into(), |value| value.to_string()))
                .collect();
            refuse(format!(
                "input {:?} has the shape [{}], not [1, 3, height, width] with sides of 1 to {MAX_SIDE}",
                input.name,
                shape.join(", ")
            ))
        }
    }
}

fn output_kind(graph: &GraphProto) -> Result<OutputKind, ModelError> {
    let [output] = &graph.output[..] else {
        let problem = format!("it has {} outputs, not 1", graph.output.len());
        return Err(ModelError::Signature(problem));
    };
    let mut name = &output.name;
    if !graph.node.iter().any(|node| node.output.contains(name)) {
        let problem = format!("no node makes its output {name:?}");
        return Err(ModelError::Signature(problem));
    }
    // Rounding to int8 and back, and changes of shape or type, keep what the numbers are.
    const NEUTRAL: [&str; 7] = [
        "Cast",
        "DequantizeLinear",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Squeeze",
    ];
    for _ in 0..graph.node.len() {
        let Some(node) = graph.node.iter().find(|node| node.output.contains(name)) else {
            break;
        };
        match (node.op_type.as_str(), node.input.first()) {
            ("Sigmoid" | "Softmax", _) => return Ok(OutputKind::Probabilities),
            (neutral, Some(input)) if NEUTRAL.contains(&neutral) => name = input,
            _ => break,
        }
    }
    Ok(OutputKind::Logits)
}

/// The analysed model, its input made `input_shape`.
pub(super) fn typed(proto: &ModelProto, input_shape: [usize; 4]) -> Result<TypedModel, ModelError> {
    let failed = |error| ModelError::Graph(one_line(error));
    let onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    for operation in nodes.map(|node| &node.op_type) {
        if !onnx.op_register.0.contains_key(operation) {
            let problem = format!("operation {operation:?} is not supported");
            return Err(ModelError::Graph(problem));
        }
    }
    let mut model = onnx
        .model_for_proto_model(proto)
        .and_then(|model| model.with_input_fact(0, f32::fact(input_shape).into()))
        .map_err(failed)?;
    analyse_within_memory(&mut model)?;
    model.into_typed().map_err(failed)
}

/// Infers shapes node by node, checking each output's size before tract computes the values of constants.
fn analyse_within_memory(model: &mut InferenceModel) -> Result<(), ModelError> {
    let failed = |error| ModelError::Graph(one_line(error));
    for id in model.eval_order().map_err(failed)? {
        let (inputs, outputs) = model.node_facts(id).map_err(failed)?;
        let inputs: Vec<InferenceFact> = inputs.into_iter().cloned().collect();
        let outputs: Vec<InferenceFact> = outputs.into_iter().cloned().collect();
        let facts = || (inputs.iter().collect(), outputs.iter().collect());
        let name = model.node(id).name.clone();
        let failed = |error| ModelError::Graph(format!("node {name:?}: {}", one_line(error)));
        let op = &mut model.node_mut(id).op;

        let (input_facts, output_facts) = facts();
        let (_, inferred, _) = op
            .infer_facts(input_facts, output_facts, tvec!())
            .map_err(failed)?;
        if inferred.iter().any(|fact| elements(fact) > MAX_ELEMENTS) {
            let problem = format!("node {name:?} gives too large a tensor");
            return Err(ModelError::Tensor(problem));
        }
        let (input_facts, output_facts) = facts();
        let (_, inferred, _) = op
            .infer(input_facts, output_facts, tvec!())
            .map_err(failed)?;
        for (slot, fact) in inferred.into_iter().enumerate() {
            model
                .set_outlet_fact(OutletId::new(id, slot), fact)
                .map_err(failed)?;
        }
    }
    Ok(())
}

/// The elements of a fact, as far as its dimensions are known.
fn elements(fact: &InferenceFact) -> u64 {
    let dimensions = fact.shape.dims().map(|dimension| dimension.concretize());
    dimensions
        .filter_map(|dimension| dimension?.to_i64().ok())
        .fold(1, |product: u64, side| {
            product.saturating_mul(side.max(0) as u64)
        })
}

/// K of a model whose one output is f32 \[1, K\].
pub(super) fn outputs(model: &TypedModel) -> Result<usize, ModelError> {
    let fact = model
        .output_fact(0)
        .map_err(|error| ModelError::Graph(one_line(error)))?;
    match fact.shape.as_concrete() {
        Some(&[1, outputs]) if fact.datum_type == f32::datum_type() && outputs > 0 => Ok(outputs),
        _ => Err(ModelError::Signature(format!(
            "its output is {fact:?}, not [1, labels] of 32-bit floats"
        ))),
    }
}
