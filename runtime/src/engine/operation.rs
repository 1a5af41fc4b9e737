//! A [`Program`] as an operation of a tract graph.

use std::sync::Arc;

use tract_linalg::multithread::{Executor, current_tract_executor};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::program::{Program, Quantization};
use crate::kernels::{InstructionSet, Map, quantize_image};

/// Quantises f32 \[1, channels, height, width\] into the input map of a program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QuantizeMap {
    pub map: Map,
    pub quantization: Quantization,
}

impl Eq for QuantizeMap {}

impl Op for QuantizeMap {
    fn name(&self) -> StaticName {
        "QuantizeMap".into()
    }

    op_as_typed_op!();
}

impl EvalOp for QuantizeMap {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let image = inputs[0].try_as_plain_ram()?.as_slice::<f32>()?;
        let mut tensor = Tensor::zero::<i8>(&map_shape(self.map))?;
        let mut view = tensor.try_as_plain_ram_mut()?;
        let Quantization { scale, zero_point } = self.quantization;
        let output = view.as_slice_mut::<i8>()?;
        let set = InstructionSet::detect();
        quantize_image(set, image, self.map, (scale, zero_point), output);
        Ok(tvec!(tensor.into_tvalue()))
    }
}

impl TypedOp for QuantizeMap {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let Map {
            channels,
            height,
            width,
            ..
        } = self.map;
        let is_vector = [height, width] == [1, 1] && inputs[0].rank() == 2;
        match is_vector {
            true => expect(inputs[0], &[1, channels])?,
            false => expect(inputs[0], &[1, channels, height, width])?,
        }
        Ok(tvec!(i8::fact(map_shape(self.map))))
    }

    as_op!();
}

/// The tensor that holds a map.
pub(super) fn map_shape(map: Map) -> [usize; 4] {
    [1, map.height, map.width, map.pixel]
}

fn expect(fact: &TypedFact, shape: &[usize]) -> TractResult<()> {
    let found = fact.shape.as_concrete();
    ensure!(found == Some(shape), "{found:?} instead of {shape:?}");
    Ok(())
}

/// Takes the input map of its program; gives one f32 tensor per exit.
#[derive(Clone, Debug)]
pub(super) struct Int8Operation {
    pub program: Arc<Program>,
    /// Of the tensors that it gives.
    pub shapes: Vec<TVec<usize>>,
}

impl PartialEq for Int8Operation {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.program, &other.program)
    }
}

impl Eq for Int8Operation {}

impl Op for Int8Operation {
    fn name(&self) -> StaticName {
        "Int8".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Int8Operation {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let image = inputs[0].try_as_plain_ram()?.as_slice::<i8>()?;
        let mut tensors = self
            .shapes
            .iter()
            .map(|shape| Tensor::zero::<f32>(shape))
            .collect::<TractResult<Vec<_>>>()?;
        let mut views = tensors
            .iter_mut()
            .map(Tensor::try_as_plain_ram_mut)
            .collect::<TractResult<Vec<_>>>()?;
        let mut outputs = views
            .iter_mut()
            .map(|view| view.as_slice_mut::<f32>())
            .collect::<TractResult<Vec<_>>>()?;
        match current_tract_executor() {
            Executor::MultiThread(pool) => {
                let threads = pool.current_num_threads();
                pool.install(|| self.program.run(image, &mut outputs, threads));
            }
            _ => self.program.run(image, &mut outputs, 1),
        }
        drop(outputs);
        drop(views);
        Ok(tensors.into_iter().map(Tensor::into_tvalue).collect())
    }
}

impl TypedOp for Int8Operation {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        expect(inputs[0], &map_shape(self.program.input()))?;
        let facts = self
            .shapes
            .iter()
            .map(|shape| f32::fact(shape.iter().copied()));
        Ok(facts.collect())
    }

    as_op!();
}
