//! The heads: what turns the last feature map into one logit per label.

use crate::architecture::{Classifier, GraphLayer, Head};
use crate::network::{Activation, Network, Operation};

/// Slope of the graph branch's LeakyReLU (the paper's code).
const SLOPE: f32 = 0.2;
/// Dropout of the attention coefficients (the paper's code).
const ATTENTION_DROPOUT: f32 = 0.1;
/// Dropout before the classifier (the paper's code).
const CLASSIFIER_DROPOUT: f32 = 0.1;

/// Appends the head to `features`; returns the index of the logits.
pub(crate) fn push(network: &mut Network, head: &Head, features: usize, labels: usize) -> usize {
    let pooled = network.push("pool", Operation::GlobalAveragePool, &[features]);
    let (classifier, features) = match *head {
        Head::Linear { classifier } => (classifier, pooled),
        Head::Graph {
            layer,
            embedding,
            classifier,
        } => {
            let weights = push_graph(network, layer, embedding, pooled, labels);
            // Channel weights commute with the mean over pixels, so they are applied after it.
            let scaled = network.push("graph.scale", Operation::ScaleChannels, &[pooled, weights]);
            (classifier, scaled)
        }
    };
    let dropped = network.push(
        "dropout",
        Operation::Dropout {
            rate: CLASSIFIER_DROPOUT,
        },
        &[features],
    );
    let operation = match classifier {
        Classifier::Plain => Operation::Linear { outputs: labels },
        Classifier::Angular { scale } => Operation::AngularClassifier { labels, scale },
    };
    network.push("classifier", operation, &[dropped])
}

/// The graph branch: embeddings through two graph layers, the maximum over the labels and a sigmoid give
/// one weight per channel of `pooled`.
fn push_graph(
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
