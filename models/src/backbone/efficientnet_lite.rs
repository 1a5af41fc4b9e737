//! EfficientNet-Lite0 to Lite4, as in the TensorFlow TPU repository
//! (`models/official/efficientnet/lite/efficientnet_lite_builder.py`).

use crate::operation::Activation;

use super::inverted_residual::{Block, InvertedResiduals, Numbering, Run};
use super::parts::{Conventions, Padding, scaled_channels};

/// Channels of the stem and of the last convolution, which the variants' multipliers do not change.
const STEM_CHANNELS: usize = 32;
const LAST_CHANNELS: usize = 1280;

/// A stage before the multipliers.
const fn stage(
    repeats: usize,
    kernel: usize,
    stride: usize,
    expansion: f32,
    channels: usize,
) -> Run {
    Run {
        block: Block::Inverted,
        repeats,
        kernel,
        stride,
        expansion,
        channels,
        activation: Activation::Relu6,
        squeeze: None,
    }
}

const STAGES: [Run; 7] = [
    stage(1, 3, 1, 1.0, 16),
    stage(2, 3, 2, 6.0, 24),
    stage(2, 5, 2, 6.0, 40),
    stage(3, 3, 2, 6.0, 80),
    stage(3, 5, 1, 6.0, 112),
    stage(4, 5, 2, 6.0, 192),
    stage(1, 3, 1, 6.0, 320),
];

/// Multipliers of width and depth of Lite0 to Lite4.
const MULTIPLIERS: [(f32, f32); 5] = [(1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8)];

/// The backbone of variant 0 to 4. A further multiplier of the width narrows or widens the stem and the last
/// convolution too, or they would dominate a narrow network.
pub(super) fn backbone(variant: u8, width: f32) -> InvertedResiduals {
    let (variant_width, depth) = MULTIPLIERS[usize::from(variant)];
    let mut stages = STAGES.to_vec();
    let last = stages.len() - 1;
    for (position, stage) in stages.iter_mut().enumerate() {
        if position != 0 && position != last {
            stage.repeats = (depth * stage.repeats as f32).ceil() as usize;
        }
        stage.channels = scaled_channels(stage.channels, variant_width * width);
    }
    InvertedResiduals {
        conventions: Conventions {
            padding: Padding::Same,
            epsilon: 1e-3,
        },
        activation: Activation::Relu6,
        stem: scaled_channels(STEM_CHANNELS, width),
        stages: stages.into_iter().map(|stage| vec![stage]).collect(),
        last: scaled_channels(LAST_CHANNELS, width),
        numbering: Numbering::Consecutive,
    }
}
