//! TResNet-L (Ridnik et al. 2021) as its authors trained it on ImageNet-21k and as the paper uses it,
//! `tresnet_v2_l` of timm: a residual network with a space-to-depth stem, blurred downsampling and gates.

use crate::network::Network;
use crate::operation::{Activation, Convolution, Operation};

use super::parts::{Conventions, Gates, Padding, activated, convolution, gated};

/// Pixels that the stem takes into channels, in either direction.
const STEM_BLOCK: usize = 4;
/// Channels of the stem.
const CHANNELS: f32 = 64.0;
/// Blocks of the stages.
const BLOCKS: [usize; 4] = [3, 4, 23, 3];
/// A block's outputs over its inner channels.
const EXPANSION: usize = 4;
/// The fewest channels that means are reduced to.
const FEWEST_REDUCED: usize = 64;

const CONVENTIONS: Conventions = Conventions {
    padding: Padding::Symmetric,
    epsilon: 1e-5,
};
const LEAKY_RELU: Activation = Activation::LeakyRelu { slope: 1e-3 };
const STEM_LEAKY_RELU: Activation = Activation::LeakyRelu { slope: 1e-2 };

/// Appends the backbone, all channels times `width`, to a network that ends with its image; returns the index
/// of the last feature map.
pub(super) fn push(network: &mut Network, width: f32) -> usize {
    let channels = ((CHANNELS * width) as usize / 8 * 8).max(8);
    // A 3x3 convolution of the image whose blocks of 4x4 pixels became channels is one of 12x12 of the image.
    let stem = Convolution {
        outputs: channels,
        kernel: 3 * STEM_BLOCK,
        stride: STEM_BLOCK,
        padding: [STEM_BLOCK; 4],
        groups: 1,
        bias: false,
    };
    let image = network.output();
    let mut features = network.push("stem.convolution", Operation::Convolution(stem), &[image]);
    features = network.push(
        "stem.batch_norm",
        Operation::BatchNorm {
            epsilon: CONVENTIONS.epsilon,
        },
        &[features],
    );
    features = activated(network, "stem", features, STEM_LEAKY_RELU);
    for (stage, blocks) in BLOCKS.into_iter().enumerate() {
        for block in 0..blocks {
            let block = Block {
                name: format!("stages.{stage}.{block}"),
                channels: channels << stage,
                stride: if block == 0 && stage > 0 { 2 } else { 1 },
                is_gated: stage + 1 < BLOCKS.len(),
            };
            features = block.push(network, features);
        }
    }
    features
}

/// A bottleneck.
struct Block {
    name: String,
    /// Inner channels.
    channels: usize,
    stride: usize,
    is_gated: bool,
}

impl Block {
    fn push(&self, network: &mut Network, input: usize) -> usize {
        let name = &self.name;
        let mut features = self.convolved(network, "reduce", input, 1);
        features = self.convolved(network, "spatial", features, 3);
        if self.stride != 1 {
            features = network.push(format!("{name}.blur"), Operation::Blur, &[features]);
        }
        if self.is_gated {
            let gates = Gates {
                reduced: (self.channels * EXPANSION / 8).max(FEWEST_REDUCED),
                activation: Activation::Relu,
                gate: Activation::Sigmoid,
            };
            features = gated(network, name, features, gates);
        }
        features = self.projected(network, "expand", features);
        let shortcut = self.shortcut(network, input);
        let sum = [features, shortcut];
        let sum = network.push(format!("{name}.add"), Operation::Add, &sum);
        activated(network, name, sum, Activation::Relu)
    }

    fn convolved(&self, network: &mut Network, part: &str, input: usize, kernel: usize) -> usize {
        let name = format!("{}.{part}", self.name);
        let shape = convolution(self.channels, kernel, 1);
        let features = CONVENTIONS.normalised(network, &name, input, shape);
        activated(network, &name, features, LEAKY_RELU)
    }

    fn projected(&self, network: &mut Network, part: &str, input: usize) -> usize {
        let name = format!("{}.{part}", self.name);
        let shape = Convolution::pointwise(self.channels * EXPANSION);
        CONVENTIONS.normalised(network, &name, input, shape)
    }

    /// The input in the shape of the output.
    fn shortcut(&self, network: &mut Network, input: usize) -> usize {
        let channels = network.layers[input].output.channels();
        if self.stride == 1 && channels == self.channels * EXPANSION {
            return input;
        }
        let mut features = input;
        if self.stride != 1 {
            let pool = Operation::AveragePool { side: self.stride };
            features = network.push(format!("{}.shortcut.pool", self.name), pool, &[features]);
        }
        self.projected(network, "shortcut", features)
    }
}
