//! Replaces the quantised parts of a graph.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_core::ops::quant::{quantize_linear_i8, quantize_linear_u8};

use super::operation::Int8Operation;
use super::program::{Exit, MapId, Program, Quantization};
use super::regions::{Regions, dequantized};

/// What the engine took of a graph and what it left to tract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fusion {
    /// Names of the nodes that run in the engine.
    pub fused: Vec<String>,
    /// Quantised convolutions that don't.
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

/// Replaces every quantised part of an analysed graph that is not decluttered yet. Also returns what runs the
/// parts.
///
/// # Errors
/// When a quantised node is malformed, or tract refuses the new graph.
pub(crate) fn fuse(model: &mut TypedModel) -> Result<(Fusion, Vec<Arc<Program>>), String> {
    let found = Regions::find(model)?;
    let unfused = found.left.iter().map(|(id, reason)| Unfused {
        name: model.node(*id).name.clone(),
        reason: reason.clone(),
    });
    let mut fusion = Fusion {
        fused: vec![],
        unfused: unfused.collect(),
    };
    let mut replaced: HashMap<OutletId, OutletId> = HashMap::new();
    let exits = exits(model, &found);
    let mut programs = vec![];
    for (region, exits) in found.regions.into_iter().zip(exits) {
        if exits.is_empty() {
            continue;
        }
        let names = region.nodes.iter().map(|&id| model.node(id).name.clone());
        fusion.fused.extend(names);
        let source = replaced.get(&region.source).copied();
        let source = source.unwrap_or(region.source);
        let name = format!("{}.int8", model.node(region.nodes[0]).name);
        let forms = exits.iter().map(|needed| (needed.map, needed.exit));
        let program = Program::new(region.entry, region.maps, region.steps, forms.collect());
        let program = Arc::new(program);
        programs.push(program.clone());
        let outlets = replace(model, &name, program, source, &exits)
            .map_err(|error| error.root_cause().to_string())?;
        replaced.extend(exits.iter().map(|needed| needed.outlet).zip(outlets));
    }
    Ok((fusion, programs))
}

/// A tensor of the graph that a region computes and something else reads.
struct Needed {
    outlet: OutletId,
    map: MapId,
    exit: Exit,
    /// Whether the tensor is quantised, so that the exit's values have to be.
    requantized: bool,
}

/// What the graph needs of every region, found from its output back. Regions without a convolution are left out.
fn exits(model: &TypedModel, found: &Regions) -> Vec<Vec<Needed>> {
    let mut exits: Vec<Vec<Needed>> = found.regions.iter().map(|_| vec![]).collect();
    let place = |outlet: &OutletId| {
        let place = found.places.get(outlet)?;
        found.regions[place.region].is_worth_it().then_some(*place)
    };
    let mut seen = HashSet::new();
    let mut open: Vec<OutletId> = model.outputs.clone();
    while let Some(outlet) = open.pop() {
        if !seen.insert(outlet) {
            continue;
        }
        let node = model.node(outlet.node);
        let scaled = |outlet| {
            let (quantization, map) = dequantized(model, outlet)?;
            Some((place(&map)?, quantization))
        };
        let sum = is_sum_over_pixels(node).then(|| node.inputs[0]);
        let exit = if let Some(place) = place(&outlet) {
            Some((place, Exit::Values(place.quantization)))
        } else if let Some((place, quantization)) = scaled(outlet) {
            Some((place, Exit::Values(quantization)))
        } else {
            let scaled = sum.and_then(scaled);
            scaled.map(|(place, quantization)| (place, Exit::Sums(quantization)))
        };
        match exit {
            Some((place, exit)) => {
                open.push(found.regions[place.region].source);
                exits[place.region].push(Needed {
                    outlet,
                    map: place.map,
                    exit,
                    requantized: found.places.contains_key(&outlet),
                });
            }
            None => open.extend(&node.inputs),
        }
    }
    exits
}

fn is_sum_over_pixels(node: &TypedNode) -> bool {
    let op = node.op_as::<Reduce>();
    op.is_some_and(|op| op.axes[..] == [2, 3] && op.reducer == Reducer::Sum)
}

/// Puts `program`, fed by `source`, in place of the nodes that made `exits`; returns what makes them now.
fn replace(
    model: &mut TypedModel,
    name: &str,
    program: Arc<Program>,
    source: OutletId,
    exits: &[Needed],
) -> TractResult<Vec<OutletId>> {
    let outlets = model.wire_node(name, Int8Operation { program }, &[source])?;
    let mut made = vec![];
    for (needed, mut outlet) in exits.iter().zip(outlets) {
        if let (true, Exit::Values(Quantization { scale, zero_point })) =
            (needed.requantized, needed.exit)
        {
            let kind = model.outlet_fact(needed.outlet)?.datum_type.unquantized();
            let operation = if kind == u8::datum_type() {
                let zero_point = (i16::from(zero_point) + 128) as u8;
                quantize_linear_u8(scale.recip(), zero_point)
            } else {
                quantize_linear_i8(scale.recip(), zero_point)
            };
            let name = format!("{}.requantize", model.node(needed.outlet.node).name);
            outlet = model.wire_node(name, operation, &[outlet])?[0];
        }
        redirect(model, needed.outlet, outlet)?;
        made.push(outlet);
    }
    Ok(made)
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
