//! The layers' definitions as plain loops in f64, in no need of being fast.

use graphtag_models::{
    Activation, Convolution, Network, Operation, QuantizationParameters, QuantizedConvolution,
    Shape, Weights,
};

/// An int8 tensor and what its integers stand for.
pub struct Stored {
    pub values: Vec<i8>,
    pub parameters: QuantizationParameters,
}

impl Stored {
    /// The real values.
    pub fn real(&self) -> Vec<f64> {
        let scale = f64::from(self.parameters.scale);
        self.centred().iter().map(|value| value * scale).collect()
    }

    fn centred(&self) -> Vec<f64> {
        let zero_point = f64::from(self.parameters.zero_point);
        self.values
            .iter()
            .map(|&value| f64::from(value) - zero_point)
            .collect()
    }
}

/// The outputs of all layers for one image \[3, height, width\]; matrices are row-major.
pub fn run(network: &Network, weights: &Weights, image: &[f32]) -> Vec<Vec<f64>> {
    let mut outputs: Vec<Vec<f64>> = vec![image.iter().map(|&value| value.into()).collect()];
    for (index, layer) in network.layers.iter().enumerate().skip(1) {
        let inputs: Vec<&[f64]> = layer.inputs.iter().map(|&i| &outputs[i][..]).collect();
        let output = self::layer(network, weights, index, &inputs);
        outputs.push(output);
    }
    outputs
}

/// The output of layer `index`, which is not the image.
pub fn layer(network: &Network, weights: &Weights, index: usize, inputs: &[&[f64]]) -> Vec<f64> {
    let layer = &network.layers[index];
    let shapes = network.input_shapes(index);
    let parameter = |role: &str| -> Vec<f64> {
        let tensor = weights.get(&format!("{}.{role}", layer.name)).unwrap();
        tensor.values.iter().map(|&value| value.into()).collect()
    };
    match layer.operation {
        Operation::Image => panic!("the image is given"),
        Operation::Convolution(shape) => {
            let bias = if shape.bias {
                parameter("bias")
            } else {
                vec![0.0; shape.outputs]
            };
            convolve(inputs[0], shapes[0], &parameter("weight"), &bias, &shape)
        }
        Operation::BatchNorm { epsilon } => {
            let (gamma, beta) = (parameter("weight"), parameter("bias"));
            let (mean, variance) = (parameter("running_mean"), parameter("running_variance"));
            by_channel(inputs[0], gamma.len(), |c, x| {
                (x - mean[c]) / (variance[c] + f64::from(epsilon)).sqrt() * gamma[c] + beta[c]
            })
        }
        Operation::Activation(activation) => {
            inputs[0].iter().map(|&x| activate(activation, x)).collect()
        }
        Operation::Add => inputs[0]
            .iter()
            .zip(inputs[1])
            .map(|(a, b)| a + b)
            .collect(),
        Operation::GlobalAveragePool => {
            let pixels = inputs[0].len() / shapes[0].channels();
            let channels = inputs[0].chunks(pixels);
            channels
                .map(|c| c.iter().sum::<f64>() / pixels as f64)
                .collect()
        }
        Operation::Dropout { .. } => inputs[0].to_vec(),
        Operation::Linear { outputs } => {
            let product = product(inputs[0], &parameter("weight"), outputs);
            product
                .iter()
                .zip(parameter("bias"))
                .map(|(x, b)| x + b)
                .collect()
        }
        Operation::LabelEmbeddings { .. } => parameter("embeddings"),
        Operation::GraphConvolution { outputs } => {
            let support = product(inputs[0], &parameter("weight"), outputs);
            product(&parameter("adjacency"), &support, outputs)
        }
        Operation::GraphAttention { outputs, slope, .. } => {
            let nodes = product(inputs[0], &parameter("weight"), outputs);
            let (attention, adjacency) = (parameter("attention"), parameter("adjacency"));
            attend(&nodes, &attention, &adjacency, outputs, slope.into())
        }
        Operation::LabelMaximum => (0..shapes[0].channels())
            .map(|column| {
                let column = inputs[0].iter().skip(column).step_by(shapes[0].channels());
                column.copied().fold(f64::NEG_INFINITY, f64::max)
            })
            .collect(),
        Operation::ScaleChannels => inputs[0]
            .iter()
            .zip(inputs[1])
            .map(|(x, w)| x * w)
            .collect(),
        Operation::ConstantScale => inputs[0]
            .iter()
            .zip(parameter("scale"))
            .map(|(x, w)| x * w)
            .collect(),
        Operation::AngularClassifier { labels, scale } => {
            let proxies = parameter("proxies");
            let norm = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
            (0..labels)
                .map(|label| {
                    let proxy: Vec<f64> = proxies
                        .iter()
                        .copied()
                        .skip(label)
                        .step_by(labels)
                        .collect();
                    let dot: f64 = inputs[0].iter().zip(&proxy).map(|(x, w)| x * w).sum();
                    f64::from(scale) * dot / norm(inputs[0]) / norm(&proxy)
                })
                .collect()
        }
        other => panic!("no example has {other:?}; graphtag-tools holds it against PyTorch"),
    }
}

/// The int8 outputs that the ONNX operators define for one layer from the int8 outputs of the layers
/// before it: `QLinearConv`, or the sum of `DequantizeLinear` through `QuantizeLinear`.
pub fn int8_layer(
    network: &Network,
    index: usize,
    convolution: Option<&QuantizedConvolution>,
    inputs: &[&Stored],
    output: QuantizationParameters,
) -> Vec<i8> {
    let real: Vec<f64> = match (network.layers[index].operation, convolution) {
        (Operation::Convolution(shape), Some(convolution)) => {
            let weights: Vec<f64> = convolution.values.iter().map(|&w| w.into()).collect();
            let bias: Vec<f64> = convolution.bias.iter().map(|&b| b.into()).collect();
            // Integers up to 2^31 are exact in f64.
            let input_shape = network.input_shapes(index)[0];
            let sums = convolve(&inputs[0].centred(), input_shape, &weights, &bias, &shape);
            let scale = f64::from(inputs[0].parameters.scale);
            by_channel(&sums, shape.outputs, |c, sum| {
                sum * scale * f64::from(convolution.scales[c])
            })
        }
        (Operation::Add, None) => {
            let (a, b) = (inputs[0].real(), inputs[1].real());
            a.iter().zip(b).map(|(a, b)| a + b).collect()
        }
        (operation, _) => panic!("{operation:?} is not an int8 operation"),
    };
    let quantize =
        |x: f64| (x / f64::from(output.scale)).round_ties_even() + f64::from(output.zero_point);
    // The cast saturates.
    real.into_iter().map(|x| quantize(x) as i8).collect()
}

fn convolve(
    input: &[f64],
    input_shape: Shape,
    weights: &[f64],
    bias: &[f64],
    shape: &Convolution,
) -> Vec<f64> {
    let Shape::Map {
        channels,
        height,
        width,
    } = input_shape
    else {
        panic!("a convolution of {input_shape}");
    };
    let [top, left, bottom, right] = shape.padding;
    let rows = (height + top + bottom - shape.kernel) / shape.stride + 1;
    let columns = (width + left + right - shape.kernel) / shape.stride + 1;
    let inputs_per_group = channels / shape.groups;
    let outputs_per_group = shape.outputs / shape.groups;
    let mut output = vec![];
    for (channel, &bias) in bias.iter().enumerate() {
        let group = channel / outputs_per_group;
        for row in 0..rows {
            for column in 0..columns {
                let mut sum = bias;
                for i in 0..inputs_per_group {
                    for y in 0..shape.kernel {
                        for x in 0..shape.kernel {
                            let (y_in, x_in) = (row * shape.stride + y, column * shape.stride + x);
                            if y_in < top
                                || x_in < left
                                || y_in >= top + height
                                || x_in >= left + width
                            {
                                continue;
                            }
                            let plane = group * inputs_per_group + i;
                            let pixel = (plane * height + y_in - top) * width + x_in - left;
                            let tap = ((channel * inputs_per_group + i) * shape.kernel + y)
                                * shape.kernel
                                + x;
                            sum += input[pixel] * weights[tap];
                        }
                    }
                }
                output.push(sum);
            }
        }
    }
    output
}

fn by_channel(map: &[f64], channels: usize, f: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    let pixels = map.len() / channels;
    map.iter()
        .enumerate()
        .map(|(i, &x)| f(i / pixels, x))
        .collect()
}

fn activate(activation: Activation, x: f64) -> f64 {
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    let hard_sigmoid = (x + 3.0).clamp(0.0, 6.0) / 6.0;
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => x.max(0.0) + f64::from(slope) * x.min(0.0),
        Activation::Elu => x.max(0.0) + x.min(0.0).exp_m1(),
        Activation::Sigmoid => sigmoid,
        Activation::Silu => x * sigmoid,
        Activation::HardSigmoid => hard_sigmoid,
        Activation::HardSwish => x * hard_sigmoid,
    }
}

/// The product of two row-major matrices, the second of `columns` columns.
fn product(a: &[f64], b: &[f64], columns: usize) -> Vec<f64> {
    let inner = b.len() / columns;
    let rows = a.len() / inner;
    let entry = |row: usize, column: usize| {
        (0..inner)
            .map(|k| a[row * inner + k] * b[k * columns + column])
            .sum()
    };
    (0..rows * columns)
        .map(|i| entry(i / columns, i % columns))
        .collect()
}

fn attend(
    nodes: &[f64],
    attention: &[f64],
    adjacency: &[f64],
    features: usize,
    slope: f64,
) -> Vec<f64> {
    let labels = nodes.len() / features;
    let score = |node: usize, which: usize| -> f64 {
        let row = &nodes[node * features..][..features];
        row.iter()
            .zip(&attention[which * features..])
            .map(|(x, a)| x * a)
            .sum()
    };
    let mut output = vec![];
    for i in 0..labels {
        let weights: Vec<f64> = (0..labels)
            .map(|j| {
                let e = score(i, 0) + score(j, 1);
                let e = e.max(0.0) + slope * e.min(0.0);
                if adjacency[i * labels + j] > 0.0 {
                    e.exp()
                } else {
                    0.0
                }
            })
            .collect();
        let total: f64 = weights.iter().sum();
        for feature in 0..features {
            let mixed: f64 = (0..labels)
                .map(|j| weights[j] / total * nodes[j * features + feature])
                .sum();
            output.push(activate(Activation::Elu, mixed));
        }
    }
    output
}
