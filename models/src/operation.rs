//! What layers compute, and the shapes and parameters that follow.

use serde::{Deserialize, Serialize};

use crate::shape::Shape;

/// An elementwise function.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x where x > 0, else `slope` times x.
    LeakyRelu {
        /// Slope of the negative side.
        slope: f32,
    },
    /// x where x > 0, else exp(x) - 1.
    Elu,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// x / (1 + exp(-x)), also called swish.
    Silu,
    /// min(max(x + 3, 0), 6) / 6.
    HardSigmoid,
    /// x times its hard sigmoid.
    HardSwish,
}

impl Activation {
    /// What layers of this function are called.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu { .. } => "leaky_relu",
            Activation::Elu => "elu",
            Activation::Sigmoid => "sigmoid",
            Activation::Silu => "silu",
            Activation::HardSigmoid => "hard_sigmoid",
            Activation::HardSwish => "hard_swish",
        }
    }

    /// The function's value.
    pub fn apply(self, x: f32) -> f32 {
        let sigmoid = || 1.0 / (1.0 + (-x).exp());
        let hard_sigmoid = || (x + 3.0).clamp(0.0, 6.0) / 6.0;
        match self {
            Activation::Relu => x.max(0.0),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::LeakyRelu { slope } if x < 0.0 => slope * x,
            Activation::Elu if x < 0.0 => x.exp_m1(),
            Activation::LeakyRelu { .. } | Activation::Elu => x,
            Activation::Sigmoid => sigmoid(),
            Activation::Silu => x * sigmoid(),
            Activation::HardSigmoid => hard_sigmoid(),
            Activation::HardSwish => x * hard_sigmoid(),
        }
    }
}

/// A two-dimensional convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Convolution {
    /// Output channels.
    pub outputs: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Zero padding: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Groups; equal to the input channels for a depthwise convolution.
    pub groups: usize,
    /// Whether a bias is added per output channel.
    pub bias: bool,
}

impl Convolution {
    /// A convolution of single pixels, without a bias.
    pub fn pointwise(outputs: usize) -> Self {
        Convolution {
            outputs,
            kernel: 1,
            stride: 1,
            padding: [0; 4],
            groups: 1,
            bias: false,
        }
    }

    /// The output's rows and columns, where the kernel fits into the padded input.
    fn output_size(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        let [top, left, bottom, right] = self.padding;
        let size = |padded: usize| Some(padded.checked_sub(self.kernel)? / self.stride + 1);
        Some((size(height + top + bottom)?, size(width + left + right)?))
    }
}

/// What a layer computes. Parameters are named by their roles; [`crate::Network::parameters`] lists them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The preprocessed photo.
    Image,
    /// A two-dimensional convolution of a feature map.
    Convolution(Convolution),
    /// (x - mean) / sqrt(variance + epsilon) * weight + bias, per channel.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// An elementwise function.
    Activation(Activation),
    /// The sum of two feature maps or matrices of one shape.
    Add,
    /// The mean of each channel of a feature map.
    GlobalAveragePool,
    /// The mean of each channel of a feature map, as a map of one pixel.
    Squeeze,
    /// Input 0, a feature map, times input 1, a map of one pixel, channel by channel.
    Gate,
    /// The mean of each square of `side` x `side` pixels; the map's sides are multiples of it.
    AveragePool {
        /// Rows and columns of a square.
        side: usize,
    },
    /// Every second row and column of the map smoothed by (1 2 1)/4 in both directions, the edges
    /// mirrored (Zhang 2019).
    Blur,
    /// In training, zeroes each feature with probability `rate` and scales the rest by 1 / (1 - rate).
    Dropout {
        /// Probability of zeroing.
        rate: f32,
    },
    /// x W + b, with W of inputs x outputs, of a vector or of each row of a matrix.
    Linear {
        /// Output features.
        outputs: usize,
    },
    /// The embeddings of the labels, one row a label: a constant, not trained.
    LabelEmbeddings {
        /// Number of labels.
        labels: usize,
        /// Length of one embedding.
        dimensions: usize,
    },
    /// A' X W, with A' the normalised adjacency of the labels (a constant, see [`crate::adjacency()`]).
    GraphConvolution {
        /// Output features per label.
        outputs: usize,
    },
    /// Single-head graph attention: H = X W, e_ij = LeakyReLU(a1.H_i + a2.H_j), masked where the
    /// adjacency is not positive, softmax over j, dropout, times H, ELU.
    GraphAttention {
        /// Output features per label.
        outputs: usize,
        /// Slope of the LeakyReLU of the coefficients.
        slope: f32,
        /// Dropout of the attention coefficients in training.
        dropout: f32,
    },
    /// The maximum over the labels (rows) of a matrix.
    LabelMaximum,
    /// Input 0 times input 1, channel by channel; input 1 is a vector that does not depend on the photo.
    ScaleChannels,
    /// The input times a constant per channel: what a graph branch folds into.
    ConstantScale,
    /// Logits `scale` * cos(x, W_k) for the labels' proxies W_k, the columns of W; both L2-normalised.
    AngularClassifier {
        /// Number of labels.
        labels: usize,
        /// The paper's s.
        scale: f32,
    },
    /// What ML-Decoder asks the feature map for, one row a query: a constant, not trained.
    Queries {
        /// Number of queries.
        queries: usize,
        /// Length of one query.
        dimensions: usize,
    },
    /// Each row of a matrix brought to mean 0 and variance 1, times weight plus bias.
    LayerNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// softmax(q k / sqrt(d)) v over the pixels, in each of `heads` equal parts of the channels; d is the
    /// length of a part. Input 0 is a matrix, a row per query; inputs 1 and 2 are the feature maps of keys and
    /// values.
    CrossAttention {
        /// Number of parts.
        heads: usize,
        /// Dropout of the softmax in training.
        dropout: f32,
    },
    /// Logits x_q W_q + b: each of Q rows gives those of its own ceil(K / Q) labels (Ridnik et al. 2021).
    GroupLinear {
        /// Number of labels, K.
        labels: usize,
    },
    /// Logits `scale` * cos(x_q, W_k): each of Q rows gives those of its own ceil(K / Q) labels.
    GroupAngularClassifier {
        /// Number of labels, K.
        labels: usize,
        /// The paper's s.
        scale: f32,
    },
    /// A matrix that depends on nothing: what layers before the photo comes in fold into.
    Constant {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
}

impl Operation {
    /// The name of the kind of operation, such as `convolution`.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Image => "image",
            Operation::Convolution(_) => "convolution",
            Operation::BatchNorm { .. } => "batch-norm",
            Operation::Activation(_) => "activation",
            Operation::Add => "add",
            Operation::GlobalAveragePool => "global-average-pool",
            Operation::Squeeze => "squeeze",
            Operation::Gate => "gate",
            Operation::AveragePool { .. } => "average-pool",
            Operation::Blur => "blur",
            Operation::Dropout { .. } => "dropout",
            Operation::Linear { .. } => "linear",
            Operation::LabelEmbeddings { .. } => "label-embeddings",
            Operation::GraphConvolution { .. } => "graph-convolution",
            Operation::GraphAttention { .. } => "graph-attention",
            Operation::LabelMaximum => "label-maximum",
            Operation::ScaleChannels => "scale-channels",
            Operation::ConstantScale => "constant-scale",
            Operation::AngularClassifier { .. } => "angular-classifier",
            Operation::Queries { .. } => "queries",
            Operation::LayerNorm { .. } => "layer-norm",
            Operation::CrossAttention { .. } => "cross-attention",
            Operation::GroupLinear { .. } => "group-linear",
            Operation::GroupAngularClassifier { .. } => "group-angular-classifier",
            Operation::Constant { .. } => "constant",
        }
    }

    /// The shape of the output, or `None` where the operation can't read `inputs`.
    pub(crate) fn output(&self, inputs: &[Shape]) -> Option<Shape> {
        use Shape::{Map, Matrix, Vector};
        let matrix = |rows, columns| Some(Matrix { rows, columns });
        match (*self, inputs) {
            (
                Operation::Convolution(c),
                &[
                    Map {
                        channels,
                        height,
                        width,
                    },
                ],
            ) => {
                let divides = channels % c.groups == 0 && c.outputs % c.groups == 0;
                let (height, width) = c.output_size(height, width).filter(|_| divides)?;
                Some(Map {
                    channels: c.outputs,
                    height,
                    width,
                })
            }
            (Operation::BatchNorm { .. }, &[map @ Map { .. }]) => Some(map),
            (Operation::Activation(_), &[any]) => Some(any),
            (Operation::Add, &[a @ (Map { .. } | Matrix { .. }), b]) if a == b => Some(a),
            (Operation::GlobalAveragePool, &[Map { channels, .. }]) => Some(Vector(channels)),
            (Operation::Squeeze, &[Map { channels, .. }]) => Some(Map {
                channels,
                height: 1,
                width: 1,
            }),
            (
                Operation::Gate,
                &[
                    map @ Map { channels, .. },
                    Map {
                        channels: gates,
                        height: 1,
                        width: 1,
                    },
                ],
            ) if channels == gates => Some(map),
            (
                Operation::AveragePool { side },
                &[
                    Map {
                        channels,
                        height,
                        width,
                    },
                ],
            ) if height % side == 0 && width % side == 0 => Some(Map {
                channels,
                height: height / side,
                width: width / side,
            }),
            (
                Operation::Blur,
                &[
                    Map {
                        channels,
                        height: height @ 2..,
                        width: width @ 2..,
                    },
                ],
            ) => Some(Map {
                channels,
                height: height.div_ceil(2),
                width: width.div_ceil(2),
            }),
            (Operation::Dropout { .. }, &[any @ (Vector(_) | Matrix { .. })]) => Some(any),
            (Operation::ConstantScale, &[vector @ Vector(_)]) => Some(vector),
            (Operation::Linear { outputs }, &[Vector(_)]) => Some(Vector(outputs)),
            (Operation::LabelEmbeddings { labels, dimensions }, &[]) => matrix(labels, dimensions),
            (
                Operation::Linear { outputs }
                | Operation::GraphConvolution { outputs }
                | Operation::GraphAttention { outputs, .. },
                &[Matrix { rows, .. }],
            ) => matrix(rows, outputs),
            (Operation::LabelMaximum, &[Matrix { columns, .. }]) => Some(Vector(columns)),
            (Operation::ScaleChannels, &[features @ Vector(_), weights]) if features == weights => {
                Some(features)
            }
            (Operation::AngularClassifier { labels, .. }, &[Vector(_)]) => Some(Vector(labels)),
            (
                Operation::Queries {
                    queries,
                    dimensions,
                },
                &[],
            ) => matrix(queries, dimensions),
            (Operation::Constant { rows, columns }, &[]) => matrix(rows, columns),
            (Operation::LayerNorm { .. }, &[rows @ Matrix { .. }]) => Some(rows),
            (
                Operation::CrossAttention { heads, .. },
                &[
                    queries @ Matrix { columns, .. },
                    keys @ Map { channels, .. },
                    values,
                ],
            ) if columns == channels && keys == values && columns % heads == 0 => Some(queries),
            (
                Operation::GroupLinear { labels }
                | Operation::GroupAngularClassifier { labels, .. },
                &[Matrix { .. }],
            ) => Some(Vector(labels)),
            _ => None,
        }
    }

    /// The parameters by role, with their shapes and whether gradients change them; `output` is the
    /// output's shape.
    pub(crate) fn parameters(
        &self,
        inputs: &[Shape],
        output: Shape,
    ) -> Vec<(&'static str, Vec<usize>, bool)> {
        let channels = output.channels();
        // Rows and columns of the input, where it is a matrix.
        let (rows, columns) = match inputs.first() {
            Some(&Shape::Matrix { rows, columns }) => (rows, columns),
            _ => (1, inputs.first().map_or(0, |input| input.channels())),
        };
        match *self {
            Operation::Convolution(c) => {
                let weight = vec![channels, columns / c.groups, c.kernel, c.kernel];
                let mut parameters = vec![("weight", weight, true)];
                if c.bias {
                    parameters.push(("bias", vec![channels], true));
                }
                parameters
            }
            Operation::BatchNorm { .. } => vec![
                ("weight", vec![channels], true),
                ("bias", vec![channels], true),
                ("running_mean", vec![channels], false),
                ("running_variance", vec![channels], false),
            ],
            Operation::Linear { outputs } => vec![
                ("weight", vec![columns, outputs], true),
                ("bias", vec![outputs], true),
            ],
            Operation::LabelEmbeddings { labels, dimensions } => {
                vec![("embeddings", vec![labels, dimensions], false)]
            }
            Operation::GraphConvolution { outputs } => vec![
                ("weight", vec![columns, outputs], true),
                ("adjacency", vec![rows, rows], false),
            ],
            Operation::GraphAttention { outputs, .. } => vec![
                ("weight", vec![columns, outputs], true),
                ("attention", vec![2, outputs], true),
                ("adjacency", vec![rows, rows], false),
            ],
            Operation::ConstantScale => vec![("scale", vec![channels], true)],
            Operation::AngularClassifier { labels, .. } => {
                vec![("proxies", vec![columns, labels], true)]
            }
            Operation::Queries {
                queries,
                dimensions,
            } => vec![("queries", vec![queries, dimensions], false)],
            Operation::Constant { rows, columns } => vec![("value", vec![rows, columns], true)],
            Operation::LayerNorm { .. } => vec![
                ("weight", vec![columns], true),
                ("bias", vec![columns], true),
            ],
            Operation::GroupLinear { labels } => vec![
                ("weight", vec![rows, columns, labels.div_ceil(rows)], true),
                ("bias", vec![labels], true),
            ],
            Operation::GroupAngularClassifier { labels, .. } => {
                vec![("proxies", vec![rows, columns, labels.div_ceil(rows)], true)]
            }
            Operation::Image
            | Operation::Activation(_)
            | Operation::Add
            | Operation::GlobalAveragePool
            | Operation::Squeeze
            | Operation::Gate
            | Operation::AveragePool { .. }
            | Operation::Blur
            | Operation::Dropout { .. }
            | Operation::LabelMaximum
            | Operation::ScaleChannels
            | Operation::CrossAttention { .. } => vec![],
        }
    }
}
