//! MobileNetV3 (Howard et al. 2019) with PyTorch's padding and epsilon: `mobilenetv3_large_100` and
//! `mobilenetv3_small_100` of timm.

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::operation::{Activation, Operation};

use super::inverted_residual::{Block, InvertedResiduals, Numbering, Reduction, Run, Squeeze};
use super::parts::{Conventions, Padding, activated, scaled_channels};

/// The published MobileNetV3s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MobileNetV3 {
    /// MobileNetV3-Large.
    Large,
    /// MobileNetV3-Small.
    Small,
}

const STEM_CHANNELS: usize = 16;
const RELU: Activation = Activation::Relu;
const HARD_SWISH: Activation = Activation::HardSwish;
const GATED: Option<Squeeze> = Some(Squeeze {
    to: Reduction::QuarterOfExpanded,
    activation: RELU,
    gate: Activation::HardSigmoid,
});

const fn run(
    repeats: usize,
    kernel: usize,
    stride: usize,
    expansion: f32,
    channels: usize,
    activation: Activation,
    squeeze: Option<Squeeze>,
) -> Run {
    Run {
        block: Block::Inverted,
        repeats,
        kernel,
        stride,
        expansion,
        channels,
        activation,
        squeeze,
    }
}

const LARGE: [&[Run]; 6] = [
    &[run(1, 3, 1, 1.0, 16, RELU, None)],
    &[
        run(1, 3, 2, 4.0, 24, RELU, None),
        run(1, 3, 1, 3.0, 24, RELU, None),
    ],
    &[run(3, 5, 2, 3.0, 40, RELU, GATED)],
    &[
        run(1, 3, 2, 6.0, 80, HARD_SWISH, None),
        run(1, 3, 1, 2.5, 80, HARD_SWISH, None),
        run(2, 3, 1, 2.3, 80, HARD_SWISH, None),
    ],
    &[run(2, 3, 1, 6.0, 112, HARD_SWISH, GATED)],
    &[run(3, 5, 2, 6.0, 160, HARD_SWISH, GATED)],
];

const SMALL: [&[Run]; 5] = [
    &[run(1, 3, 2, 1.0, 16, RELU, GATED)],
    &[
        run(1, 3, 2, 4.5, 24, RELU, None),
        run(1, 3, 1, 3.67, 24, RELU, None),
    ],
    &[
        run(1, 5, 2, 4.0, 40, HARD_SWISH, GATED),
        run(2, 5, 1, 6.0, 40, HARD_SWISH, GATED),
    ],
    &[run(2, 5, 1, 3.0, 48, HARD_SWISH, GATED)],
    &[run(3, 5, 2, 6.0, 96, HARD_SWISH, GATED)],
];

/// The backbone with all channels times `width`.
pub(super) fn backbone(variant: MobileNetV3, width: f32) -> InvertedResiduals {
    let (stages, last): (&[&[Run]], _) = match variant {
        MobileNetV3::Large => (&LARGE, 960),
        MobileNetV3::Small => (&SMALL, 576),
    };
    let scaled = |run: &Run| Run {
        channels: scaled_channels(run.channels, width),
        ..*run
    };
    InvertedResiduals {
        conventions: Conventions {
            padding: Padding::Symmetric,
            epsilon: 1e-5,
        },
        activation: HARD_SWISH,
        stem: scaled_channels(STEM_CHANNELS, width),
        stages: stages
            .iter()
            .map(|runs| runs.iter().map(scaled).collect())
            .collect(),
        last: scaled_channels(last, width),
        numbering: Numbering::ByStage,
    }
}

/// Appends the layer that widens the pooled features before a classifier; `width` does not change it.
pub(super) fn push_neck(network: &mut Network, variant: MobileNetV3, pooled: usize) -> usize {
    let outputs = match variant {
        MobileNetV3::Large => 1280,
        MobileNetV3::Small => 1024,
    };
    let features = network.push("neck", Operation::Linear { outputs }, &[pooled]);
    activated(network, "neck", features, HARD_SWISH)
}
