//! What a network costs: multiply-accumulates, parameters and activation memory, per layer.

use serde::Serialize;

use crate::network::{Network, Operation, Shape};

/// The cost of one layer for one photo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// The layer's name.
    pub name: String,
    /// The kind of operation, such as `convolution`.
    pub operation: &'static str,
    /// Shape of the output.
    pub output: Shape,
    /// Multiply-accumulates of convolutions and matrix products; nothing else is counted.
    pub macs: u64,
    /// Trainable parameters.
    pub parameters: u64,
}

/// The cost of a network for one photo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Multiply-accumulates of convolutions and matrix products. FLOPs are twice as many.
    pub macs: u64,
    /// Trainable parameters; batch-norm statistics, embeddings and adjacency are not counted.
    pub parameters: u64,
    /// The most activation elements alive at once when layers run in order; times 4 for the bytes in
    /// float, times 1 in int8.
    pub peak_activations: u64,
    /// Layer by layer.
    pub layers: Vec<LayerCost>,
}

/// Counts `network`.
pub fn cost(network: &Network) -> Cost {
    let layers: Vec<LayerCost> = (0..network.layers.len())
        .map(|index| layer_cost(network, index))
        .collect();
    Cost {
        macs: layers.iter().map(|layer| layer.macs).sum(),
        parameters: layers.iter().map(|layer| layer.parameters).sum(),
        peak_activations: peak_activations(network),
        layers,
    }
}

fn layer_cost(network: &Network, index: usize) -> LayerCost {
    let layer = &network.layers[index];
    let parameters = network.parameters(index);
    let trainable = parameters.iter().filter(|parameter| parameter.trainable);
    LayerCost {
        name: layer.name.clone(),
        operation: operation_name(&layer.operation),
        output: layer.output,
        macs: macs(&layer.operation, &network.input_shapes(index), layer.output),
        parameters: trainable
            .map(|parameter| parameter.shape.iter().product::<usize>() as u64)
            .sum(),
    }
}

fn macs(operation: &Operation, inputs: &[Shape], output: Shape) -> u64 {
    let macs = match (*operation, inputs) {
        (Operation::Convolution(c), [input, ..]) => {
            output.elements() * (input.channels() / c.groups) * c.kernel * c.kernel
        }
        (
            Operation::Linear { outputs }
            | Operation::AngularClassifier {
                labels: outputs, ..
            },
            [input, ..],
        ) => input.channels() * outputs,
        (
            Operation::GraphConvolution { outputs } | Operation::GraphAttention { outputs, .. },
            &[Shape::Matrix { rows, columns }, ..],
        ) => rows * columns * outputs + rows * rows * outputs,
        _ => 0,
    };
    macs as u64
}

/// The name of an operation's kind.
pub fn operation_name(operation: &Operation) -> &'static str {
    match operation {
        Operation::Image => "image",
        Operation::Convolution(_) => "convolution",
        Operation::BatchNorm { .. } => "batch-norm",
        Operation::Activation(_) => "activation",
        Operation::Add => "add",
        Operation::GlobalAveragePool => "global-average-pool",
        Operation::Dropout { .. } => "dropout",
        Operation::Linear { .. } => "linear",
        Operation::LabelEmbeddings { .. } => "label-embeddings",
        Operation::GraphConvolution { .. } => "graph-convolution",
        Operation::GraphAttention { .. } => "graph-attention",
        Operation::LabelMaximum => "label-maximum",
        Operation::ScaleChannels => "scale-channels",
        Operation::ConstantScale => "constant-scale",
        Operation::AngularClassifier { .. } => "angular-classifier",
    }
}

/// An output lives from its layer to its last reader; batch norm and activations work in place.
fn peak_activations(network: &Network) -> u64 {
    let count = network.layers.len();
    let mut last_reader: Vec<usize> = (0..count).collect();
    for (index, layer) in network.layers.iter().enumerate() {
        for &input in &layer.inputs {
            last_reader[input] = index;
        }
    }
    let in_place = |index: usize| {
        matches!(
            network.layers[index].operation,
            Operation::BatchNorm { .. } | Operation::Activation(_) | Operation::Dropout { .. }
        ) && last_reader[network.layers[index].inputs[0]] == index
    };
    let alive_at = |step: usize| -> usize {
        (0..=step)
            .filter(|&index| {
                last_reader[index] >= step
                    && !(in_place(step) && network.layers[step].inputs.contains(&index))
            })
            .map(|index| network.layers[index].output.elements())
            .sum()
    };
    (0..count).map(alive_at).max().unwrap_or(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Head, InputSize};

    fn lite(variant: usize, size: usize, head: &str, labels: usize) -> Network {
        Architecture {
            backbone: format!("efficientnet-lite{variant}").parse().unwrap(),
            head: head.parse::<Head>().unwrap(),
            input: InputSize {
                height: size,
                width: size,
            },
            labels,
        }
        .lower()
    }

    #[test]
    fn lite_models_cost_what_the_pytorch_networks_were_counted_at() {
        // Counted on the PyTorch networks: MMACs and M parameters with 1000 classes.
        let reference = [
            (224, 385.2, 4.652),
            (240, 600.2, 5.417),
            (260, 859.7, 6.092),
            (280, 1383.3, 8.197),
            (300, 2553.0, 13.007),
        ];
        for (variant, (size, mmacs, parameters)) in reference.into_iter().enumerate() {
            let cost = cost(&lite(variant, size, "linear", 1000));
            let macs = cost.macs as f64 / 1e6 / mmacs;
            let parameters = cost.parameters as f64 / 1e6 / parameters;
            assert!((macs - 1.0).abs() < 0.005, "Lite{variant} MACs {macs}");
            assert!(
                (parameters - 1.0).abs() < 0.005,
                "Lite{variant} parameters {parameters}"
            );
        }
    }

    #[test]
    fn the_unfolded_graph_branch_costs_178_million_macs() {
        let with = cost(&lite(0, 224, "graph", 80)).macs;
        let without = cost(&lite(0, 224, "linear-angular", 80)).macs;
        let first = 80 * 300 * 1280 + 80 * 80 * 1280;
        let second = 80 * 1280 * 1280 + 80 * 80 * 1280;
        assert_eq!(with - without, first + second);
    }

    #[test]
    fn the_widest_block_sets_the_peak() {
        // The first depthwise convolution of stride 2: 96 channels at 112x112 in, at 56x56 out.
        let cost = cost(&lite(0, 224, "linear", 1000));
        assert_eq!(cost.peak_activations, 96 * (112 * 112 + 56 * 56));
    }
}
