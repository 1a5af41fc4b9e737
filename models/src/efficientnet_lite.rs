//! EfficientNet-Lite0 to Lite4, as in the TensorFlow TPU repository
//! (`models/official/efficientnet/lite/efficientnet_lite_builder.py`).

use crate::network::{Activation, Convolution, Network, Operation, Shape};

/// Epsilon of every batch norm.
const BATCH_NORM_EPSILON: f32 = 1e-3;
/// Channels of the stem and of the last convolution, which the multipliers do not change.
const STEM_CHANNELS: usize = 32;
const LAST_CHANNELS: usize = 1280;

/// A stage of inverted residual blocks, before the multipliers.
struct Stage {
    repeats: usize,
    kernel: usize,
    stride: usize,
    expansion: usize,
    channels: usize,
}

const fn stage(
    repeats: usize,
    kernel: usize,
    stride: usize,
    expansion: usize,
    channels: usize,
) -> Stage {
    Stage {
        repeats,
        kernel,
        stride,
        expansion,
        channels,
    }
}

const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 1, 16),
    stage(2, 3, 2, 6, 24),
    stage(2, 5, 2, 6, 40),
    stage(3, 3, 2, 6, 80),
    stage(3, 5, 1, 6, 112),
    stage(4, 5, 2, 6, 192),
    stage(1, 3, 1, 6, 320),
];

/// Multipliers of width and depth of Lite0 to Lite4.
const MULTIPLIERS: [(f32, f32); 5] = [(1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8)];

/// Appends the backbone to a network that ends with its image; returns the index of the last feature
/// map.
pub(crate) fn push(network: &mut Network, variant: u8, width: f32) -> usize {
    let (variant_width, depth) = MULTIPLIERS[usize::from(variant)];
    // The published variants keep the stem and the last convolution; a further multiplier narrows or
    // widens these too, or they would dominate a narrow network.
    let fixed = |channels| scaled_channels(channels, width);
    let free = |channels| scaled_channels(channels, variant_width * width);

    let image = network.output();
    let mut features = normalised(
        network,
        "stem",
        image,
        Convolution {
            outputs: fixed(STEM_CHANNELS),
            kernel: 3,
            stride: 2,
            padding: [0; 4],
            groups: 1,
            bias: false,
        },
    );
    features = relu6(network, "stem", features);

    let mut block = 0;
    for (position, stage) in STAGES.iter().enumerate() {
        let is_end = position == 0 || position == STAGES.len() - 1;
        let repeats = if is_end {
            stage.repeats
        } else {
            (depth * stage.repeats as f32).ceil() as usize
        };
        for repeat in 0..repeats {
            let stride = if repeat == 0 { stage.stride } else { 1 };
            let name = format!("blocks.{block}");
            let outputs = free(stage.channels);
            features = push_block(network, &name, features, stage, stride, outputs);
            block += 1;
        }
    }

    features = normalised(network, "last", features, pointwise(fixed(LAST_CHANNELS)));
    relu6(network, "last", features)
}

/// An inverted residual block: expand, depthwise convolution, project, and the sum with the input
/// where shapes allow it.
fn push_block(
    network: &mut Network,
    name: &str,
    input: usize,
    stage: &Stage,
    stride: usize,
    outputs: usize,
) -> usize {
    let channels = network.layers[input].output.channels();
    let expanded = channels * stage.expansion;
    let mut features = input;
    if stage.expansion != 1 {
        let name = format!("{name}.expand");
        features = normalised(network, &name, features, pointwise(expanded));
        features = relu6(network, &name, features);
    }
    let depthwise = format!("{name}.depthwise");
    features = normalised(
        network,
        &depthwise,
        features,
        Convolution {
            outputs: expanded,
            kernel: stage.kernel,
            stride,
            padding: [0; 4],
            groups: expanded,
            bias: false,
        },
    );
    features = relu6(network, &depthwise, features);
    features = normalised(
        network,
        &format!("{name}.project"),
        features,
        pointwise(outputs),
    );
    if stride == 1 && channels == outputs {
        features = network.push(format!("{name}.add"), Operation::Add, &[features, input]);
    }
    features
}

fn pointwise(outputs: usize) -> Convolution {
    Convolution {
        outputs,
        kernel: 1,
        stride: 1,
        padding: [0; 4],
        groups: 1,
        bias: false,
    }
}

/// Appends `NAME.convolution`, padded so that its output is the input's size over the stride, rounded up,
/// and `NAME.batch_norm`.
fn normalised(
    network: &mut Network,
    name: &str,
    input: usize,
    mut convolution: Convolution,
) -> usize {
    if let Shape::Map { height, width, .. } = network.layers[input].output {
        convolution.padding = same_padding(height, width, &convolution);
    }
    let features = network.push(
        format!("{name}.convolution"),
        Operation::Convolution(convolution),
        &[input],
    );
    network.push(
        format!("{name}.batch_norm"),
        Operation::BatchNorm {
            epsilon: BATCH_NORM_EPSILON,
        },
        &[features],
    )
}

fn relu6(network: &mut Network, name: &str, input: usize) -> usize {
    network.push(
        format!("{name}.relu6"),
        Operation::Activation(Activation::Relu6),
        &[input],
    )
}

/// TensorFlow's `SAME`: an odd pixel goes to the bottom and the right.
fn same_padding(height: usize, width: usize, convolution: &Convolution) -> [usize; 4] {
    let total = |size: usize| {
        let outputs = size.div_ceil(convolution.stride);
        ((outputs - 1) * convolution.stride + convolution.kernel).saturating_sub(size)
    };
    let (rows, columns) = (total(height), total(width));
    [
        rows / 2,
        columns / 2,
        rows - rows / 2,
        columns - columns / 2,
    ]
}

/// Channels times the multiplier, rounded to a multiple of 8 and never more than 10 % down.
fn scaled_channels(channels: usize, multiplier: f32) -> usize {
    if multiplier == 1.0 {
        return channels;
    }
    let scaled = channels as f32 * multiplier;
    let rounded = ((scaled + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f32) < 0.9 * scaled {
        rounded + 8
    } else {
        rounded
    }
}
