//! Convolutions that keep channels apart.

use std::ops::Range;

#[cfg(target_arch = "aarch64")]
use super::aarch64;
use super::aligned::AlignedBytes;
#[cfg(target_arch = "arm")]
use super::arm;
use super::geometry::{LANES, Map, Window};
use super::instruction_set::InstructionSet;
#[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
use super::neon;
use super::requantize::Requantization;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// A depthwise int8 convolution.
#[derive(Clone, Debug)]
pub struct Depthwise {
    /// The map it reads.
    pub input: Map,
    /// The map it writes, of as many channels.
    pub output: Map,
    /// Where each output looks.
    pub window: Window,
    /// The int8 that stands for zero in the input; the padding's value.
    pub input_zero_point: i8,
    /// Sums to outputs.
    pub requantization: Requantization,
    /// \[channel / LANES\]\[tap\]\[LANES\], zeros where there is no channel.
    pub(super) weights: AlignedBytes,
    /// See [`super::Convolution`].
    pub(super) bias: Vec<i32>,
    /// The numbers in the order of the VNNI kernel, where its form suits the window.
    #[cfg(target_arch = "x86_64")]
    pub(super) columns: Option<x86::columns::Columns>,
    /// See [`super::Convolution`].
    #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
    pub(super) products_pair: bool,
    /// A pixel of the padding.
    pub(super) blank: Vec<i8>,
}

impl Depthwise {
    /// Packs `weights`, \[channel, 1, kernel height, kernel width\], and `bias`, one per channel.
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
        assert_eq!(input.channels, output.channels);
        assert_eq!(weights.len(), output.channels * taps);
        assert_eq!(bias.len(), output.channels);
        assert!(taps > 0 && input.has_whole_vectors() && output.has_whole_vectors());
        assert_eq!(requantization.multipliers.len(), output.pixel);
        let mut packed = AlignedBytes::zeros(output.pixel * taps);
        let mut padded = vec![0; output.pixel];
        #[cfg(target_arch = "x86_64")]
        let mut unsigned = vec![0; output.pixel];
        for (channel, weights) in weights.chunks_exact(taps).enumerate() {
            let mut sum = 0;
            for (tap, &weight) in weights.iter().enumerate() {
                packed[(channel / LANES * taps + tap) * LANES + channel % LANES] = weight;
                sum += i32::from(weight);
            }
            let zero_point = i32::from(input_zero_point);
            padded[channel] = bias[channel].wrapping_sub(sum.wrapping_mul(zero_point));
            #[cfg(target_arch = "x86_64")]
            {
                unsigned[channel] = padded[channel].wrapping_sub(sum.wrapping_mul(128));
            }
        }
        Depthwise {
            input,
            output,
            window,
            input_zero_point,
            #[cfg(target_arch = "x86_64")]
            columns: x86::columns::Columns::new(
                window,
                &packed,
                &unsigned,
                &requantization.multipliers,
            ),
            requantization,
            weights: packed,
            bias: padded,
            #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
            products_pair: neon::products_pair(weights),
            blank: vec![input_zero_point; input.pixel],
        }
    }

    /// Bytes of its packed weights, in every order in which they are kept.
    pub fn packed_bytes(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        let ordered = self
            .columns
            .as_ref()
            .map_or(0, |columns| columns.weights.len());
        #[cfg(not(target_arch = "x86_64"))]
        let ordered = 0;
        self.weights.len() + ordered
    }

    /// Computes the rows `rows` of the output map into `output`, which holds these rows alone.
    ///
    /// # Panics
    /// When a slice is shorter than its map or its rows.
    pub fn run(
        &self,
        instruction_set: InstructionSet,
        input: &[i8],
        output: &mut [i8],
        rows: Range<usize>,
    ) {
        assert!(input.len() >= self.input.bytes() && rows.end <= self.output.height);
        assert!(output.len() >= rows.len() * self.output.row());
        match instruction_set {
            #[cfg(target_arch = "arm")]
            InstructionSet::Neon => arm::depthwise(self, input, output, rows),
            InstructionSet::Scalar => scalar::depthwise(self, input, output, rows),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => x86::avx2::depthwise(self, input, output, rows),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Vnni => match &self.columns {
                Some(columns) => x86::vnni::depthwise(self, columns, input, output, rows),
                None => x86::avx2::depthwise(self, input, output, rows),
            },
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => aarch64::depthwise::depthwise(self, input, output, rows),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::NeonDotprod | InstructionSet::NeonI8mm => {
                aarch64::dotprod::depthwise(self, input, output, rows);
            }
        }
    }
}
