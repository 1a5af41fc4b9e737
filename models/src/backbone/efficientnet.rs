//! EfficientNet-B0 (Tan and Le 2019) and EfficientNetV2 (Tan and Le 2021), with TensorFlow's padding and
//! epsilon: `tf_efficientnet_b0` and `tf_efficientnetv2_*` of timm.

use serde::{Deserialize, Serialize};

use crate::operation::Activation;

use super::inverted_residual::{Block, InvertedResiduals, Numbering, Reduction, Run, Squeeze};
use super::parts::{Conventions, Padding, scaled_channels};

/// The published EfficientNets that graphtag knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EfficientNet {
    /// EfficientNet-B0.
    B0,
    /// EfficientNetV2-B0.
    V2B0,
    /// EfficientNetV2-S.
    V2S,
    /// EfficientNetV2-L.
    V2L,
}

const SQUEEZE: Squeeze = Squeeze {
    to: Reduction::QuarterOfInput,
    activation: Activation::Silu,
    gate: Activation::Sigmoid,
};

const fn stage(
    block: Block,
    repeats: usize,
    kernel: usize,
    stride: usize,
    expansion: f32,
    channels: usize,
) -> Run {
    Run {
        block,
        repeats,
        kernel,
        stride,
        expansion,
        channels,
        activation: Activation::Silu,
        squeeze: match block {
            Block::Inverted => Some(SQUEEZE),
            Block::Plain | Block::Fused => None,
        },
    }
}

const B0: [Run; 7] = [
    stage(Block::Inverted, 1, 3, 1, 1.0, 16),
    stage(Block::Inverted, 2, 3, 2, 6.0, 24),
    stage(Block::Inverted, 2, 5, 2, 6.0, 40),
    stage(Block::Inverted, 3, 3, 2, 6.0, 80),
    stage(Block::Inverted, 3, 5, 1, 6.0, 112),
    stage(Block::Inverted, 4, 5, 2, 6.0, 192),
    stage(Block::Inverted, 1, 3, 1, 6.0, 320),
];

const V2_B0: [Run; 6] = [
    stage(Block::Plain, 1, 3, 1, 1.0, 16),
    stage(Block::Fused, 2, 3, 2, 4.0, 32),
    stage(Block::Fused, 2, 3, 2, 4.0, 48),
    stage(Block::Inverted, 3, 3, 2, 4.0, 96),
    stage(Block::Inverted, 5, 3, 1, 6.0, 112),
    stage(Block::Inverted, 8, 3, 2, 6.0, 192),
];

const V2_S: [Run; 6] = [
    stage(Block::Plain, 2, 3, 1, 1.0, 24),
    stage(Block::Fused, 4, 3, 2, 4.0, 48),
    stage(Block::Fused, 4, 3, 2, 4.0, 64),
    stage(Block::Inverted, 6, 3, 2, 4.0, 128),
    stage(Block::Inverted, 9, 3, 1, 6.0, 160),
    stage(Block::Inverted, 15, 3, 2, 6.0, 256),
];

const V2_L: [Run; 7] = [
    stage(Block::Plain, 4, 3, 1, 1.0, 32),
    stage(Block::Fused, 7, 3, 2, 4.0, 64),
    stage(Block::Fused, 7, 3, 2, 4.0, 96),
    stage(Block::Inverted, 10, 3, 2, 4.0, 192),
    stage(Block::Inverted, 19, 3, 1, 6.0, 224),
    stage(Block::Inverted, 25, 3, 2, 6.0, 384),
    stage(Block::Inverted, 7, 3, 1, 6.0, 640),
];

/// The backbone with all channels times `width`.
pub(super) fn backbone(variant: EfficientNet, width: f32) -> InvertedResiduals {
    let (stem, stages): (_, &[Run]) = match variant {
        EfficientNet::B0 => (32, &B0),
        EfficientNet::V2B0 => (32, &V2_B0),
        EfficientNet::V2S => (24, &V2_S),
        EfficientNet::V2L => (32, &V2_L),
    };
    let scaled = |run: &Run| {
        vec![Run {
            channels: scaled_channels(run.channels, width),
            ..*run
        }]
    };
    InvertedResiduals {
        conventions: Conventions {
            padding: Padding::Same,
            epsilon: 1e-3,
        },
        activation: Activation::Silu,
        stem: scaled_channels(stem, width),
        stages: stages.iter().map(scaled).collect(),
        last: scaled_channels(1280, width),
        numbering: Numbering::ByStage,
    }
}
