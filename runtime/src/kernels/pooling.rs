//! The largest value and the mean of every window, channel by channel.

use std::ops::Range;

use super::geometry::{LANES, Map, Window};
use super::pointwise::quantize;

/// The largest values. Padding is less than any value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPool {
    /// The map it reads.
    pub input: Map,
    /// The map it writes, of as many channels and the same zero point.
    pub output: Map,
    /// Where each output looks.
    pub window: Window,
}

impl MaxPool {
    /// Computes the rows `rows` of the output map into `output`, which holds these rows alone.
    ///
    /// # Panics
    /// When a slice is shorter than its map or its rows.
    pub fn run(&self, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        each(
            self.input,
            self.output,
            &self.window,
            rows,
            output,
            |places, start, output| {
                let mut largest = [i8::MIN; LANES];
                for place in places {
                    let values = &input[place + start..][..LANES];
                    for (largest, &value) in largest.iter_mut().zip(values) {
                        *largest = value.max(*largest);
                    }
                }
                output.copy_from_slice(&largest);
            },
        );
    }
}

/// Means: dequantised, divided by the number of values, and quantised again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragePool {
    /// The map it reads.
    pub input: Map,
    /// The map it writes, of as many channels.
    pub output: Map,
    /// Where each output looks.
    pub window: Window,
    /// Whether padding counts as values of zero.
    pub with_padding: bool,
    /// The int8 that stands for zero in the input.
    pub input_zero_point: i8,
    /// Scale of the input divided by that of the output.
    pub multiplier: f32,
    /// The int8 that stands for zero in the output.
    pub zero_point: i8,
    /// The smallest output.
    pub low: i8,
    /// The largest output.
    pub high: i8,
}

impl AveragePool {
    /// As [`MaxPool::run`].
    ///
    /// # Panics
    /// When a slice is shorter than its map or its rows.
    pub fn run(&self, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        let [low, high] = [self.low, self.high].map(|b| f32::from(b) - f32::from(self.zero_point));
        each(
            self.input,
            self.output,
            &self.window,
            rows,
            output,
            |places, start, output| {
                let (mut sums, mut count) = ([0_i32; LANES], 0);
                for place in places {
                    let values = &input[place + start..][..LANES];
                    for (sum, &value) in sums.iter_mut().zip(values) {
                        *sum += i32::from(value);
                    }
                    count += 1;
                }
                let offset = i32::from(self.input_zero_point) * count;
                let divisor = match self.with_padding {
                    true => self.window.taps() as i32,
                    false => count.max(1),
                };
                let multiplier = self.multiplier / divisor as f32;
                for (output, sum) in output.iter_mut().zip(sums) {
                    let value = (sum - offset) as f32 * multiplier;
                    let rounded = value.max(low).min(high).round_ties_even();
                    *output = (rounded as i32 + i32::from(self.zero_point)) as i8;
                }
            },
        );
    }
}

/// Means over all pixels of what a table gives for each value, quantised.
#[derive(Clone, Debug, PartialEq)]
pub struct TableMean {
    /// The map it reads. It writes a map of one pixel.
    pub input: Map,
    /// In the order of [`super::Table`].
    pub values: Box<[f32; 256]>,
    /// Scale of the output.
    pub scale: f32,
    /// The int8 that stands for zero in the output.
    pub zero_point: i8,
}

impl TableMean {
    /// Computes the groups `blocks` of [`LANES`] channels into `output`, which holds these alone.
    ///
    /// # Panics
    /// When a slice is shorter than its map or its channels.
    pub fn run(&self, input: &[i8], output: &mut [i8], blocks: Range<usize>) {
        let pixels = input[..self.input.bytes()].chunks_exact(self.input.pixel);
        let count = self.input.pixels() as f32;
        for (block, output) in blocks.zip(output.chunks_exact_mut(LANES)) {
            let mut sums = [0.0; LANES];
            for pixel in pixels.clone() {
                for (sum, &value) in sums.iter_mut().zip(&pixel[block * LANES..]) {
                    *sum += self.values[usize::from(value as u8)];
                }
            }
            for (output, sum) in output.iter_mut().zip(sums) {
                *output = quantize(sum / count, self.scale, self.zero_point);
            }
        }
    }
}

/// Calls `pool` for every [`LANES`] outputs of the rows: with the offsets of the pixels in the window, the first
/// channel, and the outputs.
fn each(
    input: Map,
    map: Map,
    window: &Window,
    rows: Range<usize>,
    output: &mut [i8],
    pool: impl Fn(&mut dyn Iterator<Item = usize>, usize, &mut [i8]),
) {
    let [height, width] = window.kernel;
    for (output, row) in output.chunks_exact_mut(map.row()).zip(rows) {
        for (column, output) in output.chunks_exact_mut(map.pixel).enumerate() {
            for (block, output) in output.chunks_exact_mut(LANES).enumerate() {
                let mut places = (0..height)
                    .filter_map(|tap| window.input(0, row, tap, input.height))
                    .flat_map(|row| {
                        let columns = (0..width)
                            .filter_map(move |tap| window.input(1, column, tap, input.width));
                        columns.map(move |column| row * input.row() + column * input.pixel)
                    });
                pool(&mut places, block * LANES, output);
            }
        }
    }
}
