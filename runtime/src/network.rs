//! An ONNX classifier that runs through tract.

mod check;
mod cost;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graphtag_models::MetadataError;
use prost::Message;
use tract_linalg::multithread::{Executor, multithread_tract_scope};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use crate::engine::{self, Fusion, Program, StepTime};
use crate::labels::LabelsError;

pub use cost::{NodeCost, costs};

/// The largest model file that is read, in bytes.
pub const MAX_MODEL_BYTES: u64 = 128 << 20;

/// A model that can't be loaded. The messages are one line, with the cause, and do not name the file, which
/// only the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The system refused to open or read it.
    #[error("can't be read: {0}")]
    Read(io::Error),
    /// A folder, pipe, socket or device.
    #[error("not a regular file")]
    NotAFile,
    /// A file larger than [`MAX_MODEL_BYTES`].
    #[error("larger than {} MiB, the most that is read", MAX_MODEL_BYTES >> 20)]
    FileSize,
    /// Not ONNX, or cut off.
    #[error("not an ONNX model, or a truncated or damaged one")]
    NotOnnx,
    /// An ONNX model that is not a classifier of one photo.
    #[error("not a photo classifier that can be run: {0}")]
    Signature(String),
    /// A tensor that is too large, or whose declared shape is not that of its data.
    #[error("{0}")]
    Tensor(String),
    /// A graph that tract refuses.
    #[error("can't be run: {0}")]
    Graph(String),
    /// Metadata under `graphtag.*` that can't be used.
    #[error("unusable metadata: {0}")]
    Metadata(MetadataError),
    /// A foreign model, which has no labels of its own.
    #[error("no labels of its own; give them in a labels file, one a line")]
    NoLabels,
    /// A labels file that can't be used.
    #[error("labels file {}: {error}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: LabelsError,
    },
    /// The system refuses to start threads.
    #[error("can't be run on that many threads: {0}")]
    Threads(rayon::ThreadPoolBuildError),
    /// Labels for another number of outputs.
    #[error("{outputs} outputs, but {labels} labels are given")]
    LabelCount {
        /// Outputs of the network.
        outputs: usize,
        /// Labels given.
        labels: usize,
    },
    /// Preprocessing to another size than the network's input.
    #[error(
        "takes photos of {}x{}, but its metadata says {}x{}",
        .input.0, .input.1, .metadata.0, .metadata.1
    )]
    InputSize {
        /// Height and width of the network's input.
        input: (usize, usize),
        /// Height and width in the metadata.
        metadata: (usize, usize),
    },
}

impl From<io::Error> for ModelError {
    fn from(error: io::Error) -> Self {
        ModelError::Read(error)
    }
}

impl From<MetadataError> for ModelError {
    fn from(error: MetadataError) -> Self {
        ModelError::Metadata(error)
    }
}

/// An inference that failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Not as many values as the input has.
    #[error("the input has {expected} values, not {found}")]
    InputLength {
        /// Values of the input.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The engine failed.
    #[error("the model failed to run: {0}")]
    Engine(String),
    /// An output that is not a finite number.
    #[error("the model gave a number that is not finite")]
    NotFinite,
}

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

/// A tract plan for one photo: input f32 \[1, 3, height, width\], output f32 \[1, K\].
///
/// It may be shared between threads; each call of [`Network::run`] has buffers of its own.
pub struct Network {
    plan: Arc<TypedSimplePlan>,
    input_shape: [usize; 4],
    outputs: usize,
    output_kind: OutputKind,
    properties: BTreeMap<String, String>,
    fusion: Fusion,
    programs: Vec<Arc<Program>>,
    executor: Executor,
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
        let proto = ModelProto::decode(onnx).map_err(|_| ModelError::NotOnnx)?;
        let signature = check::signature(&proto)?;
        guarded(|| check::typed(&proto, signature.input_shape))
            .unwrap_or_else(|panic| Err(ModelError::Graph(panic)))
            .and_then(|model| Self::from_typed(model, signature, &proto, engine))
    }

    fn from_typed(
        mut model: TypedModel,
        signature: check::Signature,
        proto: &ModelProto,
        engine: Engine,
    ) -> Result<Self, ModelError> {
        let outputs = check::outputs(&model)?;
        let (fusion, programs) = match engine {
            Engine::Tract => Default::default(),
            Engine::Graphtag => guarded(|| engine::fuse(&mut model))
                .and_then(|fused| fused)
                .map_err(ModelError::Graph)?,
        };
        let plan = guarded(|| model.into_optimized()?.into_runnable())
            .and_then(|plan| plan.map_err(one_line))
            .map_err(ModelError::Graph)?;
        Ok(Network {
            plan,
            input_shape: signature.input_shape,
            outputs,
            output_kind: signature.output_kind,
            properties: metadata_properties(proto),
            fusion,
            programs,
            executor: Executor::SingleThread,
        })
    }

    /// Runs on `threads` threads from now on; the default is the caller's thread alone.
    ///
    /// # Errors
    /// When the system refuses that many threads.
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Result<Self, ModelError> {
        self.executor = match threads.get() {
            1 => Executor::SingleThread,
            threads => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                Executor::MultiThread(Arc::new(pool.build().map_err(ModelError::Threads)?))
            }
        };
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
        &self.fusion
    }

    /// Bytes of the int8 engine's feature maps, which are allocated once and shared by maps that are not needed at the
    /// same time.
    pub fn working_set(&self) -> usize {
        self.programs
            .iter()
            .map(|program| program.working_set())
            .sum()
    }

    /// Runs `runs` times and tells how long each step of the int8 engine took.
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn profile(&self, image: &[f32], runs: usize) -> Result<Vec<StepTime>, RunError> {
        self.programs
            .iter()
            .for_each(|program| program.start_profile());
        let outcome = (0..runs).try_for_each(|_| self.run(image).map(drop));
        let programs = self.programs.iter();
        let profile = programs
            .flat_map(|program| program.finish_profile())
            .collect();
        outcome.map(|()| profile)
    }

    /// The K raw outputs for one photo's values, \[3, height, width\].
    ///
    /// # Errors
    /// When `image` has another length, tract fails, or an output is not finite.
    pub fn run(&self, image: &[f32]) -> Result<Vec<f32>, RunError> {
        let expected = self.input_shape.iter().product();
        if image.len() != expected {
            return Err(RunError::InputLength {
                expected,
                found: image.len(),
            });
        }
        let run = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&self.input_shape, image)?;
            let outputs = self.plan.run(tvec!(input.into()))?;
            Ok(outputs[0]
                .to_plain_array_view::<f32>()?
                .iter()
                .copied()
                .collect())
        };
        let outputs = guarded(|| multithread_tract_scope(self.executor.clone(), run))
            .and_then(|outputs| outputs.map_err(one_line))
            .map_err(RunError::Engine)?;
        if outputs.iter().all(|output| output.is_finite()) {
            Ok(outputs)
        } else {
            Err(RunError::NotFinite)
        }
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
    let proto = ModelProto::decode(onnx).map_err(|_| ModelError::NotOnnx)?;
    Ok(metadata_properties(&proto))
}

fn metadata_properties(proto: &ModelProto) -> BTreeMap<String, String> {
    let entries = proto.metadata_props.iter();
    entries
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect()
}

thread_local! {
    /// Whether this thread catches a panic and reports it as an error.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the process's panic hook from printing those panics that this module catches and returns as errors:
/// tract panics on some damaged graphs. For a binary to call once, at its start.
pub fn silence_caught_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !GUARDED.get() {
            hook(panic);
        }
    }));
}

/// Runs `work`, turning a panic into its message.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    result.map_err(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        shorten(message.unwrap_or("internal error"))
    })
}

/// The root cause of a tract error, in one line of bounded length.
fn one_line(error: TractError) -> String {
    shorten(&error.root_cause().to_string())
}

fn shorten(message: &str) -> String {
    const MAX_CHARS: usize = 200;
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
