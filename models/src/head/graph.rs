//! The graph branch: channels re-weighted by what is known of the labels.

use crate::network::Network;
use crate::operation::{Activation, Operation};

use super::GraphLayer;

/// Slope of the branch's LeakyReLU (the paper's code).
const SLOPE: f32 = 0.2;
/// Dropout of the attention coefficients (the paper's code).
const ATTENTION_DROPOUT: f32 = 0.1;

/// Appends the branch: embeddings through two graph layers, the maximum over the labels and a sigmoid give
/// one weight per channel of `pooled`.
pub(super) fn push(
    network: &mut Network,
    layer: GraphLayer,
    embedding: usize,
    pooled: usize,
    labels: usize,
) -> usize {
    let channels = network.layers[pooled].output.channels();
    let operation = match layer {
        GraphLayer::Gcn => Operation::GraphConvolution { outputs: channels },
        GraphLayer::Gat => Operation::GraphAttention {
            outputs: channels,
            slope: SLOPE,
            dropout: ATTENTION_DROPOUT,
        },
    };
    let mut nodes = network.push(
        "graph.embeddings",
        Operation::LabelEmbeddings {
            labels,
            dimensions: embedding,
        },
        &[],
    );
    for position in 0..2 {
        nodes = network.push(format!("graph.layers.{position}"), operation, &[nodes]);
        nodes = network.push(
            format!("graph.layers.{position}.leaky_relu"),
            Operation::Activation(Activation::LeakyRelu { slope: SLOPE }),
            &[nodes],
        );
    }
    let maximum = network.push("graph.maximum", Operation::LabelMaximum, &[nodes]);
    network.push(
        "graph.sigmoid",
        Operation::Activation(Activation::Sigmoid),
        &[maximum],
    )
}
