//! What a quantised part of a network computes, step by step, in buffers that are planned once.

use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::buffers::{BufferPart, plan};
use super::parts::in_parts;
use super::vectors::{Exit, Vectors};
use crate::kernels::{
    AlignedBytes, AveragePool, Convolution, Depthwise, InstructionSet, LANES, Map, MaxPool,
    Product, Residual, Table, TableMean, add_maps,
};
use crate::pool::{Pool, locked};

/// The number of a feature map: 0 is the input, n + 1 is written by step n.
pub(crate) type MapId = usize;

/// What a step computes.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// A convolution, which may add another map.
    Convolution(Box<Convolution>),
    /// A depthwise convolution.
    Depthwise(Box<Depthwise>),
    /// The sum of the input, of the given zero point, and another map.
    Add(Residual, i8),
    /// The product of the input and another map.
    Multiply(Product),
    /// A function of every value.
    Lookup(Box<Table>),
    /// The largest value of every window.
    MaxPool(MaxPool),
    /// The mean of every window.
    AveragePool(AveragePool),
    /// The mean over all pixels of a function of every value.
    TableMean(TableMean),
}

impl Task {
    /// Bytes of its packed weights.
    pub fn packed_bytes(&self) -> usize {
        match self {
            Task::Convolution(task) => task.packed_bytes(),
            Task::Depthwise(task) => task.packed_bytes(),
            _ => 0,
        }
    }

    fn macs_per_value(&self) -> u64 {
        match self {
            Task::Convolution(task) => (task.window.taps() * task.input.channels) as u64,
            Task::Depthwise(task) => task.window.taps() as u64,
            _ => 0,
        }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The name of the node that it stands for.
    pub name: String,
    pub task: Task,
    /// The map it reads.
    pub input: MapId,
    /// The other map of an addition.
    pub other: Option<MapId>,
}

/// What a step takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// The name of the node that it stands for.
    pub name: String,
    /// The median of its time.
    pub median: Duration,
    /// Its multiply-accumulates.
    pub macs: u64,
}

/// Scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantization {
    pub scale: f32,
    pub zero_point: i8,
}

/// What one run computes in.
#[derive(Debug, Default)]
struct Workspace {
    buffers: Vec<AlignedBytes>,
    vectors: Vectors,
}

/// A quantised part of a network: one int8 map in, floats out.
#[derive(Debug)]
pub(crate) struct Program {
    instruction_set: InstructionSet,
    maps: Vec<Map>,
    steps: Vec<Step>,
    exits: Vec<(MapId, Exit)>,
    /// Where each step writes, and the size of each buffer.
    places: Vec<BufferPart>,
    sizes: Vec<usize>,
    idle: Pool<Workspace>,
    /// While a profile is taken, the times of every step so far.
    profile: Mutex<Option<Vec<Vec<Duration>>>>,
}

impl Program {
    /// A program over `maps`, the first of which is the input.
    pub fn new(maps: Vec<Map>, steps: Vec<Step>, exits: Vec<(MapId, Exit)>) -> Self {
        let (places, sizes) = plan(&maps, &steps, &exits);
        Program {
            instruction_set: InstructionSet::detect(),
            maps,
            steps,
            exits,
            places,
            sizes,
            idle: Pool::default(),
            profile: Mutex::default(),
        }
    }

    /// Shape of the input.
    pub fn input(&self) -> Map {
        self.maps[0]
    }

    /// Bytes of all maps of a run, the input among them.
    pub fn working_set(&self) -> usize {
        self.maps[0].bytes() + self.sizes.iter().sum::<usize>()
    }

    /// Runs on `threads` threads; `image` is the input map, `outputs` are as long as the exits call for.
    pub fn run(&self, image: &[i8], outputs: &mut [&mut [f32]], threads: usize) {
        let kept = self.idle.take();
        let mut workspace = kept.unwrap_or_else(|| Workspace {
            buffers: self
                .sizes
                .iter()
                .map(|&size| AlignedBytes::zeros(size))
                .collect(),
            vectors: Vectors::default(),
        });
        let Workspace { buffers, vectors } = &mut workspace;
        for (index, step) in self.steps.iter().enumerate() {
            let place = self.places[index].clone();
            let mut output = std::mem::take(&mut buffers[place.buffer]);
            let map = |id| self.map(image, buffers, id);
            let [input, other] = [map(step.input), step.other.map_or(&[][..], map)];
            let shape = self.maps[index + 1];
            let start = Instant::now();
            self.step(
                &step.task,
                [input, other],
                &mut output[place.bytes],
                shape,
                threads,
            );
            if let Some(times) = &mut *locked(&self.profile) {
                times[index].push(start.elapsed());
            }
            buffers[place.buffer] = output;
        }
        for ((id, exit), output) in self.exits.iter().zip(outputs) {
            let map = self.map(image, buffers, *id);
            exit.run(map, self.maps[*id], vectors, threads);
            output.copy_from_slice(&vectors.values);
        }
        self.idle.give(workspace);
    }

    /// What is in a map.
    fn map<'a>(&self, image: &'a [i8], buffers: &'a [AlignedBytes], id: MapId) -> &'a [i8] {
        match id.checked_sub(1) {
            None => &image[..self.maps[id].bytes()],
            Some(step) => {
                let place = &self.places[step];
                &buffers[place.buffer][place.bytes.clone()]
            }
        }
    }

    /// From now on, every run is part of a profile.
    pub fn start_profile(&self) {
        *locked(&self.profile) = Some(vec![vec![]; self.steps.len()]);
    }

    /// Ends the profile and returns it, step by step.
    pub fn finish_profile(&self) -> Vec<StepTime> {
        let times = locked(&self.profile).take().unwrap_or_default();
        let steps = self.steps.iter().zip(&self.maps[1..]).zip(times);
        steps
            .map(|((step, output), mut times)| {
                times.sort();
                StepTime {
                    name: step.name.clone(),
                    median: times.get(times.len() / 2).copied().unwrap_or_default(),
                    macs: step.task.macs_per_value() * (output.pixels() * output.channels) as u64,
                }
            })
            .collect()
    }

    fn step<'a>(
        &self,
        task: &Task,
        [input, other]: [&'a [i8]; 2],
        output: &mut [i8],
        shape: Map,
        threads: usize,
    ) {
        let set = self.instruction_set;
        let pixels = |map: &'a [i8], range: &Range<usize>| {
            &map[range.start * shape.pixel..range.end * shape.pixel]
        };
        match task {
            Task::Convolution(task) => {
                in_parts(output, shape.pixels(), threads, |range, output| {
                    task.run(set, input, other, output, range);
                });
            }
            Task::Depthwise(task) => in_parts(output, shape.height, threads, |range, output| {
                task.run(set, input, output, range);
            }),
            Task::Add(addition, zero_point) => {
                in_parts(output, shape.pixels(), threads, |range, output| {
                    let maps = [input, other].map(|map| pixels(map, &range));
                    add_maps(set, addition, *zero_point, maps, output);
                });
            }
            Task::Multiply(product) => {
                in_parts(output, shape.pixels(), threads, |range, output| {
                    let is_gate = other.len() == shape.pixel;
                    let factors = if is_gate {
                        other
                    } else {
                        pixels(other, &range)
                    };
                    product.run(set, [pixels(input, &range), factors], shape.pixel, output);
                });
            }
            Task::Lookup(table) => in_parts(output, shape.pixels(), threads, |range, output| {
                table.run(pixels(input, &range), output);
            }),
            Task::TableMean(task) => {
                in_parts(output, shape.pixel / LANES, threads, |blocks, output| {
                    task.run(input, output, blocks);
                });
            }
            Task::MaxPool(task) => in_parts(output, shape.height, threads, |range, output| {
                task.run(input, output, range);
            }),
            Task::AveragePool(task) => in_parts(output, shape.height, threads, |range, output| {
                task.run(input, output, range);
            }),
        }
    }
}
