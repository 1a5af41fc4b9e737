//! What a model file costs to run, layer by layer, counted on the graph that runs.

use std::collections::HashSet;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::Cost;

use super::{ModelError, check, guarded, one_line};
use crate::engine::{self, Fusion};

/// The cost of one node for one photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCost {
    /// The node's name.
    pub name: String,
    /// The engine's name of its operation.
    pub operation: String,
    /// Shape of its first output.
    pub output: Vec<usize>,
    /// Multiply-accumulates of convolutions and matrix products; nothing else is counted.
    pub macs: u64,
    /// Stored weights and biases.
    pub parameters: u64,
    /// Whether it runs in the int8 engine.
    pub fused: bool,
    /// Why it runs on tract, though it is quantised.
    pub unfused_because: Option<String>,
}

/// Counts each node of an ONNX file, in the order of execution. Shape changes, which cost nothing, are left
/// out.
///
/// # Errors
/// As [`Network::from_bytes`](super::Network::from_bytes).
pub fn costs(onnx: &[u8]) -> Result<Vec<NodeCost>, ModelError> {
    let proto = check::decode(onnx)?;
    let signature = check::signature(&proto)?;
    let count = || {
        let model = check::typed(&proto, signature.input_shape)?;
        let mut fused = model.clone();
        let graph = proto.graph.as_ref().ok_or(ModelError::NotOnnx)?;
        let made = engine::fuse(&mut fused, graph).map_err(ModelError::Graph)?;
        count(&model, &fused, &made.fusion).map_err(|error| ModelError::Graph(one_line(error)))
    };
    guarded(count).unwrap_or_else(|panic| Err(ModelError::Graph(panic)))
}

/// The costs of `model`'s nodes; in `fused`, those that run in the int8 engine are no longer executed.
fn count(model: &TypedModel, fused: &TypedModel, fusion: &Fusion) -> TractResult<Vec<NodeCost>> {
    let on_tract: HashSet<usize> = fused.eval_order()?.into_iter().collect();
    let mut costs = Vec::new();
    for id in model.eval_order()? {
        let node = model.node(id);
        let facts = model.node_input_facts(id)?;
        let free = [
            "Const", "Source", "Reshape", "AddAxis", "RmAxis", "Cast", "Move",
        ];
        let operation = node.op.name().to_string();
        if free.iter().any(|prefix| operation.starts_with(prefix)) {
            continue;
        }
        let mut macs = 0;
        for (cost, count) in node.op.cost(&facts)? {
            let counted = ["Conv", "Deconv", "EinSum"].contains(&operation.as_str());
            if counted && matches!(cost, Cost::FMA(_)) {
                macs += count.to_i64()?.unsigned_abs();
            }
        }
        // Data, weights and bias; what follows are the scales and zero points of quantised nodes.
        let stored = facts.iter().take(3).filter_map(|fact| fact.konst.as_ref());
        let parameters = stored
            .map(|tensor| tensor.volume() as u64)
            .filter(|&n| n > 1);
        costs.push(NodeCost {
            name: node.name.clone(),
            operation,
            output: node.outputs[0]
                .fact
                .shape
                .as_concrete()
                .unwrap_or_default()
                .to_vec(),
            macs,
            parameters: parameters.sum(),
            fused: !on_tract.contains(&id),
            unfused_because: fusion.reason(&node.name).map(str::to_string),
        });
    }
    Ok(costs)
}
