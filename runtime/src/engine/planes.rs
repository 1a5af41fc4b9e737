//! Depthwise float convolutions, which tract is slow at on x86-64: those of a graph run in kernels of our own.

use std::sync::Arc;

use rayon::prelude::*;
use tract_linalg::BinOp;
use tract_linalg::multithread::{Executor, current_tract_executor};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;
use tract_onnx::tract_hir::internal::*;

use crate::kernels::{InstructionSet, PlaneConvolution, UNBOUNDED, Window};

/// Replaces the depthwise f32 convolutions of a decluttered graph, with the bounds that their inputs and outputs are kept
/// within (ReLU6, say), where the processor has vectors that pay.
///
/// # Errors
/// When tract refuses the new graph.
pub(crate) fn replace_depthwise(model: &mut TypedModel) -> TractResult<()> {
    if !cfg!(target_arch = "x86_64") || InstructionSet::detect() == InstructionSet::Scalar {
        return Ok(());
    }
    for id in 0..model.nodes.len() {
        let Some(mut task) = task(model, &model.nodes[id]) else {
            continue;
        };
        let (input, before) = bounds_before(model, model.nodes[id].inputs[0])?;
        let (output, after) = bounds_after(model, id.into())?;
        task.bounds = [before, after];
        let shape = model.outlet_fact(id.into())?.shape.as_concrete();
        let operation = PlaneOperation {
            task: Arc::new(task),
            shape: shape.unwrap_or_default().into(),
        };
        let mut patch = TypedModelPatch::default();
        let tapped = patch.tap_model(model, input)?;
        let made = patch.wire_node(&model.nodes[id].name, operation, &[tapped])?[0];
        patch.shunt_outside(model, output, made)?;
        patch.apply(model)?;
    }
    Ok(())
}

/// Where the values of `outlet` come from, and the bounds that they are kept within, if nobody else wants them so.
fn bounds_before(model: &TypedModel, mut outlet: OutletId) -> TractResult<(OutletId, [f32; 2])> {
    let mut bounds = UNBOUNDED;
    while let Some((input, first)) = bounds_of(model, outlet.node)
        && only_successor(model, outlet)?.is_some()
    {
        (outlet, bounds) = (input, both(first, bounds));
    }
    Ok((outlet, bounds))
}

/// What becomes of the values of `outlet`, if all that is done with them is to keep them within bounds.
fn bounds_after(model: &TypedModel, mut outlet: OutletId) -> TractResult<(OutletId, [f32; 2])> {
    let mut bounds = UNBOUNDED;
    while let Some(next) = only_successor(model, outlet)?
        && let Some((_, then)) = bounds_of(model, next)
    {
        (outlet, bounds) = (next.into(), both(bounds, then));
    }
    Ok((outlet, bounds))
}

/// The bounds of what is kept within those of `first`, and of `then` after that.
fn both(first: [f32; 2], [low, high]: [f32; 2]) -> [f32; 2] {
    first.map(|bound| bound.max(low).min(high))
}

/// The only node that reads `outlet`.
fn only_successor(model: &TypedModel, outlet: OutletId) -> TractResult<Option<usize>> {
    let is_output = model.output_outlets()?.contains(&outlet);
    Ok(match model.outlet_successors(outlet) {
        [successor] if !is_output => Some(successor.node),
        _ => None,
    })
}

/// What a node reads and the bounds that it keeps it within, if it gives the larger or the smaller of each value and a
/// constant.
fn bounds_of(model: &TypedModel, node: usize) -> Option<(OutletId, [f32; 2])> {
    let node = &model.nodes[node];
    let operation = node.op_as::<TypedBinOp>()?.0.as_linalg_binop()?;
    let [a, b] = node.inputs[..] else {
        return None;
    };
    let number = |outlet| constant(model, outlet).filter(|values| values.len() == 1);
    let (input, bound) = match (number(a), number(b)) {
        (None, Some(bound)) => (a, bound[0]),
        (Some(bound), None) => (b, bound[0]),
        _ => return None,
    };
    let [least, greatest] = UNBOUNDED;
    match operation {
        BinOp::Max => Some((input, [bound, greatest])),
        BinOp::Min => Some((input, [least, bound])),
        _ => None,
    }
}

/// What `node` computes, if that is a depthwise convolution of one photo with constant weights.
fn task(model: &TypedModel, node: &TypedNode) -> Option<PlaneConvolution> {
    let convolution = node.op_as::<Conv>()?;
    let pool = &convolution.pool_spec;
    let [image, weights, bias] = node.inputs[..] else {
        return None;
    };
    let map = |outlet: OutletId| {
        let fact = model.outlet_fact(outlet).ok()?;
        match fact.shape.as_concrete()? {
            _ if fact.datum_type != f32::datum_type() => None,
            &[1, channels, height, width] | &[channels, height, width] => {
                Some((channels, [height, width]))
            }
            _ => None,
        }
    };
    let ((channels, input), (outputs, output)) = (map(image)?, map(node.id.into())?);
    let is_depthwise = convolution.group == channels && channels == outputs && channels > 1;
    let is_known = convolution.q_params.is_none()
        && convolution.kernel_fmt == KernelFormat::OIHW
        && [DataFormat::NCHW, DataFormat::CHW].contains(&pool.data_format);
    if !is_depthwise || !is_known || output.contains(&0) {
        return None;
    }
    let padding = pool.computed_padding(&input);
    let pair = |of: &dyn Fn(usize) -> usize| [of(0), of(1)];
    let window = Window {
        kernel: pair(&|axis| pool.kernel_shape[axis]),
        stride: pair(&|axis| pool.stride(axis)),
        dilation: pair(&|axis| pool.dilation(axis)),
        padding: pair(&|axis| padding[axis].pad_before),
    };
    let (weights, mut bias) = (constant(model, weights)?, constant(model, bias)?);
    if let [value] = bias[..] {
        bias = vec![value; channels];
    }
    let is_whole = weights.len() == channels * window.taps() && bias.len() == channels;
    is_whole.then(|| PlaneConvolution::new([input, output], window, weights, bias))
}

/// The values of a constant.
fn constant(model: &TypedModel, outlet: OutletId) -> Option<Vec<f32>> {
    let constant = model.outlet_fact(outlet).ok()?.konst.as_ref()?;
    let values = constant.try_as_plain_ram().ok()?;
    Some(values.as_slice::<f32>().ok()?.to_vec())
}

/// A [`PlaneConvolution`] as an operation of a tract graph.
#[derive(Clone, Debug)]
struct PlaneOperation {
    task: Arc<PlaneConvolution>,
    /// Of the tensor that it gives.
    shape: TVec<usize>,
}

impl PartialEq for PlaneOperation {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.task, &other.task)
    }
}

impl Eq for PlaneOperation {}

impl Op for PlaneOperation {
    fn name(&self) -> StaticName {
        "Depthwise".into()
    }

    op_as_typed_op!();
}

impl EvalOp for PlaneOperation {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let task = &*self.task;
        let set = InstructionSet::detect();
        let input = inputs[0].try_as_plain_ram()?.as_slice::<f32>()?;
        let mut tensor = Tensor::zero::<f32>(&self.shape)?;
        let mut view = tensor.try_as_plain_ram_mut()?;
        let output = view.as_slice_mut::<f32>()?;
        match current_tract_executor() {
            Executor::MultiThread(pool) => {
                let channels = task.channels().div_ceil(pool.current_num_threads());
                let plane = |[height, width]: [usize; 2]| channels * height * width;
                let inputs = input.par_chunks(plane(task.input));
                let parts = inputs.zip(output.par_chunks_mut(plane(task.output)));
                pool.install(|| {
                    parts.enumerate().for_each(|(index, (input, output))| {
                        task.run(set, index * channels, input, output);
                    });
                });
            }
            _ => task.run(set, 0, input, output),
        }
        Ok(tvec!(tensor.into_tvalue()))
    }
}

impl TypedOp for PlaneOperation {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&self.shape)))
    }

    as_op!();
}
