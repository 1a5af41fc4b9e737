//! An ONNX classifier that runs through tract.

mod check;
mod cost;
mod error;
mod guard;
mod input;
mod threads;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use crate::engine::{self, Fused, Fusion, Program, StepTime};
use crate::kernels::{InstructionSet, quantize_image};
use crate::pool::Pool;

use error::one_line;
use guard::guarded;
use threads::Threads;

pub use cost::{NodeCost, costs};
pub use error::{ModelError, RunError};
pub use guard::silence_caught_panics;
pub use input::{Entry, Input};

/// The largest model file that is read, in bytes.
pub const MAX_MODEL_BYTES: u64 = 128 << 20;

/// What the numbers of the output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// Probabilities: the graph ends in a sigmoid or softmax.
    Probabilities,
    /// Logits, the arguments of a sigmoid: the graph ends in anything else.
    Logits,
}

/// What runs the quantised parts of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The int8 engine of this crate, see [`crate::engine`].
    #[default]
    Graphtag,
    /// tract alone.
    Tract,
}

/// What computes the outputs.
enum Runner {
    /// The int8 engine, from the image to the outputs.
    Program(Arc<Program>),
    /// tract, with the int8 engine for parts; and its states between runs.
    Plan(Arc<TypedSimplePlan>, Pool<TypedSimpleState>),
}

/// A plan for one photo: input f32 \[1, 3, height, width\] or that quantised, output f32 \[1, K\].
///
/// It may be shared between threads; each run has buffers of its own.
pub struct Network {
    runner: Runner,
    input_shape: [usize; 4],
    outputs: usize,
    output_kind: OutputKind,
    properties: BTreeMap<String, String>,
    fused: Fused,
    threads: Threads,
}

impl Network {
    /// Loads the ONNX file at `path`; see [`Network::from_bytes`].
    ///
    /// # Errors
    /// Also when `path` is not a regular file of at most [`MAX_MODEL_BYTES`].
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::from_bytes(&read(path)?)
    }

    /// Loads an ONNX file. A batch of any size is made a batch of one.
    ///
    /// # Errors
    /// When it is not a classifier of one f32 input \[N, 3, height, width\] and one output \[N, K\], or
    /// tract can't run it. Sizes are checked before memory is taken for them.
    pub fn from_bytes(onnx: &[u8]) -> Result<Self, ModelError> {
        Self::from_bytes_for(onnx, Engine::Graphtag)
    }

    /// As [`Network::from_bytes`], for an engine.
    ///
    /// # Errors
    /// As there.
    pub fn from_bytes_for(onnx: &[u8], engine: Engine) -> Result<Self, ModelError> {
        let proto = check::decode(onnx)?;
        let signature = check::signature(&proto)?;
        guarded(|| check::typed(&proto, signature.input_shape))
            .unwrap_or_else(|panic| Err(ModelError::Graph(panic)))
            .and_then(|model| Self::from_typed(model, signature, proto, engine))
    }

    fn from_typed(
        mut model: TypedModel,
        signature: check::Signature,
        proto: ModelProto,
        engine: Engine,
    ) -> Result<Self, ModelError> {
        let outputs = check::outputs(&model)?;
        let properties = metadata_properties(&proto);
        let graph = proto.graph.unwrap_or_default();
        let fused = match engine {
            Engine::Tract => Fused::default(),
            Engine::Graphtag => guarded(|| engine::fuse(&mut model, &graph))
                .and_then(|fused| fused)
                .map_err(ModelError::Graph)?,
        };
        drop(graph);
        let runner = if fused.is_whole {
            Runner::Program(fused.programs[0].clone())
        } else {
            let plan = guarded(|| {
                let mut model = model.into_decluttered()?;
                if engine == Engine::Graphtag {
                    engine::replace_depthwise(&mut model)?;
                }
                model.into_optimized()?.into_runnable()
            });
            let plan = plan.and_then(|plan| plan.map_err(one_line));
            Runner::Plan(plan.map_err(ModelError::Graph)?, Pool::default())
        };
        Ok(Network {
            runner,
            input_shape: signature.input_shape,
            outputs,
            output_kind: signature.output_kind,
            properties,
            fused,
            threads: Threads::CALLER,
        })
    }

    /// Runs on `threads` threads from now on; the default is the caller's thread alone.
    ///
    /// # Errors
    /// When the system refuses that many threads.
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Result<Self, ModelError> {
        self.threads = Threads::new(threads).map_err(ModelError::Threads)?;
        Ok(self)
    }

    /// Shape of the input, \[1, 3, height, width\].
    pub fn input_shape(&self) -> [usize; 4] {
        self.input_shape
    }

    /// Number of outputs, K.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// What the outputs are.
    pub fn output_kind(&self) -> OutputKind {
        self.output_kind
    }

    /// The file's `metadata_props`.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// What runs in the int8 engine, and what does not.
    pub fn fusion(&self) -> &Fusion {
        &self.fused.fusion
    }

    /// Bytes of the int8 engine's feature maps, which are allocated once and shared by maps that are not needed at the
    /// same time.
    pub fn working_set(&self) -> usize {
        let programs = self.fused.programs.iter();
        programs.map(|program| program.working_set()).sum()
    }

    /// Runs `runs` times and tells how long each step of the int8 engine took.
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn profile(&self, input: &Input, runs: usize) -> Result<Vec<StepTime>, RunError> {
        let programs = &self.fused.programs;
        programs.iter().for_each(|program| program.start_profile());
        let outcome = (0..runs).try_for_each(|_| self.run_on(input).map(drop));
        let profile = programs
            .iter()
            .flat_map(|program| program.finish_profile())
            .collect();
        outcome.map(|()| profile)
    }

    /// How the network takes its input, unless as floats.
    pub fn entry(&self) -> Option<Entry> {
        self.fused.entry
    }

    /// An input of zeros in the form that the network takes.
    pub fn new_input(&self) -> Input {
        match self.entry() {
            Some(entry) => Input::Int8(vec![0; entry.map.bytes()]),
            None => Input::Float(vec![0.0; self.input_shape.iter().product()]),
        }
    }

    /// The K raw outputs for one photo's values, \[3, height, width\].
    ///
    /// # Errors
    /// When `image` has another length, tract fails, or an output is not finite.
    pub fn run(&self, image: &[f32]) -> Result<Vec<f32>, RunError> {
        check_length(image, self.input_shape.iter().product())?;
        let mut input = self.new_input();
        match (&mut input, self.entry()) {
            (Input::Int8(values), Some(entry)) => {
                let quantization = (entry.scale, entry.zero_point);
                let set = InstructionSet::detect();
                quantize_image(set, image, entry.map, quantization, values);
            }
            (Input::Float(values), _) => values.copy_from_slice(image),
            (Input::Int8(_), None) => unreachable!("an int8 input has an entry"),
        }
        self.run_on(&input)
    }

    /// The K raw outputs for an input of [`Network::new_input`]'s form and length.
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn run_on(&self, input: &Input) -> Result<Vec<f32>, RunError> {
        let mut outputs = vec![0.0; self.outputs];
        self.run_into(input, &mut outputs)?;
        Ok(outputs)
    }

    /// As [`Network::run_on`], into the K values of `outputs`. Where the whole network runs in the int8 engine, this
    /// takes no memory after the first run.
    ///
    /// # Errors
    /// Also when `outputs` has another length.
    pub fn run_into(&self, input: &Input, outputs: &mut [f32]) -> Result<(), RunError> {
        check_length(outputs, self.outputs)?;
        match (input, self.entry()) {
            (Input::Int8(values), Some(entry)) => check_length(values, entry.map.bytes())?,
            (Input::Float(values), None) => {
                check_length(values, self.input_shape.iter().product())?;
            }
            _ => return Err(RunError::InputForm),
        }
        let threads = self.threads.count();
        let run = || match (&self.runner, input) {
            (Runner::Program(program), Input::Int8(image)) => {
                program.run(image, &mut [&mut *outputs], threads);
                Ok(())
            }
            (Runner::Plan(plan, states), _) => self.run_plan(plan, states, input, outputs),
            (Runner::Program(_), Input::Float(_)) => unreachable!("a whole program has an entry"),
        };
        let outcome = self.threads.run(|| guarded(run));
        outcome
            .and_then(|outcome: TractResult<()>| outcome.map_err(one_line))
            .map_err(RunError::Engine)?;
        match outputs.iter().all(|output| output.is_finite()) {
            true => Ok(()),
            false => Err(RunError::NotFinite),
        }
    }

    fn run_plan(
        &self,
        plan: &Arc<TypedSimplePlan>,
        states: &Pool<TypedSimpleState>,
        input: &Input,
        outputs: &mut [f32],
    ) -> TractResult<()> {
        let mut state = match states.take() {
            Some(state) => state,
            None => plan.spawn()?,
        };
        let shape = self.entry().map_or(self.input_shape, |Entry { map, .. }| {
            [1, map.height, map.width, map.pixel]
        });
        let input = match input {
            Input::Float(values) => Tensor::from_shape(&shape, values)?,
            Input::Int8(values) => Tensor::from_shape(&shape, values)?,
        };
        let made = state.run(tvec!(input.into()))?;
        for (output, made) in outputs
            .iter_mut()
            .zip(made[0].to_plain_array_view::<f32>()?)
        {
            *output = *made;
        }
        states.give(state);
        Ok(())
    }
}

fn check_length<T>(values: &[T], expected: usize) -> Result<(), RunError> {
    let found = values.len();
    if found == expected {
        Ok(())
    } else {
        Err(RunError::Length { expected, found })
    }
}

/// The bytes of the model file at `path`.
///
/// # Errors
/// When it is not a regular file of at most [`MAX_MODEL_BYTES`].
pub fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ModelError::NotAFile);
    }
    if metadata.len() > MAX_MODEL_BYTES {
        return Err(ModelError::FileSize);
    }
    Ok(fs::read(path)?)
}

/// The `metadata_props` of an ONNX file.
///
/// # Errors
/// When the bytes are not an ONNX file.
pub fn properties(onnx: &[u8]) -> Result<BTreeMap<String, String>, ModelError> {
    Ok(metadata_properties(&check::decode(onnx)?))
}

fn metadata_properties(proto: &ModelProto) -> BTreeMap<String, String> {
    let entries = proto.metadata_props.iter();
    entries
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect()
}
