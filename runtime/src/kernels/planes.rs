//! Depthwise convolutions of float maps that are kept plane by plane, as tract keeps them.

use super::geometry::Window;
use super::instruction_set::InstructionSet;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// Outputs that are summed at once.
pub(super) const WIDTH: usize = 64;

/// No value is out of these.
pub const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// A depthwise f32 convolution, \[channel, height, width\] in and out.
///
/// A channel's plane is taken apart by the remainders of row and column by the stride, into phases with their padding:
/// in these, what a tap looks at moves on by one value from each output to the next, and the whole plane is summed as if
/// it were a single row.
#[derive(Clone, Debug)]
pub struct PlaneConvolution {
    /// Height and width of the map it reads.
    pub input: [usize; 2],
    /// Height and width of the map it writes.
    pub output: [usize; 2],
    /// Where each output looks.
    pub window: Window,
    /// What the values it reads are kept within before, the padding apart, and the values it writes after.
    pub bounds: [[f32; 2]; 2],
    /// \[channel\]\[tap\]
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// Where each tap of the first output looks, in the phases.
    offsets: Vec<usize>,
    /// Rows and columns of a phase.
    phase: [usize; 2],
}

impl PlaneConvolution {
    /// `weights` are \[channel, kernel height, kernel width\], `bias` is one per channel.
    ///
    /// # Panics
    /// When a length does not suit the shapes.
    pub fn new(
        [input, output]: [[usize; 2]; 2],
        window: Window,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Self {
        assert_eq!(weights.len(), bias.len() * window.taps());
        let [height, width] = window.kernel;
        let reach = |axis: usize| (window.kernel[axis] - 1) * window.dilation[axis];
        let phase = [0, 1].map(|axis| output[axis] + reach(axis) / window.stride[axis]);
        let offset = |tap: usize| {
            let place = [0, 1].map(|axis| [tap / width, tap % width][axis] * window.dilation[axis]);
            let [row, column] = [0, 1].map(|axis| place[axis] / window.stride[axis]);
            phase_of(&window, place) * phase[0] * phase[1] + row * phase[1] + column
        };
        PlaneConvolution {
            input,
            output,
            offsets: (0..height * width).map(offset).collect(),
            window,
            bounds: [UNBOUNDED; 2],
            weights,
            bias,
            phase,
        }
    }

    /// Channels in and out.
    pub fn channels(&self) -> usize {
        self.bias.len()
    }

    /// Computes the channels from `first` on, as many as `output` holds; `input` holds these channels alone.
    ///
    /// # Panics
    /// When the slices are not whole planes of the shapes, or there are no such channels.
    pub fn run(
        &self,
        instruction_set: InstructionSet,
        first: usize,
        input: &[f32],
        output: &mut [f32],
    ) {
        let ([rows, columns], [_, step]) = (self.output, self.phase);
        let taps = self.window.taps();
        // From the first to the last output, and between two rows what is no output.
        let length = (rows - 1) * step + columns;
        let mut sums = vec![[0.0; WIDTH]; length.div_ceil(WIDTH)];
        let phases: usize = self.window.stride.iter().product();
        let slack = sums.len() * WIDTH - length;
        let mut values = vec![0.0; phases * self.phase[0] * step + slack];
        let planes = input.chunks_exact(self.input[0] * self.input[1]);
        let outputs = output.chunks_exact_mut(rows * columns);
        for (channel, (plane, output)) in planes.zip(outputs).enumerate() {
            self.take_apart(plane, &mut values);
            let row = Row {
                values: &values,
                offsets: &self.offsets,
                weights: &self.weights[(first + channel) * taps..][..taps],
                bias: self.bias[first + channel],
            };
            match instruction_set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512Vnni => x86::planes::sum_512(&row, &mut sums),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => x86::planes::sum_256(&row, &mut sums),
                _ => row.sum(&mut sums),
            }
            let sums = sums.as_flattened().chunks(step);
            for (row, sums) in output.chunks_exact_mut(columns).zip(sums) {
                copy_every::<1>(self.bounds[1], &sums[..columns], row);
            }
        }
    }

    /// Puts the values of a plane where they belong in the phases; the padding between them stays as it is.
    #[inline(always)]
    fn take_apart(&self, plane: &[f32], phases: &mut [f32]) {
        let Window {
            stride, padding, ..
        } = self.window;
        let [rows, columns] = self.phase;
        for (row, values) in plane.chunks_exact(self.input[1]).enumerate() {
            let row = row + padding[0];
            if row / stride[0] >= rows {
                break;
            }
            for first in 0..stride[1].min(values.len()) {
                let column = first + padding[1];
                let phase = phase_of(&self.window, [row, column]);
                let start = (phase * rows + row / stride[0]) * columns;
                let target = &mut phases[start..start + columns];
                let Some(target) = target.get_mut(column / stride[1]..) else {
                    continue;
                };
                let (bounds, values) = (self.bounds[0], &values[first..]);
                match stride[1] {
                    1 => copy_every::<1>(bounds, values, target),
                    2 => copy_every::<2>(bounds, values, target),
                    stride => {
                        let values = values.iter().step_by(stride);
                        for (target, &value) in target.iter_mut().zip(values) {
                            *target = within(bounds, value);
                        }
                    }
                }
            }
        }
    }
}

/// `value`, or the bound that it is beyond; the low one for what is no number. Each line is one instruction of a vector,
/// which `max` and `min` are not.
#[inline(always)]
fn within([low, high]: [f32; 2], value: f32) -> f32 {
    let value = if value > low { value } else { low };
    if value < high { value } else { high }
}

/// Copies every value of so many, from the first on, as [`within`]. The compiler makes vectors of it where the number is
/// known.
#[inline(always)]
fn copy_every<const STRIDE: usize>(bounds: [f32; 2], from: &[f32], to: &mut [f32]) {
    let (whole, rest) = from.as_chunks::<STRIDE>();
    if let (Some(to), Some(&value)) = (to.get_mut(whole.len()), rest.first()) {
        *to = within(bounds, value);
    }
    for (to, values) in to.iter_mut().zip(whole) {
        *to = within(bounds, values[0]);
    }
}

/// A plane as a single row, and what is to be summed of it.
pub(super) struct Row<'a> {
    pub values: &'a [f32],
    /// Where each tap of the first sum looks.
    pub offsets: &'a [usize],
    pub weights: &'a [f32],
    pub bias: f32,
}

impl Row<'_> {
    /// Bias plus all taps, in their order and rounded once each, from one output to the next.
    fn sum(&self, sums: &mut [[f32; WIDTH]]) {
        for (index, sum) in sums.as_flattened_mut().iter_mut().enumerate() {
            *sum = self.bias;
            for (&weight, &offset) in self.weights.iter().zip(self.offsets) {
                *sum = self.values[offset + index].mul_add(weight, *sum);
            }
        }
    }

    /// Checks that all taps of `sums` look at a value.
    #[cfg(target_arch = "x86_64")]
    pub fn check(&self, sums: &[[f32; WIDTH]]) {
        let last = self.offsets.iter().max().copied().unwrap_or_default();
        assert!(last + sums.len() * WIDTH <= self.values.len());
        assert_eq!(self.offsets.len(), self.weights.len());
    }
}

/// The number of the phase that holds the value at `place` of the padded plane.
fn phase_of(window: &Window, place: [usize; 2]) -> usize {
    let [row, column] = [0, 1].map(|axis| place[axis] % window.stride[axis]);
    row * window.stride[1] + column
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(range: std::ops::RangeInclusive<usize>) -> [std::ops::RangeInclusive<usize>; 2] {
        [range.clone(), range]
    }

    proptest! {
        /// Every instruction set gives what the definition of the convolution gives, summed in the order of the taps.
        #[test]
        fn sums_what_its_window_shows(
            input in pair(1..=40),
            kernel in pair(1..=5),
            stride in pair(1..=3),
            dilation in pair(1..=2),
            padding in pair(0..=3),
            output in pair(1..=40),
            (channels, seed) in (1..=4usize, any::<u32>()),
            bounds in prop::sample::select(vec![[UNBOUNDED; 2], [[-0.5, 0.25], [0.0, 0.5]]]),
        ) {
            let window = Window { kernel, stride, dilation, padding };
            let number = |index: usize| {
                let mixed = (index as u32 ^ seed).wrapping_mul(0x9e37_79b9).rotate_left(13);
                mixed.wrapping_mul(0x85eb_ca6b) as i32 as f32 / 2f32.powi(31)
            };
            let taps = window.taps();
            let weights: Vec<f32> = (0..channels * taps).map(number).collect();
            let bias: Vec<f32> = (0..channels).map(|index| number(index + 9999)).collect();
            let plane = input[0] * input[1];
            let image: Vec<f32> = (0..channels * plane).map(|index| number(index + 77)).collect();

            let mut expected = vec![];
            for channel in 0..channels {
                for (row, column) in (0..output[0]).flat_map(|r| (0..output[1]).map(move |c| (r, c))) {
                    let mut sum = bias[channel];
                    for tap in 0..taps {
                        let row = window.input(0, row, tap / kernel[1], input[0]);
                        let column = window.input(1, column, tap % kernel[1], input[1]);
                        let value = match (row, column) {
                            (Some(row), Some(column)) => {
                                let value = image[channel * plane + row * input[1] + column];
                                value.clamp(bounds[0][0], bounds[0][1])
                            }
                            _ => 0.0,
                        };
                        sum = value.mul_add(weights[channel * taps + tap], sum);
                    }
                    expected.push(sum.clamp(bounds[1][0], bounds[1][1]));
                }
            }
            let mut task = PlaneConvolution::new([input, output], window, weights, bias);
            task.bounds = bounds;
            for set in InstructionSet::available() {
                let mut found = vec![f32::NAN; expected.len()];
                task.run(set, 0, &image, &mut found);
                prop_assert_eq!(&found, &expected, "{}", set.name());
            }
        }
    }
}
