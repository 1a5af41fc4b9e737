//! Convolutions that mix channels: dense ones of any window, pointwise ones above all.

use std::ops::Range;

#[cfg(target_arch = "aarch64")]
use super::aarch64;
use super::aligned::AlignedBytes;
#[cfg(target_arch = "arm")]
use super::arm;
use super::geometry::{DEPTH, LANES, Map, Window};
use super::instruction_set::InstructionSet;
#[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
use super::neon;
use super::pointwise::Residual;
use super::requantize::Requantization;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// A dense int8 convolution with its weights in the order in which the kernels read them.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// The map it reads.
    pub input: Map,
    /// The map it writes.
    pub output: Map,
    /// Where each output looks.
    pub window: Window,
    /// The int8 that stands for zero in the input; the padding's value.
    pub input_zero_point: i8,
    /// Sums to outputs.
    pub requantization: Requantization,
    /// What is added to its outputs, if anything.
    pub residual: Option<Residual>,
    /// \[output channel / LANES\]\[tap\]\[input channel / DEPTH\]\[LANES\]\[DEPTH\], zeros where there is no channel.
    pub(super) weights: AlignedBytes,
    /// Per output channel, with what the zero point of the input adds to every sum already taken off.
    pub(super) bias: Vec<i32>,
    /// Per output channel, the sum of its weights times 128, for kernels that read the input as u8.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(super) unsigned_bias: Vec<i32>,
    /// Whether two products of these weights and any bytes always fit into 16 bits.
    #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
    pub(super) products_pair: bool,
    /// As many pixels of the padding as a row of the kernel has taps.
    pub(super) blank: Vec<i8>,
}

impl Convolution {
    /// Packs `weights`, \[output, input, kernel height, kernel width\], and `bias`, one per output.
    ///
    /// # Panics
    /// When a length does not suit the shapes.
    pub fn new(
        [input, output]: [Map; 2],
        window: Window,
        weights: &[i8],
        bias: &[i32],
        input_zero_point: i8,
        requantization: Requantization,
    ) -> Self {
        let taps = window.taps();
        assert_eq!(weights.len(), output.channels * input.channels * taps);
        assert_eq!(bias.len(), output.channels);
        assert!(taps > 0 && output.has_whole_vectors());
        assert!(input.pixel >= input.channels.next_multiple_of(DEPTH));
        assert_eq!(requantization.multipliers.len(), output.pixel);
        let steps = input.channels.div_ceil(DEPTH);
        let mut packed = AlignedBytes::zeros(output.pixel * taps * steps * DEPTH);
        let mut sums = vec![0i32; output.pixel];
        for channel in 0..output.channels {
            for from in 0..input.channels {
                for tap in 0..taps {
                    let weight = weights[(channel * input.channels + from) * taps + tap];
                    let step = (channel / LANES * taps + tap) * steps + from / DEPTH;
                    packed[(step * LANES + channel % LANES) * DEPTH + from % DEPTH] = weight;
                    sums[channel] += i32::from(weight);
                }
            }
        }
        let mut padded = vec![0; output.pixel];
        padded[..output.channels].copy_from_slice(bias);
        let less = |factor: i32| {
            let pairs = padded.iter().zip(&sums);
            pairs
                .map(|(&bias, &sum)| bias.wrapping_sub(sum.wrapping_mul(factor)))
                .collect()
        };
        let zero_point = i32::from(input_zero_point);
        Convolution {
            input,
            output,
            window,
            input_zero_point,
            requantization,
            residual: None,
            weights: packed,
            bias: less(zero_point),
            unsigned_bias: less(zero_point + 128),
            #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
            products_pair: neon::products_pair(weights),
            blank: vec![input_zero_point; input.pixel * window.kernel[1]],
        }
    }

    /// Bytes of its packed weights.
    pub fn packed_bytes(&self) -> usize {
        self.weights.len()
    }

    /// Computes the pixels `pixels` of the output map, counted row by row, into `output`, which holds these
    /// alone. `residual` is the map that [`Convolution::residual`] adds, whole.
    ///
    /// # Panics
    /// When a slice is shorter than its map or its pixels.
    pub fn run(
        &self,
        instruction_set: InstructionSet,
        input: &[i8],
        residual: &[i8],
        output: &mut [i8],
        pixels: Range<usize>,
    ) {
        assert!(input.len() >= self.input.bytes() && pixels.end <= self.output.pixels());
        assert!(output.len() >= pixels.len() * self.output.pixel);
        assert!(self.residual.is_none() || residual.len() >= self.output.bytes());
        match instruction_set {
            #[cfg(target_arch = "arm")]
            InstructionSet::Neon => arm::convolution(self, input, residual, output, pixels),
            InstructionSet::Scalar => scalar::convolution(self, input, residual, output, pixels),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => x86::avx2::convolution(self, input, residual, output, pixels),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Vnni => {
                x86::vnni::convolution(self, input, residual, output, pixels)
            }
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => {
                aarch64::neon::convolution(self, input, residual, output, pixels)
            }
            #[cfg(target_arch = "aarch64")]
            InstructionSet::NeonDotprod => {
                aarch64::dotprod::convolution(self, input, residual, output, pixels)
            }
            #[cfg(target_arch = "aarch64")]
            InstructionSet::NeonI8mm => {
                aarch64::i8mm::convolution(self, input, residual, output, pixels)
            }
        }
    }

    /// Whether the taps of a kernel row look at neighbouring bytes, no padding channels between them.
    #[inline]
    pub(super) fn has_contiguous_rows(&self) -> bool {
        self.window.dilation[1] == 1 && self.input.pixel == self.steps() * DEPTH
    }

    /// Steps of [`DEPTH`] input channels per tap.
    pub(super) fn steps(&self) -> usize {
        self.input.channels.div_ceil(DEPTH)
    }

    /// Whether each output pixel looks at the input pixel of the same number, and nothing else.
    #[inline]
    pub(super) fn is_pointwise(&self) -> bool {
        let sides = |map: Map| [map.height, map.width];
        self.window == Window::POINT && sides(self.input) == sides(self.output)
    }

    /// Row and column of output pixel `position`; of a pointwise convolution, as if all stood in one row.
    #[inline]
    pub(super) fn place(&self, position: usize) -> [usize; 2] {
        if self.is_pointwise() {
            return [0, position];
        }
        [position / self.output.width, position % self.output.width]
    }

    /// Offset in the input of the pixel that `tap` of the output pixel at a [`Convolution::place`] looks at; `None`
    /// in the padding.
    #[inline]
    pub(super) fn pixel(&self, [row, column]: [usize; 2], tap: usize) -> Option<usize> {
        if self.is_pointwise() {
            return Some(column * self.input.pixel);
        }
        let (vertical, horizontal) = (tap / self.window.kernel[1], tap % self.window.kernel[1]);
        let row = self.window.input(0, row, vertical, self.input.height)?;
        let column = self.window.input(1, column, horizontal, self.input.width)?;
        Some(row * self.input.row() + column * self.input.pixel)
    }
}
