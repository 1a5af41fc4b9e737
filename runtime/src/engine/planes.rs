//! Depthwise float convolutions, which tract is slow at on x86-64: those of a graph run in kernels of our own.

use std::sync::Arc;

use rayon::prelude::*;
use tract_linalg::multithread::{Executor, current_tract_executor};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;
use tract_onnx::tract_hir::internal::*;

use crate::kernels::{InstructionSet, PlaneConvolution, Window};

/// Replaces the depthwise f32 convolutions of a decluttered graph, where the processor has vectors that pay.
///
/// # Errors
/// When tract refuses the new graph.
pub(crate) fn replace_depthwise(model: &mut TypedModel) -> TractResult<()> {
    if !cfg!(target_arch = "x86_64") || InstructionSet::detect() == InstructionSet::Scalar {
        return Ok(());
    }
    for id in 0..model.nodes.len() {
        let node = &model.nodes[id];
        if let Some(task) = task(model, node) {
            let shape = model.outlet_fact(id.into())?.shape.as_concrete();
            let operation = PlaneOperation {
                task: Arc::new(task),
                shape: shape.unwrap_or_default().into(),
            };
            let inputs = &node.inputs[..1];
            let patch = TypedModelPatch::replace_single_op(model, node, inputs, operation)?;
            patch.apply(model)?;
        }
    }
    Ok(())
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
