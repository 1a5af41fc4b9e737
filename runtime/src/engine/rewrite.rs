//! Replaces the quantised parts of a graph.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::quant::{quantize_linear_i8, quantize_linear_u8};

use super::exits::{Exits, exits};
use super::graph::{Graph, input, name};
use super::operation::{Int8Operation, QuantizeMap, map_shape};
use super::program::{MapId, Program, Quantization, Step};
use super::regions::Regions;
use super::vectors::Exit;
use crate::kernels::Map;
use crate::network::Entry;

/// What the engine took of a graph and what it left to tract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fusion {
    /// Names of the nodes that run in the engine.
    pub fused: Vec<String>,
    /// Nodes on quantised tensors that don't.
    pub unfused: Vec<Unfused>,
}

impl Fusion {
    /// Why the node called `name` is left to tract, if it is quantised.
    pub fn reason(&self, name: &str) -> Option<&str> {
        let unfused = self.unfused.iter().find(|node| node.name == name)?;
        Some(&unfused.reason)
    }
}

/// A quantised node that runs on tract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfused {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What the engine made of a graph.
#[derive(Default)]
pub(crate) struct Fused {
    pub fusion: Fusion,
    /// What runs the parts that it took.
    pub programs: Vec<Arc<Program>>,
    /// How the image is quantised, where the graph now takes that instead of floats.
    pub entry: Option<Entry>,
    /// Whether the only program, fed with the image, makes the output, so that nothing is left to tract.
    pub is_whole: bool,
}

/// Replaces every quantised part of `model`, the analysed graph of `proto`. Where nothing but one such part reads the
/// image, the graph then takes the quantised image.
///
/// # Errors
/// When a quantised node is malformed, or tract refuses the new graph.
pub(crate) fn fuse(model: &mut TypedModel, proto: &GraphProto) -> Result<Fused, String> {
    let (fusion, parts, nothing_remains) = {
        let graph = Graph::new(proto, model);
        let found = Regions::find(&graph)?;
        let exits = exits(&found);
        let nothing_remains = exits.remaining.is_empty();
        (fusion(&found, &exits), parts(found, exits), nothing_remains)
    };
    let mut made = Fused {
        fusion,
        ..Fused::default()
    };
    let mut replaced = HashMap::new();
    for part in parts {
        let wired = part.wire(model, &mut replaced, &mut made);
        wired.map_err(|error| error.root_cause().to_string())?;
    }
    made.is_whole = nothing_remains && made.programs.len() == 1 && made.entry.is_some();
    Ok(made)
}

/// The names of what was taken, and of what was not and why.
fn fusion(found: &Regions, exits: &Exits) -> Fusion {
    let graph = found.graph;
    let reads = |node: &NodeProto, condition: &dyn Fn(&str) -> bool| {
        (0..node.input.len()).any(|index| input(node, index).is_some_and(condition))
    };
    let mut fusion = Fusion::default();
    for (index, node) in graph.nodes.iter().enumerate() {
        let is_constant = !reads(node, &|tensor| graph.constant(tensor).is_none());
        if is_constant {
            continue;
        }
        let owned = || name(node).to_string();
        if !exits.remaining.contains(&index) {
            fusion.fused.push(owned());
            continue;
        }
        if ["QuantizeLinear", "DequantizeLinear"].contains(&&node.op_type[..]) {
            continue;
        }
        let reads_quantized = || {
            reads(node, &|tensor| {
                let dequantizer = found.dequantizer(tensor).map(|(_, node)| node);
                dequantizer.is_some_and(|node| graph.constant(&node.input[0]).is_none())
            })
        };
        let reason = match found.reasons.get(&index) {
            Some(reason) => reason.clone(),
            None if reads_quantized() => "its input is not a map of the int8 engine".into(),
            None => continue,
        };
        fusion.unfused.push(Unfused {
            name: owned(),
            reason,
        });
    }
    fusion
}

/// A region and where it belongs in tract's graph.
struct Part {
    name: String,
    source: OutletId,
    /// Whether nothing else reads the source.
    reads_alone: bool,
    quantization: Quantization,
    maps: Vec<Map>,
    steps: Vec<Step>,
    outputs: Vec<Output>,
}

/// A tensor that a part makes.
struct Output {
    outlet: OutletId,
    shape: TVec<usize>,
    map: MapId,
    exit: Exit,
    quantized: Option<Quantization>,
}

fn parts(found: Regions, exits: Exits) -> Vec<Part> {
    let graph = found.graph;
    let mut parts = vec![];
    for (index, (region, needed)) in found.regions.into_iter().zip(exits.needed).enumerate() {
        if needed.is_empty() {
            continue;
        }
        let outputs = needed.into_iter().map(|needed| Output {
            outlet: graph.outlets[needed.tensor],
            shape: graph.shape(needed.tensor).unwrap_or_default().into(),
            map: needed.map,
            exit: needed.exit,
            quantized: needed.quantized,
        });
        let Some(&source) = graph.outlets.get(region.source) else {
            continue;
        };
        parts.push(Part {
            name: format!("{}.int8.{index}", region.source),
            source,
            reads_alone: graph.is_read_once(region.source),
            quantization: region.entry,
            outputs: outputs.collect(),
            maps: region.maps,
            steps: region.steps,
        });
    }
    parts
}

impl Part {
    /// Puts the program in place of the nodes that made its outputs. `replaced` tells what makes an outlet now.
    fn wire(
        self,
        model: &mut TypedModel,
        replaced: &mut HashMap<OutletId, OutletId>,
        made: &mut Fused,
    ) -> TractResult<()> {
        let (map, quantization) = (self.maps[0], self.quantization);
        let name = &self.name;
        let input = if self.reads_alone && model.inputs[..] == [self.source] {
            let Quantization { scale, zero_point } = quantization;
            made.entry = Some(Entry {
                map,
                scale,
                zero_point,
            });
            let image = model.add_source(format!("{name}.image"), i8::fact(map_shape(map)))?;
            model.inputs = vec![image];
            image
        } else {
            let source = replaced.get(&self.source).unwrap_or(&self.source);
            let operation = QuantizeMap { map, quantization };
            model.wire_node(format!("{name}.quantize"), operation, &[*source])?[0]
        };
        let forms = self
            .outputs
            .iter()
            .map(|output| (output.map, output.exit.clone()));
        let program = Arc::new(Program::new(self.maps, self.steps, forms.collect()));
        made.programs.push(program.clone());
        let operation = Int8Operation {
            program,
            shapes: self
                .outputs
                .iter()
                .map(|output| output.shape.clone())
                .collect(),
        };
        let outlets = model.wire_node(name, operation, &[input])?;
        for (output, mut outlet) in self.outputs.into_iter().zip(outlets) {
            if let Some(Quantization { scale, zero_point }) = output.quantized {
                let kind = model.outlet_fact(output.outlet)?.datum_type.unquantized();
                let operation = if kind == u8::datum_type() {
                    let zero_point = (i16::from(zero_point) + 128) as u8;
                    quantize_linear_u8(scale.recip(), zero_point)
                } else {
                    quantize_linear_i8(scale.recip(), zero_point)
                };
                let name = format!("{name}.requantize.{}", output.outlet.node);
                outlet = model.wire_node(name, operation, &[outlet])?[0];
            }
            redirect(model, output.outlet, outlet)?;
            replaced.insert(output.outlet, outlet);
        }
        Ok(())
    }
}

/// Makes all that reads `from` read `to`.
fn redirect(model: &mut TypedModel, from: OutletId, to: OutletId) -> TractResult<()> {
    let successors = model.node(from.node).outputs[from.slot].successors.clone();
    for successor in successors {
        model.add_edge(to, successor)?;
    }
    for output in &mut model.outputs {
        if *output == from {
            *output = to;
        }
    }
    Ok(())
}
