//! The heads: what turns the last feature map into one logit per label.

mod graph;
mod ml_decoder;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::architecture::ArchitectureError;
use crate::backbone::Backbone;
use crate::network::Network;
use crate::operation::Operation;

/// Dropout before the classifier (the paper's code).
const CLASSIFIER_DROPOUT: f32 = 0.1;

/// What follows the backbone's last feature map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// Global average pooling and a classifier.
    Linear {
        /// The classifier.
        classifier: Classifier,
    },
    /// Global average pooling, channels re-weighted by a graph over the labels, and a classifier.
    Graph {
        /// The kind of graph layer.
        layer: GraphLayer,
        /// Length of the labels' embeddings.
        embedding: usize,
        /// The classifier.
        classifier: Classifier,
    },
    /// ML-Decoder (Ridnik et al. 2021): queries attend to the feature map, each answers for a group of labels.
    MlDecoder {
        /// Features per query; the published number is 768.
        width: usize,
        /// Features within the feed-forward layer; the published number is 2048.
        feed_forward: usize,
        /// The classifier.
        classifier: Classifier,
    },
}

/// The kind of the graph head's two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphLayer {
    /// Graph convolution.
    Gcn,
    /// Single-head graph attention.
    Gat,
}

/// The last layer before the sigmoid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Classifier {
    /// x W + b.
    Plain,
    /// scale * cos(x, W_k).
    Angular {
        /// The paper's s.
        scale: f32,
    },
}

/// The published heads by name; the scales are those of the paper.
const PUBLISHED: [(&str, Head); 8] = [
    ("linear", Head::linear()),
    (
        "linear-angular",
        Head::Linear {
            classifier: GRAPH_ANGULAR,
        },
    ),
    ("graph-gcn", graph(GraphLayer::Gcn, GRAPH_ANGULAR)),
    ("graph-gat", graph(GraphLayer::Gat, GRAPH_ANGULAR)),
    ("graph-gcn-plain", graph(GraphLayer::Gcn, Classifier::Plain)),
    ("graph-gat-plain", graph(GraphLayer::Gat, Classifier::Plain)),
    ("ml-decoder", ml_decoder(Classifier::Plain)),
    (
        "ml-decoder-angular",
        ml_decoder(Classifier::Angular { scale: 23.0 }),
    ),
];

const GRAPH_ANGULAR: Classifier = Classifier::Angular { scale: 17.0 };

const fn graph(layer: GraphLayer, classifier: Classifier) -> Head {
    Head::Graph {
        layer,
        embedding: 300,
        classifier,
    }
}

const fn ml_decoder(classifier: Classifier) -> Head {
    Head::MlDecoder {
        width: 768,
        feed_forward: 2048,
        classifier,
    }
}

impl Head {
    /// The head of classifiers of ImageNet.
    pub const fn linear() -> Self {
        Head::Linear {
            classifier: Classifier::Plain,
        }
    }

    /// The names of the published heads.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PUBLISHED.into_iter().map(|(name, _)| name)
    }

    /// The classifier.
    pub fn classifier(self) -> Classifier {
        match self {
            Head::Linear { classifier }
            | Head::Graph { classifier, .. }
            | Head::MlDecoder { classifier, .. } => classifier,
        }
    }

    /// The same head with another classifier.
    #[must_use]
    pub fn with_classifier(mut self, other: Classifier) -> Self {
        let (Head::Linear { classifier }
        | Head::Graph { classifier, .. }
        | Head::MlDecoder { classifier, .. }) = &mut self;
        *classifier = other;
        self
    }

    /// Checks what the types can't.
    pub(crate) fn validate(self) -> Result<(), ArchitectureError> {
        match self {
            Head::MlDecoder {
                width,
                feed_forward,
                ..
            } => ml_decoder::validate(width, feed_forward),
            Head::Linear { .. } | Head::Graph { .. } => Ok(()),
        }
    }

    /// Appends the head to `features`, the last feature map of `backbone`; returns the index of the logits.
    pub(crate) fn push(
        self,
        network: &mut Network,
        backbone: Backbone,
        features: usize,
        labels: usize,
    ) -> usize {
        let pooled = |network: &mut Network| {
            let pooled = network.push("pool", Operation::GlobalAveragePool, &[features]);
            backbone.push_neck(network, pooled)
        };
        let (classifier, features) = match self {
            Head::Linear { classifier } => (classifier, pooled(network)),
            Head::Graph {
                layer,
                embedding,
                classifier,
            } => {
                let pooled = pooled(network);
                let weights = graph::push(network, layer, embedding, pooled, labels);
                // Channel weights commute with the mean over pixels, so they are applied after it.
                let inputs = [pooled, weights];
                let scaled = network.push("graph.scale", Operation::ScaleChannels, &inputs);
                (classifier, scaled)
            }
            Head::MlDecoder {
                width,
                feed_forward,
                classifier,
            } => {
                let queries = ml_decoder::push(network, features, width, feed_forward, labels);
                return network.push("classifier", grouped(classifier, labels), &[queries]);
            }
        };
        let rate = CLASSIFIER_DROPOUT;
        let dropped = network.push("dropout", Operation::Dropout { rate }, &[features]);
        let operation = match classifier {
            Classifier::Plain => Operation::Linear { outputs: labels },
            Classifier::Angular { scale } => Operation::AngularClassifier { labels, scale },
        };
        network.push("classifier", operation, &[dropped])
    }
}

fn grouped(classifier: Classifier, labels: usize) -> Operation {
    match classifier {
        Classifier::Plain => Operation::GroupLinear { labels },
        Classifier::Angular { scale } => Operation::GroupAngularClassifier { labels, scale },
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self, self.classifier()) {
            (Head::Linear { .. }, Classifier::Plain) => "linear",
            (Head::Linear { .. }, Classifier::Angular { .. }) => "linear-angular",
            (Head::Graph { layer, .. }, classifier) => match (layer, classifier) {
                (GraphLayer::Gcn, Classifier::Plain) => "graph-gcn-plain",
                (GraphLayer::Gat, Classifier::Plain) => "graph-gat-plain",
                (GraphLayer::Gcn, Classifier::Angular { .. }) => "graph-gcn",
                (GraphLayer::Gat, Classifier::Angular { .. }) => "graph-gat",
            },
            (Head::MlDecoder { .. }, Classifier::Plain) => "ml-decoder",
            (Head::MlDecoder { .. }, Classifier::Angular { .. }) => "ml-decoder-angular",
        })
    }
}

impl FromStr for Head {
    type Err = ArchitectureError;

    /// Reads the name of a published head, such as `graph-gcn`, which is also called `graph`; graph heads
    /// have embeddings of 300.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name = if name == "graph" { "graph-gcn" } else { name };
        PUBLISHED
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, head)| head)
            .ok_or_else(|| ArchitectureError::UnknownHead(name.into()))
    }
}
