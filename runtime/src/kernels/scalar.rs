//! The definition of every kernel, in plain Rust.

use std::ops::Range;

use super::convolution::Convolution;
use super::depthwise::Depthwise;
use super::geometry::{DEPTH, LANES};

pub(super) fn convolution(
    task: &Convolution,
    input: &[i8],
    residual: &[i8],
    output: &mut [i8],
    pixels: Range<usize>,
) {
    let (taps, steps, pixel) = (task.window.taps(), task.steps(), task.output.pixel);
    for (position, output) in pixels.zip(output.chunks_exact_mut(pixel)) {
        for (channel, output) in output.iter_mut().enumerate() {
            let mut sum = task.bias[channel];
            for tap in 0..taps {
                let values = task.pixel(task.place(position), tap);
                let values = values.map_or(&task.blank[..], |start| &input[start..]);
                for step in 0..steps {
                    let block = (channel / LANES * taps + tap) * steps + step;
                    let weights = (block * LANES + channel % LANES) * DEPTH;
                    for depth in 0..DEPTH {
                        let weight = i32::from(task.weights[weights + depth]);
                        let value = i32::from(values[step * DEPTH + depth]);
                        sum = sum.wrapping_add(weight * value);
                    }
                }
            }
            let value = task.requantization.apply(channel, sum);
            *output = match task.residual {
                None => value,
                Some(addition) => {
                    let other = residual[position * pixel + channel];
                    addition.apply(value, task.requantization.zero_point, other)
                }
            };
        }
    }
}

pub(super) fn depthwise(task: &Depthwise, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let (window, pixel) = (&task.window, task.output.pixel);
    let [height, width] = window.kernel;
    let first = rows.start;
    for row in rows {
        for column in 0..task.output.width {
            let start = (row - first) * task.output.row() + column * pixel;
            for channel in 0..pixel {
                let mut sum = task.bias[channel];
                for tap in 0..height * width {
                    let row = window.input(0, row, tap / width, task.input.height);
                    let column = window.input(1, column, tap % width, task.input.width);
                    let value = match (row, column) {
                        (Some(row), Some(column)) => {
                            input[row * task.input.row() + column * pixel + channel]
                        }
                        _ => task.input_zero_point,
                    };
                    let weight = (channel / LANES * height * width + tap) * LANES + channel % LANES;
                    sum = sum.wrapping_add(i32::from(value) * i32::from(task.weights[weight]));
                }
                output[start + channel] = task.requantization.apply(channel, sum);
            }
        }
    }
}
