//! What a network costs: multiply-accumulates, parameters and activation memory, per layer.

use serde::Serialize;

use crate::network::Network;
use crate::operation::Operation;
use crate::shape::Shape;

/// The cost of one layer for one photo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// The layer's name.
    pub name: String,
    /// The kind of operation, such as `convolution`.
    pub operation: &'static str,
    /// Shape of the output.
    pub output: Shape,
    /// Multiply-accumulates of convolutions and matrix products; nothing else is counted, the fixed filter of
    /// a blur neither.
    pub macs: u64,
    /// Trainable parameters.
    pub parameters: u64,
}

/// The cost of a network for one photo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Multiply-accumulates of convolutions and matrix products. FLOPs are twice as many.
    pub macs: u64,
    /// Trainable parameters; batch-norm statistics, embeddings, queries and adjacency are not counted.
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
        operation: layer.operation.name(),
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
        (Operation::Linear { .. } | Operation::AngularClassifier { .. }, [input, ..]) => {
            input.channels() * output.elements()
        }
        (Operation::CrossAttention { .. }, [queries, keys, ..]) => {
            let pixels = keys.elements() / keys.channels();
            2 * queries.elements() * pixels
        }
        (Operation::GroupLinear { .. } | Operation::GroupAngularClassifier { .. }, [input, ..]) => {
            let Shape::Matrix { rows, .. } = input else {
                return 0;
            };
            input.elements() * output.elements().div_ceil(*rows)
        }
        (
            Operation::GraphConvolution { outputs } | Operation::GraphAttention { outputs, .. },
            &[Shape::Matrix { rows, columns }, ..],
        ) => rows * columns * outputs + rows * rows * outputs,
        _ => 0,
    };
    macs as u64
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
    use crate::Architecture;

    fn network(backbone: &str, size: &str, head: &str, labels: usize) -> Network {
        let architecture = Architecture {
            backbone: backbone.parse().unwrap(),
            head: head.parse().unwrap(),
            input: size.parse().unwrap(),
            labels,
        };
        architecture.validate().unwrap();
        architecture.lower()
    }

    #[test]
    fn models_cost_what_the_pytorch_networks_were_counted_at() {
        // Counted on the PyTorch networks: MMACs and M parameters with 1000 classes.
        let reference = [
            ("efficientnet-lite0", "224", 385.2, 4.652),
            ("efficientnet-lite1", "240", 600.2, 5.417),
            ("efficientnet-lite2", "260", 859.7, 6.092),
            ("efficientnet-lite3", "280", 1383.3, 8.197),
            ("efficientnet-lite4", "300", 2553.0, 13.007),
            ("mobilenet-v3-large", "224", 216.6, 5.483),
            ("mobilenet-v3-small", "224", 56.5, 2.543),
            ("efficientnet-v2-s", "384", 8365.6, 21.458),
            ("efficientnet-v2-l", "448", 48854.7, 118.515),
        ];
        for (backbone, size, mmacs, parameters) in reference {
            let cost = cost(&network(backbone, size, "linear", 1000));
            let macs = cost.macs as f64 / 1e6;
            assert!((macs - mmacs).abs() < 0.051, "{backbone}: {macs} MMACs");
            let found = cost.parameters as f64 / 1e6;
            assert!((found - parameters).abs() < 0.00051, "{backbone}: {found}");
        }
    }

    #[test]
    fn with_the_papers_head_they_cost_what_the_paper_says() {
        let reference = [
            ("efficientnet-v2-s", 12.28),
            ("efficientnet-v2-l", 49.92),
            ("tresnet-l", 36.15),
        ];
        for (backbone, gmacs) in reference {
            let cost = cost(&network(backbone, "448", "ml-decoder", 80));
            let ratio = cost.macs as f64 / 1e9 / gmacs;
            assert!((ratio - 1.0).abs() < 0.03, "{backbone}: {ratio}");
        }
    }

    #[test]
    fn the_decoder_costs_its_matrix_products() {
        // A map of 14x14 pixels in 1280 channels; 768 features, 2048 in the feed-forward layer, 100 queries
        // for 250 labels, so each answers for three.
        let with = cost(&network("efficientnet-v2-s", "448", "ml-decoder", 250));
        let without = cost(&network("efficientnet-v2-s", "448", "linear", 250));
        let (pixels, queries, width) = (14 * 14, 100, 768);
        let pixelwise = pixels * (1280 + 2 * width) * width;
        let attention = 2 * queries * width * (width + pixels);
        let feed_forward = 2 * queries * width * 2048;
        let classifier = queries * width * 3;
        let decoder = pixelwise + attention + feed_forward + classifier;
        assert_eq!(with.macs - without.macs, decoder - 1280 * 250);
    }

    #[test]
    fn the_unfolded_graph_branch_costs_178_million_macs() {
        let with = cost(&network("efficientnet-lite0", "224", "graph", 80)).macs;
        let without = cost(&network("efficientnet-lite0", "224", "linear-angular", 80)).macs;
        let first = 80 * 300 * 1280 + 80 * 80 * 1280;
        let second = 80 * 1280 * 1280 + 80 * 80 * 1280;
        assert_eq!(with - without, first + second);
    }

    #[test]
    fn the_widest_block_sets_the_peak() {
        // The first depthwise convolution of stride 2: 96 channels at 112x112 in, at 56x56 out.
        let cost = cost(&network("efficientnet-lite0", "224", "linear", 1000));
        assert_eq!(cost.peak_activations, 96 * (112 * 112 + 56 * 56));
    }
}
