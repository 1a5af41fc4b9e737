//! A network as a typed list of layers in the order of execution.

use serde::{Deserialize, Serialize};

/// The shape of one layer's output for one photo, without the batch dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A feature map, laid out channels x height x width.
    Map {
        /// Channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// A vector of features, or one value per label.
    Vector(usize),
    /// A matrix that does not depend on the photo, such as one row of features per label.
    Matrix {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
}

impl Shape {
    /// Number of elements.
    pub fn elements(self) -> usize {
        match self {
            Shape::Map {
                channels,
                height,
                width,
            } => channels * height * width,
            Shape::Vector(length) => length,
            Shape::Matrix { rows, columns } => rows * columns,
        }
    }

    /// Channels of a feature map, length of a vector, columns of a matrix.
    pub fn channels(self) -> usize {
        match self {
            Shape::Map { channels, .. } => channels,
            Shape::Vector(length) => length,
            Shape::Matrix { columns, .. } => columns,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shape::Map {
                channels,
                height,
                width,
            } => write!(f, "{channels}x{height}x{width}"),
            Shape::Vector(length) => write!(f, "{length}"),
            Shape::Matrix { rows, columns } => write!(f, "{rows}x{columns}"),
        }
    }
}

/// An elementwise function.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
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

/// What a layer computes. The parameters that an operation owns are listed by [`Network::parameters`].
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
    /// The sum of two feature maps of one shape.
    Add,
    /// The mean of each channel of a feature map.
    GlobalAveragePool,
    /// In training, zeroes each feature with probability `rate` and scales the rest by 1 / (1 - rate).
    Dropout {
        /// Probability of zeroing.
        rate: f32,
    },
    /// x W + b, with W of inputs x outputs.
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
}

/// One tensor of numbers that an operation owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `<layer>.<role>`.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Whether gradients change it; batch-norm statistics, embeddings and adjacency are not.
    pub trainable: bool,
}

/// One layer of a [`Network`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Dotted name, unique in the network; names of weights begin with it.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// The layers it reads, as indices into the network.
    pub inputs: Vec<usize>,
    /// Shape of its output.
    pub output: Shape,
}

/// Layers in order of execution: the first is the image, the last is the output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The layers; each reads only earlier ones.
    pub layers: Vec<Layer>,
}

impl Network {
    /// A network of nothing but its image of `height` x `width` pixels in three channels.
    pub fn with_image(height: usize, width: usize) -> Self {
        Network {
            layers: vec![Layer {
                name: "image".into(),
                operation: Operation::Image,
                inputs: vec![],
                output: Shape::Map {
                    channels: 3,
                    height,
                    width,
                },
            }],
        }
    }

    /// Appends a layer and returns its index. The output's shape follows from the operation.
    ///
    /// # Panics
    /// When an input's shape does not suit the operation: a mistake in an architecture.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        operation: Operation,
        inputs: &[usize],
    ) -> usize {
        let shapes: Vec<Shape> = inputs.iter().map(|&i| self.layers[i].output).collect();
        let name = name.into();
        let output = output_shape(&operation, &shapes)
            .unwrap_or_else(|| panic!("layer {name}: {operation:?} can't read {shapes:?}"));
        self.layers.push(Layer {
            name,
            operation,
            inputs: inputs.to_vec(),
            output,
        });
        self.layers.len() - 1
    }

    /// Index of the last layer, which is the output.
    pub fn output(&self) -> usize {
        self.layers.len() - 1
    }

    /// The shapes of the inputs of layer `index`.
    pub fn input_shapes(&self, index: usize) -> Vec<Shape> {
        let inputs = &self.layers[index].inputs;
        inputs.iter().map(|&i| self.layers[i].output).collect()
    }

    /// The layer called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.name == name)
    }

    /// The parameters of layer `index`, in a fixed order.
    pub fn parameters(&self, index: usize) -> Vec<Parameter> {
        let layer = &self.layers[index];
        let inputs = self.input_shapes(index);
        let parameter = |role: &str, shape: &[usize], trainable| Parameter {
            name: format!("{}.{role}", layer.name),
            shape: shape.to_vec(),
            trainable,
        };
        let channels = layer.output.channels();
        match layer.operation {
            Operation::Convolution(convolution) => {
                let per_group = inputs[0].channels() / convolution.groups;
                let kernel = convolution.kernel;
                let mut parameters = vec![parameter(
                    "weight",
                    &[channels, per_group, kernel, kernel],
                    true,
                )];
                if convolution.bias {
                    parameters.push(parameter("bias", &[channels], true));
                }
                parameters
            }
            Operation::BatchNorm { .. } => vec![
                parameter("weight", &[channels], true),
                parameter("bias", &[channels], true),
                parameter("running_mean", &[channels], false),
                parameter("running_variance", &[channels], false),
            ],
            Operation::Linear { outputs } => vec![
                parameter("weight", &[inputs[0].channels(), outputs], true),
                parameter("bias", &[outputs], true),
            ],
            Operation::LabelEmbeddings { labels, dimensions } => {
                vec![parameter("embeddings", &[labels, dimensions], false)]
            }
            Operation::GraphConvolution { outputs } => {
                let Shape::Matrix { rows, columns } = inputs[0] else {
                    return vec![];
                };
                vec![
                    parameter("weight", &[columns, outputs], true),
                    parameter("adjacency", &[rows, rows], false),
                ]
            }
            Operation::GraphAttention { outputs, .. } => {
                let Shape::Matrix { rows, columns } = inputs[0] else {
                    return vec![];
                };
                vec![
                    parameter("weight", &[columns, outputs], true),
                    parameter("attention", &[2, outputs], true),
                    parameter("adjacency", &[rows, rows], false),
                ]
            }
            Operation::ConstantScale => vec![parameter("scale", &[channels], true)],
            Operation::AngularClassifier { labels, .. } => {
                vec![parameter("proxies", &[inputs[0].channels(), labels], true)]
            }
            Operation::Image
            | Operation::Activation(_)
            | Operation::Add
            | Operation::GlobalAveragePool
            | Operation::Dropout { .. }
            | Operation::LabelMaximum
            | Operation::ScaleChannels => vec![],
        }
    }

    /// All parameters of all layers.
    pub fn all_parameters(&self) -> Vec<Parameter> {
        (0..self.layers.len())
            .flat_map(|index| self.parameters(index))
            .collect()
    }
}

fn output_shape(operation: &Operation, inputs: &[Shape]) -> Option<Shape> {
    use Shape::{Map, Matrix, Vector};
    match (*operation, inputs) {
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
            let [top, left, bottom, right] = c.padding;
            let divides = channels % c.groups == 0 && c.outputs % c.groups == 0;
            let fits = height + top + bottom >= c.kernel && width + left + right >= c.kernel;
            (divides && fits).then(|| Map {
                channels: c.outputs,
                height: (height + top + bottom - c.kernel) / c.stride + 1,
                width: (width + left + right - c.kernel) / c.stride + 1,
            })
        }
        (Operation::BatchNorm { .. }, &[map @ Map { .. }]) => Some(map),
        (Operation::Activation(_), &[any]) => Some(any),
        (Operation::Add, &[a @ Map { .. }, b]) if a == b => Some(a),
        (Operation::GlobalAveragePool, &[Map { channels, .. }]) => Some(Vector(channels)),
        (Operation::Dropout { .. } | Operation::ConstantScale, &[vector @ Vector(_)]) => {
            Some(vector)
        }
        (Operation::Linear { outputs }, &[Vector(_)]) => Some(Vector(outputs)),
        (Operation::LabelEmbeddings { labels, dimensions }, &[]) => Some(Matrix {
            rows: labels,
            columns: dimensions,
        }),
        (
            Operation::GraphConvolution { outputs } | Operation::GraphAttention { outputs, .. },
            &[Matrix { rows, .. }],
        ) => Some(Matrix {
            rows,
            columns: outputs,
        }),
        (Operation::LabelMaximum, &[Matrix { columns, .. }]) => Some(Vector(columns)),
        (Operation::ScaleChannels, &[features @ Vector(_), weights]) if features == weights => {
            Some(features)
        }
        (Operation::AngularClassifier { labels, .. }, &[Vector(_)]) => Some(Vector(labels)),
        _ => None,
    }
}
