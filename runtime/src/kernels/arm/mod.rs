//! Kernels for 32-bit ARM with NEON: two products of bytes fit into 16 bits, which are added in pairs to 32.
//!
//! Rust knows no NEON intrinsics for these processors yet, so the loops are assembly.
#![allow(unsafe_code)]

mod assembly;

use std::fs;
use std::ops::Range;
use std::sync::OnceLock;

use super::convolution::Convolution;
use super::depthwise::Depthwise;
use super::geometry::LANES;
use super::neon::{Run, Tile, Windows, by_tiles};
use super::scalar;
use assembly::{Block, Constants, Halves};

/// The most taps of a depthwise window.
const TAPS: usize = 64;

/// Whether the processor has NEON, as the kernel tells in the auxiliary vector.
pub fn has_vectors() -> bool {
    /// `AT_HWCAP`, `HWCAP_NEON`.
    const CAPABILITIES: usize = 16;
    const NEON: usize = 1 << 12;
    static HAS_VECTORS: OnceLock<bool> = OnceLock::new();
    *HAS_VECTORS.get_or_init(|| {
        let vector = fs::read("/proc/self/auxv").unwrap_or_default();
        let words = vector
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(usize::from_ne_bytes);
        let words: Vec<usize> = words.collect();
        let entries = words.as_chunks().0;
        entries
            .iter()
            .any(|&[key, value]| key == CAPABILITIES && value & NEON != 0)
    })
}

pub fn convolution(
    task: &Convolution,
    input: &[i8],
    residual: &[i8],
    output: &mut [i8],
    range: Range<usize>,
) {
    const TILES: [Tile; 2] = [tile::<1>, tile::<2>];
    if !task.products_pair {
        return scalar::convolution(task, input, residual, output, range);
    }
    // SAFETY: the instruction set was detected; `Convolution::run` has checked the lengths of the slices.
    unsafe { by_tiles(&TILES, task, [input, residual], output, range) }
}

unsafe fn tile<const P: usize>(windows: &mut Windows, residual: &[i8], output: *mut i8) {
    let task = windows.task;
    let pixel = task.output.pixel;
    let constants = Constants::new(&task.requantization);
    for channel in (0..pixel).step_by(LANES) {
        // Both pixels of eight channels, and of the next eight.
        let mut sums = [[Halves::ZERO; 2]; 2];
        for index in 0..windows.runs {
            let Run {
                values,
                weights,
                steps,
            }: Run<P> = windows.run(channel / LANES, index);
            for (half, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the run holds as many steps; half of the channels have half of a step's weights. Of a
                // single pixel the sums are computed twice.
                unsafe {
                    let weights = weights.add(half * assembly::WEIGHTS);
                    assembly::accumulate(values[0], values[P - 1], weights, steps, sums);
                }
            }
        }
        let [first, second] = &sums;
        for (index, halves) in first.iter().zip(second).take(P).enumerate() {
            // SAFETY: the caller's; there are biases and multipliers for every block.
            unsafe {
                assembly::finish(
                    &halves.into(),
                    &constants,
                    task.bias.as_ptr().add(channel),
                    task.requantization.multipliers.as_ptr().add(channel),
                    output.add(index * pixel + channel),
                );
            }
        }
    }
    if let Some(addition) = &task.residual {
        let zero_point = task.requantization.zero_point;
        let others = &residual[windows.first * pixel..][..P * pixel];
        // SAFETY: the caller's.
        let values = unsafe { std::slice::from_raw_parts_mut(output, P * pixel) };
        for (value, &other) in values.iter_mut().zip(others) {
            *value = addition.apply(*value, zero_point, other);
        }
    }
}

pub fn depthwise(task: &Depthwise, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let (window, map, pixel) = (&task.window, task.input, task.output.pixel);
    if !task.products_pair || window.taps() > TAPS {
        return scalar::depthwise(task, input, output, rows);
    }
    let constants = Constants::new(&task.requantization);
    let mut taps = [task.blank.as_ptr(); TAPS];
    for (line, row) in output.chunks_exact_mut(task.output.row()).zip(rows) {
        for (column, outputs) in line.chunks_exact_mut(pixel).enumerate() {
            for (taps, vertical) in taps
                .chunks_exact_mut(window.kernel[1])
                .zip(0..window.kernel[0])
            {
                let row = window.input(0, row, vertical, map.height);
                for (horizontal, tap) in taps.iter_mut().enumerate() {
                    let column = window.input(1, column, horizontal, map.width);
                    *tap = match row.zip(column) {
                        Some((row, column)) => input[row * map.row() + column * pixel..].as_ptr(),
                        None => task.blank.as_ptr(),
                    };
                }
            }
            for (channel, outputs) in outputs.chunks_exact_mut(LANES).enumerate() {
                let channel = channel * LANES;
                let block = Block {
                    taps: window.taps(),
                    channel,
                    weights: task.weights[channel * window.taps()..].as_ptr(),
                    bias: task.bias[channel..].as_ptr(),
                };
                let multipliers = task.requantization.multipliers[channel..].as_ptr();
                // SAFETY: the instruction set was detected; every tap is a pixel of the map or a blank one, which
                // hold the channels, and so do weights, biases, multipliers and outputs.
                unsafe {
                    assembly::depthwise(
                        taps.as_ptr(),
                        &constants,
                        &block,
                        multipliers,
                        outputs.as_mut_ptr(),
                    );
                }
            }
        }
    }
}

/// See [`super::peak`].
pub fn peak(rounds: usize) -> u64 {
    // SAFETY: the instruction set was detected.
    unsafe { assembly::multiply_registers(rounds) };
    assembly::PEAK_ROUND
}
