//! Finds the quantised parts of a graph.

use std::collections::HashMap;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::Add;
use tract_onnx::tract_core::ops::nn::DataFormat;
use tract_onnx::tract_core::ops::quant::{DequantizeLinearF32, QuantizeLinearI8, QuantizeLinearU8};

use super::constants::{Problem, check_scale, per_channel, unknown, value, values, zero_point};
use super::program::{MapId, Quantization, Step, Task};
use crate::kernels::{Convolution, Depthwise, Map, Requantization, Residual, Window};

/// The most memory that maps and packed weights may take, in bytes: padding channels can make them many times what a
/// file declares.
const MAX_BYTES: usize = 1 << 28;

/// Channels that packing may pad to.
const PADDED_CHANNELS: usize = 64;

/// A quantised part in the making: the maps that hang together from one `QuantizeLinear` on.
#[derive(Debug)]
pub(super) struct Region {
    /// The f32 map that is quantised.
    pub source: OutletId,
    pub entry: Quantization,
    pub maps: Vec<Map>,
    pub steps: Vec<Step>,
    /// The nodes it computes.
    pub nodes: Vec<usize>,
}

/// A quantised map of a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub region: usize,
    pub map: MapId,
    pub quantization: Quantization,
}

impl Region {
    /// Whether it computes anything but additions.
    pub fn is_worth_it(&self) -> bool {
        self.steps
            .iter()
            .any(|step| !matches!(step.task, Task::Add(..)))
    }
}

/// What the graph holds for the engine.
#[derive(Debug, Default)]
pub(super) struct Regions {
    pub regions: Vec<Region>,
    /// Where the quantised tensors of the graph are.
    pub places: HashMap<OutletId, Place>,
    /// Quantised convolutions that are left to tract, and why.
    pub left: Vec<(usize, String)>,
    /// A bound of what the maps and packed weights take.
    bytes: usize,
}

/// If `outlet` is a `DequantizeLinear`: what it takes its input for, and that input.
pub(super) fn dequantized(
    model: &TypedModel,
    outlet: OutletId,
) -> Option<(Quantization, OutletId)> {
    let node = model.node(outlet.node);
    let op = node.op_as::<DequantizeLinearF32>()?;
    let kind = model.outlet_fact(node.inputs[0]).ok()?.datum_type;
    let quantization = Quantization {
        scale: op.scale,
        zero_point: zero_point(op.zero_point, kind.unquantized()).ok()?,
    };
    Some((quantization, node.inputs[0]))
}

impl Regions {
    /// Goes through the graph once, from its input on.
    ///
    /// # Errors
    /// The name of a malformed node, and what is wrong with it.
    pub fn find(model: &TypedModel) -> Result<Regions, String> {
        let mut found = Regions::default();
        for id in model.eval_order().map_err(|error| error.to_string())? {
            let node = model.node(id);
            let outcome = if node.op_is::<ElementWiseOp>() {
                found.quantize(model, node)
            } else if node.op_as::<Conv>().is_some_and(|op| op.q_params.is_some()) {
                found.convolution(model, node)
            } else {
                continue;
            };
            match outcome {
                Ok(()) => {}
                Err(Problem::Unknown(reason)) => {
                    if node.op_is::<Conv>() {
                        found.left.push((id, reason));
                    }
                }
                Err(Problem::Malformed(problem)) => {
                    return Err(format!("node {:?}: {problem}", node.name));
                }
            }
        }
        Ok(found)
    }

    fn quantize(&mut self, model: &TypedModel, node: &TypedNode) -> Result<(), Problem> {
        let Some((found_zero_point, inverse, kind)) = quantization(node) else {
            return unknown("not a quantisation");
        };
        let entry = Quantization {
            scale: check_scale(stored_scale(model, node, inverse).unwrap_or(inverse.recip()))?,
            zero_point: zero_point(found_zero_point, kind)?,
        };
        if self.residual(model, node, entry)? {
            return Ok(());
        }
        let source = node.inputs[0];
        let fact = model.outlet_fact(source).ok();
        let shape = fact.and_then(|fact| fact.shape.as_concrete());
        let (Some(&[1, channels, height, width]), Some(&DatumType::F32)) =
            (shape, fact.map(|fact| &fact.datum_type))
        else {
            return unknown("not a feature map of one photo");
        };
        let convolutions_only = node.outputs[0].successors.iter().all(|successor| {
            let op = model.node(successor.node).op_as::<Conv>();
            op.is_some_and(|op| op.group == 1)
        });
        let sides = [height, width];
        let map = if convolutions_only {
            Map::image(sides, channels)
        } else {
            Map::new(sides, channels)
        };
        let place = Place {
            region: self.regions.len(),
            map: 0,
            quantization: entry,
        };
        self.places.insert(node.id.into(), place);
        self.regions.push(Region {
            source,
            entry,
            maps: vec![map],
            steps: vec![],
            nodes: vec![node.id],
        });
        Ok(())
    }

    /// Takes the quantised sum of two dequantised maps of one region. It becomes part of the convolution that
    /// makes one of them, where nothing else reads that.
    fn residual(
        &mut self,
        model: &TypedModel,
        node: &TypedNode,
        sum: Quantization,
    ) -> Result<bool, Problem> {
        let addition = model.node(node.inputs[0].node);
        let is_addition = addition
            .op_as::<TypedBinOp>()
            .is_some_and(|op| op.0.is::<Add>());
        if !is_addition {
            return Ok(false);
        }
        let summand = |index: usize| {
            let (quantization, outlet) = dequantized(model, addition.inputs[index])?;
            let alone = [addition.id, addition.inputs[index].node, outlet.node]
                .iter()
                .all(|&id| model.node(id).outputs[0].successors.len() == 1);
            Some((quantization, *self.places.get(&outlet)?, alone))
        };
        let (Some(a), Some(b)) = (summand(0), summand(1)) else {
            return Ok(false);
        };
        let ((value, last, alone), (other_value, other, _)) =
            if a.1.map > b.1.map { (a, b) } else { (b, a) };
        let region = &mut self.regions[last.region];
        if last.region != other.region || region.maps[last.map] != region.maps[other.map] {
            return Ok(false);
        }
        let residual = Residual {
            scale: check_scale(value.scale)?,
            other_scale: check_scale(other_value.scale)?,
            other_zero_point: other_value.zero_point,
            sum_scale: sum.scale,
            sum_zero_point: sum.zero_point,
        };
        region.nodes.extend([addition.id, node.id]);
        let step = last
            .map
            .checked_sub(1)
            .map(|index| &mut region.steps[index]);
        let map = match step {
            Some(Step {
                task: Task::Convolution(task),
                other: free @ None,
                ..
            }) if alone && task.requantization.zero_point == value.zero_point => {
                task.residual = Some(residual);
                *free = Some(other.map);
                last.map
            }
            _ => {
                region.steps.push(Step {
                    name: addition.name.clone(),
                    task: Task::Add(residual, value.zero_point),
                    input: last.map,
                    other: Some(other.map),
                });
                region.maps.push(region.maps[last.map]);
                region.steps.len()
            }
        };
        let place = Place {
            map,
            quantization: sum,
            ..last
        };
        self.places.insert(node.id.into(), place);
        Ok(true)
    }

    fn convolution(&mut self, model: &TypedModel, node: &TypedNode) -> Result<(), Problem> {
        let Some(&place) = self.places.get(&node.inputs[0]) else {
            return unknown("its input is not a map of the int8 engine");
        };
        let Some(op) = node.op_as::<Conv>() else {
            return unknown("not a convolution");
        };
        let region = &mut self.regions[place.region];
        let maps = [region.maps[place.map], output_map(model, node)?];
        let task = convolution(model, node, op, maps)?;
        self.bytes = self
            .bytes
            .saturating_add(maps[1].bytes() + task.packed_bytes());
        if self.bytes > MAX_BYTES {
            return unknown("the quantised part is too large");
        }
        region.steps.push(Step {
            name: node.name.clone(),
            task,
            input: place.map,
            other: None,
        });
        region.maps.push(maps[1]);
        region.nodes.push(node.id);
        let place = Place {
            map: region.steps.len(),
            quantization: written_as(model, node)?,
            ..place
        };
        self.places.insert(node.id.into(), place);
        Ok(())
    }
}

/// The task of a quantised convolution.
fn convolution(
    model: &TypedModel,
    node: &TypedNode,
    op: &Conv,
    [input, output]: [Map; 2],
) -> Result<Task, Problem> {
    let inputs = &node.inputs;
    let window = window(op, input)?;
    let depthwise = op.group == input.channels && op.group == output.channels;
    let per_group = match op.group {
        1 => input.channels,
        _ if depthwise => 1,
        groups => return unknown(format!("{groups} groups of channels")),
    };
    // What padding makes of the largest file that is read still fits.
    if output.pixel.max(PADDED_CHANNELS) * window.taps() * per_group.max(PADDED_CHANNELS)
        > MAX_BYTES
    {
        return unknown("too large");
    }
    let bias = per_channel::<i32>(model, inputs[2], output.channels)?;
    let weights = weights(model, inputs[1], inputs[5], output.channels)?;
    if weights.len() != output.channels * window.taps() * per_group {
        return Err(Problem::Malformed("weights for other channels".into()));
    }
    let read = read_as(model, node)?;
    let written = written_as(model, node)?;
    let mut multipliers = vec![0.0; output.pixel];
    let scales = per_channel::<f32>(model, inputs[6], output.channels)?;
    for (multiplier, scale) in multipliers.iter_mut().zip(scales) {
        *multiplier = read.scale * check_scale(scale)? / written.scale;
        if !multiplier.is_finite() {
            return Err(Problem::Malformed("scales that are too far apart".into()));
        }
    }
    let requantization = Requantization {
        multipliers,
        zero_point: written.zero_point,
        low: i8::MIN,
        high: i8::MAX,
    };
    let maps = [input, output];
    let zero_point = read.zero_point;
    Ok(if op.group == 1 {
        let task = Convolution::new(maps, window, &weights, &bias, zero_point, requantization);
        Task::Convolution(Box::new(task))
    } else {
        let task = Depthwise::new(maps, window, &weights, &bias, zero_point, requantization);
        Task::Depthwise(Box::new(task))
    })
}

/// What a quantised convolution takes its input for.
fn read_as(model: &TypedModel, node: &TypedNode) -> Result<Quantization, Problem> {
    let kind = model
        .outlet_fact(node.inputs[0])
        .map(|fact| fact.datum_type.unquantized());
    let kind = kind.or_else(|_| unknown("without an input"))?;
    Ok(Quantization {
        scale: check_scale(value::<f32>(model, node.inputs[4])?)?,
        zero_point: zero_point(value::<i32>(model, node.inputs[3])?, kind)?,
    })
}

/// What a quantised convolution writes its output as.
fn written_as(model: &TypedModel, node: &TypedNode) -> Result<Quantization, Problem> {
    let kind = node.outputs[0].fact.datum_type.unquantized();
    Ok(Quantization {
        scale: check_scale(value::<f32>(model, node.inputs[8])?)?,
        zero_point: zero_point(value::<i32>(model, node.inputs[7])?, kind)?,
    })
}

/// Zero point, inverse of the scale and type of the output of a `QuantizeLinear`.
fn quantization(node: &TypedNode) -> Option<(i32, f32, DatumType)> {
    let op = &node.op_as::<ElementWiseOp>()?.0;
    if let Some(op) = op.downcast_ref::<QuantizeLinearI8>() {
        return Some((op.zero_point.into(), op.scale, DatumType::I8));
    }
    let op = op.downcast_ref::<QuantizeLinearU8>()?;
    Some((op.zero_point.into(), op.scale, DatumType::U8))
}

/// The scale of a quantised tensor as its readers have it: tract keeps only the inverse of that of the writer,
/// which may be off by a rounding.
fn stored_scale(model: &TypedModel, node: &TypedNode, inverse: f32) -> Option<f32> {
    let is_inverse = |scale: &f32| (scale * inverse - 1.0).abs() <= 2.0 * f32::EPSILON;
    let scales = node.outputs[0].successors.iter().filter_map(|successor| {
        let reader = model.node(successor.node);
        if let Some(op) = reader.op_as::<DequantizeLinearF32>() {
            return Some(op.scale);
        }
        let op = reader.op_as::<Conv>()?;
        (op.q_params.is_some() && successor.slot == 0)
            .then(|| value::<f32>(model, reader.inputs[4]).ok())
            .flatten()
    });
    scales.into_iter().find(is_inverse)
}

fn output_map(model: &TypedModel, node: &TypedNode) -> Result<Map, Problem> {
    let fact = model.outlet_fact(node.id.into()).ok();
    match fact.and_then(|fact| fact.shape.as_concrete()) {
        Some(&[1, channels, height, width]) => Ok(Map::new([height, width], channels)),
        _ => unknown("not a feature map of one photo"),
    }
}

fn window(op: &Conv, input: Map) -> Result<Window, Problem> {
    let pool = &op.pool_spec;
    if pool.rank() != 2
        || pool.data_format != DataFormat::NCHW
        || op.kernel_fmt != KernelFormat::OIHW
    {
        return unknown("not a two-dimensional convolution of channels first");
    }
    let padding = pool.computed_padding(&[input.height, input.width]);
    Ok(Window {
        kernel: [pool.kernel_shape[0], pool.kernel_shape[1]],
        stride: [pool.stride(0), pool.stride(1)],
        dilation: [pool.dilation(0), pool.dilation(1)],
        padding: [padding[0].pad_before, padding[1].pad_before],
    })
}

/// Weights without their zero points, which must fit into int8.
fn weights(
    model: &TypedModel,
    weights: OutletId,
    zero_points: OutletId,
    channels: usize,
) -> Result<Vec<i8>, Problem> {
    let zero_points = per_channel::<i32>(model, zero_points, channels)?;
    let stored = values::<i32>(model, weights)?;
    if channels == 0 || stored.len() % channels != 0 {
        return Err(Problem::Malformed("weights for other channels".into()));
    }
    let per_channel = stored.chunks_exact(stored.len() / channels);
    let centred = per_channel
        .zip(zero_points)
        .flat_map(|(weights, zero_point)| {
            weights
                .iter()
                .map(move |&weight| i8::try_from(weight - zero_point))
        });
    let centred: Result<Vec<i8>, _> = centred.collect();
    centred.or_else(|_| unknown("weights that are no int8 without their zero point"))
}
