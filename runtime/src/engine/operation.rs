//! A [`Program`] as an operation of a tract graph.

use std::sync::Arc;

use tract_linalg::multithread::{Executor, current_tract_executor};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::program::{Exit, Program};

/// Takes f32 \[1, channels, height, width\]; gives one f32 tensor of four axes per exit.
#[derive(Clone, Debug)]
pub(super) struct Int8Operation {
    pub program: Arc<Program>,
}

impl PartialEq for Int8Operation {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.program, &other.program)
    }
}

impl Eq for Int8Operation {}

impl Int8Operation {
    fn shapes(&self) -> impl Iterator<Item = [usize; 4]> {
        self.program.exits().map(|(map, exit)| match exit {
            Exit::Values(_) => [1, map.channels, map.height, map.width],
            Exit::Sums(_) => [1, map.channels, 1, 1],
        })
    }
}

impl Op for Int8Operation {
    fn name(&self) -> StaticName {
        "Int8".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Int8Operation {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let image = inputs[0].try_as_plain_ram()?.as_slice::<f32>()?;
        let mut tensors = self
            .shapes()
            .map(|shape| Tensor::zero::<f32>(&shape))
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
        let map = self.program.input();
        let expected = [1, map.channels, map.height, map.width];
        let found = inputs[0].shape.as_concrete();
        ensure!(
            found == Some(&expected[..]),
            "{found:?} instead of {expected:?}"
        );
        Ok(self.shapes().map(f32::fact).collect())
    }

    as_op!();
}
