//! Interprets a network's layers with burn, for training and for reference outputs.

mod decoder;
mod maps;

use burn::tensor::activation::{leaky_relu, relu, sigmoid, softmax};
use burn::tensor::{Distribution, Tensor};
use graphtag_models::{Activation, Network, Operation};

use super::parameters::Parameters;

/// The output of a layer for a batch of N photos.
#[derive(Clone, Debug)]
pub enum Value {
    /// A feature map as \[channels, N * height * width\]: pointwise convolutions are then one matrix
    /// product over the whole batch.
    Map(Tensor<2>),
    /// One vector per photo, \[N, features\].
    Vectors(Tensor<2>),
    /// One matrix for all photos, such as one row per label: \[rows, features\].
    Matrix(Tensor<2>),
    /// One matrix per photo, their rows one below the other: \[N * rows, features\].
    Matrices(Tensor<2>),
    /// One vector for all photos, \[1, features\].
    Constant(Tensor<2>),
}

impl Value {
    /// The tensor, in the layout that the variant tells.
    pub fn tensor(&self) -> Tensor<2> {
        match self {
            Value::Map(t)
            | Value::Vectors(t)
            | Value::Matrix(t)
            | Value::Matrices(t)
            | Value::Constant(t) => t.clone(),
        }
    }

    /// A value of the same kind.
    fn with(&self, tensor: Tensor<2>) -> Self {
        match self {
            Value::Map(_) => Value::Map(tensor),
            Value::Vectors(_) => Value::Vectors(tensor),
            Value::Matrix(_) => Value::Matrix(tensor),
            Value::Matrices(_) => Value::Matrices(tensor),
            Value::Constant(_) => Value::Constant(tensor),
        }
    }
}

/// Whether dropout acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout draws from the device's random generator.
    Training,
    /// Dropout does nothing.
    Inference,
}

/// Photos \[N, 3, height, width\] as the value of the network's image layer.
pub fn image_value(photos: Tensor<4>) -> Value {
    let [count, channels, height, width] = photos.dims();
    Value::Map(
        photos
            .swap_dims(0, 1)
            .reshape([channels, count * height * width]),
    )
}

/// Runs the layers after `start`, whose output is `input` for `count` photos, up to and including layer
/// `end`; what `visit` makes of each layer's output, given its index, is what the next layers read. Layers
/// after `start` must not read layers before it.
pub fn run_between(
    network: &Network,
    parameters: &Parameters,
    mode: Mode,
    count: usize,
    (start, input): (usize, Value),
    end: usize,
    mut visit: impl FnMut(usize, Value) -> Value,
) -> Value {
    let last_reader = last_readers(network);
    let mut values: Vec<Option<Value>> = vec![None; network.layers.len()];
    values[start] = Some(input);
    for index in start + 1..=end {
        let inputs: Vec<Value> = network.layers[index]
            .inputs
            .iter()
            .map(|&i| {
                values[i]
                    .clone()
                    .expect("layers read only later ones than the start")
            })
            .collect();
        let value = run_layer(network, parameters, mode, count, index, &inputs);
        values[index] = Some(visit(index, value));
        for &input in &network.layers[index].inputs {
            if last_reader[input] <= index {
                values[input] = None;
            }
        }
    }
    values[end].take().expect("the end is not before the start")
}

/// Runs the whole network on photos \[N, 3, height, width\]; returns the output \[N, K\].
pub fn run(network: &Network, parameters: &Parameters, photos: Tensor<4>) -> Tensor<2> {
    let count = photos.dims()[0];
    let start = (0, image_value(photos));
    let end = network.output();
    run_between(
        network,
        parameters,
        Mode::Inference,
        count,
        start,
        end,
        |_, value| value,
    )
    .tensor()
}

fn last_readers(network: &Network) -> Vec<usize> {
    let mut last: Vec<usize> = (0..network.layers.len()).collect();
    for (index, layer) in network.layers.iter().enumerate() {
        for &input in &layer.inputs {
            last[input] = index;
        }
    }
    last
}

fn run_layer(
    network: &Network,
    parameters: &Parameters,
    mode: Mode,
    count: usize,
    index: usize,
    inputs: &[Value],
) -> Value {
    let layer = &network.layers[index];
    let own = |role: &str| parameters.flat(&format!("{}.{role}", layer.name));
    let matrix = |role: &str, rows: usize| {
        let flat = own(role);
        let columns = flat.dims()[0] / rows;
        flat.reshape([rows, columns])
    };
    let column = |role: &str| own(role).unsqueeze_dim::<2>(1);
    let row = |role: &str| own(role).unsqueeze::<2>();
    let input = || inputs[0].tensor();
    let features = || input().dims()[1];
    match layer.operation {
        Operation::Image => unreachable!("a network begins with its only image"),
        Operation::Convolution(convolution) => {
            let shape = network.input_shapes(index)[0];
            let mut output = maps::convolve(convolution, shape, count, input(), own("weight"));
            if convolution.bias {
                output = output + column("bias");
            }
            Value::Map(output)
        }
        Operation::BatchNorm { epsilon } => {
            let scale = column("weight") / (column("running_variance") + epsilon).sqrt();
            let shift = column("bias") - column("running_mean") * scale.clone();
            Value::Map(input() * scale + shift)
        }
        Operation::Activation(activation) => inputs[0].with(activate(activation, input())),
        Operation::Add => match (&inputs[0], &inputs[1]) {
            (Value::Matrix(shared), Value::Matrices(own)) => {
                Value::Matrices(shared.clone().repeat_dim(0, count) + own.clone())
            }
            (a, b) => a.with(a.tensor() + b.tensor()),
        },
        Operation::Squeeze => Value::Map(maps::pixel_means(input(), count)),
        Operation::Gate => Value::Map(maps::gate(input(), inputs[1].tensor())),
        Operation::AveragePool { side } => Value::Map(maps::average_pool(
            network.input_shapes(index)[0],
            side,
            input(),
        )),
        Operation::Blur => Value::Map(maps::blur(network.input_shapes(index)[0], count, input())),
        Operation::GlobalAveragePool => {
            Value::Vectors(maps::pixel_means(input(), count).transpose())
        }
        Operation::Dropout { rate } => inputs[0].with(dropout(input(), rate, mode)),
        Operation::Linear { .. } => {
            inputs[0].with(input().matmul(matrix("weight", features())) + row("bias"))
        }
        Operation::LabelEmbeddings { labels, .. } => Value::Matrix(matrix("embeddings", labels)),
        Operation::GraphConvolution { .. } => {
            let labels = input().dims()[0];
            let support = input().matmul(matrix("weight", features()));
            Value::Matrix(matrix("adjacency", labels).matmul(support))
        }
        Operation::GraphAttention {
            slope,
            dropout: rate,
            ..
        } => {
            let labels = input().dims()[0];
            let nodes = input().matmul(matrix("weight", features()));
            let scores = nodes.clone().matmul(matrix("attention", 2).transpose());
            let from = scores.clone().narrow(1, 0, 1);
            let to = scores.narrow(1, 1, 1).transpose();
            let unconnected = matrix("adjacency", labels).lower_equal_scalar(0.0);
            let coefficients =
                leaky_relu(from + to, f64::from(slope)).mask_fill(unconnected, f32::NEG_INFINITY);
            let coefficients = dropout(softmax(coefficients, 1), rate, mode);
            Value::Matrix(activate(Activation::Elu, coefficients.matmul(nodes)))
        }
        Operation::LabelMaximum => Value::Constant(input().max_dim(0)),
        Operation::ScaleChannels => Value::Vectors(input() * inputs[1].tensor()),
        Operation::ConstantScale => Value::Vectors(input() * row("scale")),
        Operation::AngularClassifier { scale, .. } => {
            let proxies = matrix("proxies", features());
            let cosines = normalise(input(), 1).matmul(normalise(proxies, 0));
            Value::Vectors(cosines * scale)
        }
        Operation::Queries { queries, .. } => Value::Matrix(matrix("queries", queries)),
        Operation::Constant { rows, .. } => Value::Matrix(matrix("value", rows)),
        Operation::LayerNorm { epsilon } => {
            inputs[0].with(decoder::standardise(input(), epsilon) * row("weight") + row("bias"))
        }
        Operation::CrossAttention {
            heads,
            dropout: rate,
        } => {
            let [keys, values] = [1, 2].map(|i| inputs[i].tensor());
            let queries = match &inputs[0] {
                Value::Matrix(shared) => shared.clone().repeat_dim(0, count),
                own => own.tensor(),
            };
            let drop = |coefficients| dropout(coefficients, rate, mode);
            Value::Matrices(decoder::attend(heads, count, queries, keys, values, drop))
        }
        Operation::GroupLinear { labels } => {
            let logits = decoder::grouped(labels, count, input(), own("weight"));
            Value::Vectors(logits + row("bias"))
        }
        Operation::GroupAngularClassifier { labels, scale } => {
            let rows = input().dims()[0] / count;
            let columns = own("proxies").dims()[0] / (rows * features());
            let proxies = own("proxies").reshape([rows, features(), columns]);
            let proxies = normalise(proxies, 1).flatten(0, 2);
            let cosines = decoder::grouped(labels, count, normalise(input(), 1), proxies);
            Value::Vectors(cosines * scale)
        }
    }
}

fn activate(activation: Activation, x: Tensor<2>) -> Tensor<2> {
    let hard_sigmoid = |x: Tensor<2>| (x + 3.0).clamp(0.0, 6.0) / 6.0;
    match activation {
        Activation::Relu => relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => leaky_relu(x, f64::from(slope)),
        Activation::Elu => {
            let negative = x.clone().clamp_max(0.0).exp() - 1.0;
            x.clamp_min(0.0) + negative
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::Silu => x.clone() * sigmoid(x),
        Activation::HardSigmoid => hard_sigmoid(x),
        Activation::HardSwish => x.clone() * hard_sigmoid(x),
    }
}

fn dropout<const D: usize>(x: Tensor<D>, rate: f32, mode: Mode) -> Tensor<D> {
    if mode == Mode::Inference || rate == 0.0 {
        return x;
    }
    let keep = 1.0 - f64::from(rate);
    let kept = x.random_like(Distribution::Bernoulli(keep));
    x * kept / keep
}

/// x / max(|x|, 1e-12) along `dimension`, as PyTorch's `normalize`.
fn normalise<const D: usize>(x: Tensor<D>, dimension: usize) -> Tensor<D> {
    let norm = x.clone().powi_scalar(2).sum_dim(dimension).sqrt();
    x / norm.clamp_min(1e-12)
}
