//! Backbones of inverted residual blocks (Sandler et al. 2018): stem, stages of blocks, last convolution.

use crate::network::Network;
use crate::operation::{Activation, Convolution, Operation};

use super::parts::{Conventions, Gates, activated, convolution, gated, scaled_channels};

/// A backbone, all multipliers applied.
pub(super) struct InvertedResiduals {
    pub conventions: Conventions,
    /// After the stem and the last convolution.
    pub activation: Activation,
    /// Channels of the stem, a 3x3 convolution of stride 2.
    pub stem: usize,
    /// Each a sequence of runs.
    pub stages: Vec<Vec<Run>>,
    /// Channels of the last convolution, a pointwise one.
    pub last: usize,
    pub numbering: Numbering,
}

/// How blocks are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// `blocks.BLOCK`, over all stages.
    Consecutive,
    /// `blocks.STAGE.BLOCK`.
    ByStage,
}

/// A number of blocks that are alike but for the first one's stride and input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub block: Block,
    pub repeats: usize,
    pub kernel: usize,
    /// Of the first block.
    pub stride: usize,
    /// Channels between a block's convolutions, over those of its input.
    pub expansion: f32,
    pub channels: usize,
    pub activation: Activation,
    pub squeeze: Option<Squeeze>,
}

/// The kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// One convolution.
    Plain,
    /// A dense convolution that expands, and a pointwise one that projects.
    Fused,
    /// A pointwise convolution that expands, a depthwise one, and a pointwise one that projects.
    Inverted,
}

/// The gates of a run's blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Squeeze {
    /// How many channels the means are reduced to.
    pub to: Reduction,
    /// After the first convolution.
    pub activation: Activation,
    /// After the second.
    pub gate: Activation,
}

/// A quarter of some channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    /// Of the block's input.
    QuarterOfInput,
    /// Of what is gated, rounded to a multiple of 8.
    QuarterOfExpanded,
}

impl InvertedResiduals {
    /// Appends the backbone to a network that ends with its image; returns the index of the last feature
    /// map.
    pub fn push(&self, network: &mut Network) -> usize {
        let mut features = network.output();
        features = self.convolved(network, "stem", features, convolution(self.stem, 3, 2));
        let mut count = 0;
        for (stage, runs) in self.stages.iter().enumerate() {
            let strided = runs.iter().flat_map(|run| {
                let strides = std::iter::once(run.stride).chain(std::iter::repeat(1));
                strides.take(run.repeats).map(move |stride| (run, stride))
            });
            for (block, (run, stride)) in strided.enumerate() {
                let name = match self.numbering {
                    Numbering::Consecutive => format!("blocks.{count}"),
                    Numbering::ByStage => format!("blocks.{stage}.{block}"),
                };
                features = self.push_block(network, &name, features, run, stride);
                count += 1;
            }
        }
        self.convolved(network, "last", features, Convolution::pointwise(self.last))
    }

    /// A block, and the sum with its input where shapes allow it.
    fn push_block(
        &self,
        network: &mut Network,
        name: &str,
        input: usize,
        run: &Run,
        stride: usize,
    ) -> usize {
        let Run {
            kernel, activation, ..
        } = *run;
        let normalised = |network: &mut Network, part: &str, input, shape| {
            let name = format!("{name}{part}");
            self.conventions.normalised(network, &name, input, shape)
        };
        let active = |network: &mut Network, part: &str, input| {
            activated(network, &format!("{name}{part}"), input, activation)
        };
        let channels = network.layers[input].output.channels();
        let expanded = if run.expansion.fract() == 0.0 {
            channels * run.expansion as usize
        } else {
            scaled_channels(channels, run.expansion)
        };
        let outputs = run.channels;
        let mut features = input;
        match run.block {
            Block::Plain => {
                let shape = convolution(outputs, kernel, stride);
                features = normalised(network, "", features, shape);
                features = active(network, "", features);
            }
            Block::Fused => {
                let shape = convolution(expanded, kernel, stride);
                features = normalised(network, ".expand", features, shape);
                features = active(network, ".expand", features);
            }
            Block::Inverted => {
                if expanded != channels {
                    let shape = Convolution::pointwise(expanded);
                    features = normalised(network, ".expand", features, shape);
                    features = active(network, ".expand", features);
                }
                let shape = Convolution {
                    groups: expanded,
                    ..convolution(expanded, kernel, stride)
                };
                features = normalised(network, ".depthwise", features, shape);
                features = active(network, ".depthwise", features);
            }
        }
        if let Some(squeeze) = run.squeeze {
            let gates = Gates {
                reduced: match squeeze.to {
                    Reduction::QuarterOfInput => channels / 4,
                    Reduction::QuarterOfExpanded => scaled_channels(expanded, 0.25),
                },
                activation: squeeze.activation,
                gate: squeeze.gate,
            };
            features = gated(network, name, features, gates);
        }
        if run.block != Block::Plain {
            let shape = Convolution::pointwise(outputs);
            features = normalised(network, ".project", features, shape);
        }
        if stride == 1 && channels == outputs {
            features = network.push(format!("{name}.add"), Operation::Add, &[features, input]);
        }
        features
    }

    fn convolved(
        &self,
        network: &mut Network,
        name: &str,
        input: usize,
        shape: Convolution,
    ) -> usize {
        let features = self.conventions.normalised(network, name, input, shape);
        activated(network, name, features, self.activation)
    }
}
