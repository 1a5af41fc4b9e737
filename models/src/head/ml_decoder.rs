//! ML-Decoder (Ridnik et al. 2021, `ml_decoder.py` of its authors): one layer of a transformer decoder whose
//! queries are fixed, without attention among them.

use crate::architecture::ArchitectureError;
use crate::network::Network;
use crate::operation::{Activation, Convolution, Operation};

/// The most queries; with more labels, each answers for several.
const MOST_QUERIES: usize = 100;
/// Heads of the attention.
const HEADS: usize = 8;
/// Of the attention, the feed-forward layer and what is added to the queries.
const DROPOUT: f32 = 0.1;
const LAYER_NORM: Operation = Operation::LayerNorm { epsilon: 1e-5 };
const DROP: Operation = Operation::Dropout { rate: DROPOUT };
/// The most features of any layer, which keeps every count within memory.
const MOST_FEATURES: usize = 8192;

pub(super) fn validate(width: usize, feed_forward: usize) -> Result<(), ArchitectureError> {
    let fits = |features: usize| (1..=MOST_FEATURES).contains(&features);
    if fits(width) && fits(feed_forward) && width.is_multiple_of(HEADS) {
        return Ok(());
    }
    Err(ArchitectureError::Decoder {
        width,
        feed_forward,
        heads: HEADS,
    })
}

/// Appends the decoder; returns the index of its answers, a matrix of queries x `width`.
pub(super) fn push(
    network: &mut Network,
    features: usize,
    width: usize,
    feed_forward: usize,
    labels: usize,
) -> usize {
    let pixelwise = Operation::Convolution(Convolution {
        bias: true,
        ..Convolution::pointwise(width)
    });
    let relu = Operation::Activation(Activation::Relu);
    let linear = |outputs| Operation::Linear { outputs };

    let embedded = network.push("embed", pixelwise, &[features]);
    let memory = network.push("embed.relu", relu, &[embedded]);
    let queries = Operation::Queries {
        queries: labels.min(MOST_QUERIES),
        dimensions: width,
    };
    let queries = network.push("decoder.queries", queries, &[]);
    let queries = added(network, "decoder.queries", queries, queries);
    let queries = network.push("decoder.norms.0", LAYER_NORM, &[queries]);

    let asked = network.push("decoder.attention.query", linear(width), &[queries]);
    let keys = network.push("decoder.attention.key", pixelwise, &[memory]);
    let values = network.push("decoder.attention.value", pixelwise, &[memory]);
    let attention = Operation::CrossAttention {
        heads: HEADS,
        dropout: DROPOUT,
    };
    let answers = network.push("decoder.attention", attention, &[asked, keys, values]);
    let answers = network.push("decoder.attention.output", linear(width), &[answers]);
    let queries = added(network, "decoder.attention", queries, answers);
    let queries = network.push("decoder.norms.1", LAYER_NORM, &[queries]);

    let name = "decoder.feed_forward";
    let hidden = network.push(format!("{name}.first"), linear(feed_forward), &[queries]);
    let hidden = network.push(format!("{name}.relu"), relu, &[hidden]);
    let hidden = network.push(format!("{name}.dropout"), DROP, &[hidden]);
    let answers = network.push(format!("{name}.second"), linear(width), &[hidden]);
    let queries = added(network, name, queries, answers);
    network.push("decoder.norms.2", LAYER_NORM, &[queries])
}

/// Appends the sum of `queries` and `answers`, the latter with dropout.
fn added(network: &mut Network, name: &str, queries: usize, answers: usize) -> usize {
    let dropped = network.push(format!("{name}.added.dropout"), DROP, &[answers]);
    network.push(format!("{name}.added"), Operation::Add, &[queries, dropped])
}
