//! What backbones are made of: normalised convolutions, activations and gates.

use crate::network::Network;
use crate::operation::{Activation, Convolution, Operation};
use crate::shape::Shape;

/// How a convolution's input is padded, so that the output's size is the input's over the stride, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// TensorFlow's `SAME`: an odd pixel goes to the bottom and the right.
    Same,
    /// PyTorch's: as much on either side.
    Symmetric,
}

/// The conventions of a family of networks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conventions {
    pub padding: Padding,
    /// Epsilon of every batch norm.
    pub epsilon: f32,
}

impl Conventions {
    /// Appends `NAME.convolution`, which `shape` describes but for its padding, and `NAME.batch_norm`.
    pub fn normalised(
        self,
        network: &mut Network,
        name: &str,
        input: usize,
        shape: Convolution,
    ) -> usize {
        let padding = self.padding(network.layers[input].output, &shape);
        let convolution = Operation::Convolution(Convolution { padding, ..shape });
        let features = network.push(format!("{name}.convolution"), convolution, &[input]);
        let epsilon = self.epsilon;
        network.push(
            format!("{name}.batch_norm"),
            Operation::BatchNorm { epsilon },
            &[features],
        )
    }

    fn padding(self, input: Shape, convolution: &Convolution) -> [usize; 4] {
        let Convolution { kernel, stride, .. } = *convolution;
        if self.padding == Padding::Symmetric {
            return [(kernel - 1) / 2; 4];
        }
        let Shape::Map { height, width, .. } = input else {
            return [0; 4];
        };
        let total =
            |size: usize| ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
        let (rows, columns) = (total(height), total(width));
        [
            rows / 2,
            columns / 2,
            rows - rows / 2,
            columns - columns / 2,
        ]
    }
}

/// A convolution without padding and bias, of one group.
pub(super) fn convolution(outputs: usize, kernel: usize, stride: usize) -> Convolution {
    Convolution {
        kernel,
        stride,
        ..Convolution::pointwise(outputs)
    }
}

/// Appends `NAME.FUNCTION`.
pub(super) fn activated(
    network: &mut Network,
    name: &str,
    input: usize,
    activation: Activation,
) -> usize {
    network.push(
        format!("{name}.{}", activation.name()),
        Operation::Activation(activation),
        &[input],
    )
}

/// A gate per channel from the means of all channels ("squeeze and excitation", Hu et al. 2018).
#[derive(Clone, Copy, Debug)]
pub(super) struct Gates {
    /// Channels between the two convolutions.
    pub reduced: usize,
    /// After the first of them.
    pub activation: Activation,
    /// After the second.
    pub gate: Activation,
}

/// Appends `NAME.squeeze`, the layers that make gates of it, and `NAME.gate`, the gated `input`.
pub(super) fn gated(network: &mut Network, name: &str, input: usize, gates: Gates) -> usize {
    let channels = network.layers[input].output.channels();
    let squeeze = format!("{name}.squeeze");
    let mut gate = network.push(&squeeze, Operation::Squeeze, &[input]);
    for (step, outputs, activation) in [
        ("reduce", gates.reduced, gates.activation),
        ("expand", channels, gates.gate),
    ] {
        let shape = Convolution {
            bias: true,
            ..Convolution::pointwise(outputs)
        };
        let name = format!("{squeeze}.{step}");
        gate = network.push(&name, Operation::Convolution(shape), &[gate]);
        gate = activated(network, &name, gate, activation);
    }
    network.push(format!("{name}.gate"), Operation::Gate, &[input, gate])
}

/// Channels times the multiplier, rounded to a multiple of 8 and never more than 10 % down.
pub(super) fn scaled_channels(channels: usize, multiplier: f32) -> usize {
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
