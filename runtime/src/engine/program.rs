//! What a quantised part of a network computes, step by step, in buffers that are planned once.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::kernels::{
    Convolution, Depthwise, InstructionSet, Map, Residual, add_maps, channel_sums, dequantize,
    quantize_image,
};

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
}

impl Task {
    /// Bytes of its packed weights.
    pub fn packed_bytes(&self) -> usize {
        match self {
            Task::Convolution(task) => task.packed_bytes(),
            Task::Depthwise(task) => task.packed_bytes(),
            Task::Add(..) => 0,
        }
    }

    fn macs_per_value(&self) -> u64 {
        match self {
            Task::Convolution(task) => (task.window.taps() * task.input.channels) as u64,
            Task::Depthwise(task) => task.window.taps() as u64,
            Task::Add(..) => 0,
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

/// In which form a map leaves the program, always channels first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exit {
    /// Every value as f32.
    Values(Quantization),
    /// Per channel, the sum of all pixels as f32.
    Sums(Quantization),
}

/// A quantised part of a network: one f32 map in, f32 maps or sums out.
#[derive(Debug)]
pub(crate) struct Program {
    instruction_set: InstructionSet,
    entry: Quantization,
    maps: Vec<Map>,
    steps: Vec<Step>,
    exits: Vec<(MapId, Exit)>,
    /// The buffer of each map, and the size of each buffer.
    buffers: Vec<usize>,
    sizes: Vec<usize>,
    /// Sets of buffers that no run uses at the moment.
    idle: Mutex<Vec<Vec<Vec<i8>>>>,
    /// While a profile is taken, the times of every step so far.
    profile: Mutex<Option<Vec<Vec<Duration>>>>,
}

impl Program {
    /// A program over `maps`, the first of which is the input.
    pub fn new(
        entry: Quantization,
        maps: Vec<Map>,
        steps: Vec<Step>,
        exits: Vec<(MapId, Exit)>,
    ) -> Self {
        let (buffers, sizes) = plan(&maps, &steps, &exits);
        Program {
            instruction_set: InstructionSet::detect(),
            entry,
            maps,
            steps,
            exits,
            buffers,
            sizes,
            idle: Mutex::default(),
            profile: Mutex::default(),
        }
    }

    /// Shape of the input.
    pub fn input(&self) -> Map {
        self.maps[0]
    }

    /// Map and form of each output.
    pub fn exits(&self) -> impl Iterator<Item = (Map, Exit)> {
        self.exits.iter().map(|&(id, exit)| (self.maps[id], exit))
    }

    /// Bytes of all buffers of a run.
    pub fn working_set(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// Runs on `threads` threads; `outputs` are as long as the exits' forms call for.
    pub fn run(&self, image: &[f32], outputs: &mut [&mut [f32]], threads: usize) {
        let kept = locked(&self.idle).pop();
        let mut buffers =
            kept.unwrap_or_else(|| self.sizes.iter().map(|&size| vec![0; size]).collect());
        let Quantization { scale, zero_point } = self.entry;
        let first = &mut buffers[self.buffers[0]];
        quantize_image(
            self.instruction_set,
            image,
            self.maps[0],
            (scale, zero_point),
            first,
        );
        for (index, step) in self.steps.iter().enumerate() {
            let place = self.buffers[index + 1];
            let mut output = std::mem::take(&mut buffers[place]);
            let map = |id: MapId| &buffers[self.buffers[id]][..];
            let [input, other] = [map(step.input), step.other.map_or(&[][..], map)];
            let shape = self.maps[index + 1];
            let start = Instant::now();
            self.step(
                &step.task,
                [input, other],
                &mut output[..shape.bytes()],
                shape,
                threads,
            );
            if let Some(times) = &mut *locked(&self.profile) {
                times[index].push(start.elapsed());
            }
            buffers[place] = output;
        }
        for (&(id, exit), output) in self.exits.iter().zip(outputs) {
            let (values, map) = (&buffers[self.buffers[id]], self.maps[id]);
            match exit {
                Exit::Values(Quantization { scale, zero_point }) => {
                    dequantize(values, map, scale, zero_point, output);
                }
                Exit::Sums(Quantization { scale, zero_point }) => {
                    let offset = i32::from(zero_point) * map.pixels() as i32;
                    channel_sums(values, map, |channel, sum| {
                        output[channel] = (sum - offset) as f32 * scale;
                    });
                }
            }
        }
        locked(&self.idle).push(buffers);
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

    fn step(
        &self,
        task: &Task,
        [input, other]: [&[i8]; 2],
        output: &mut [i8],
        shape: Map,
        threads: usize,
    ) {
        let set = self.instruction_set;
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
                add_maps(addition, *zero_point, input, other, output);
            }
        }
    }
}

/// What is behind a lock; no holder leaves it half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}

/// Calls `run` for `threads` ranges of the `count` equal parts of `output`, each with those parts.
fn in_parts(
    output: &mut [i8],
    count: usize,
    threads: usize,
    run: impl Fn(Range<usize>, &mut [i8]) + Sync,
) {
    if threads < 2 {
        return run(0..count, output);
    }
    let size = count.div_ceil(threads);
    let parts = output.par_chunks_mut(size * (output.len() / count));
    parts.enumerate().for_each(|(index, output)| {
        let start = index * size;
        run(start..(start + size).min(count), output);
    });
}

/// A buffer for every map, so that no two that are needed at the same time share one, and the buffers' sizes.
fn plan(maps: &[Map], steps: &[Step], exits: &[(MapId, Exit)]) -> (Vec<usize>, Vec<usize>) {
    // The last map for which each is read; one that nobody reads is in the way while it is written.
    let mut last_read: Vec<MapId> = (0..maps.len()).collect();
    for (index, step) in steps.iter().enumerate() {
        for id in [Some(step.input), step.other].into_iter().flatten() {
            last_read[id] = index + 1;
        }
    }
    for &(id, _) in exits {
        last_read[id] = usize::MAX;
    }
    let (mut buffers, mut sizes, mut owners) = (vec![], vec![], vec![]);
    for (id, map) in maps.iter().enumerate() {
        let free = (0..owners.len()).filter(|&buffer: &usize| last_read[owners[buffer]] < id);
        // The smallest that is large enough, or else the largest, which grows.
        let best = free.min_by_key(|&buffer| {
            let size: usize = sizes[buffer];
            (size < map.bytes(), size.abs_diff(map.bytes()))
        });
        let buffer = best.unwrap_or_else(|| {
            owners.push(id);
            sizes.push(0);
            sizes.len() - 1
        });
        owners[buffer] = id;
        sizes[buffer] = sizes[buffer].max(map.bytes());
        buffers.push(buffer);
    }
    (buffers, sizes)
}
