//! Architectures as data: a backbone, a head, an input size and a number of labels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::network::{Activation, Network, Operation};
use crate::{efficientnet_lite, head};

/// Everything that determines a network but its weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// What turns the image into a feature map.
    pub backbone: Backbone,
    /// What turns the feature map into logits.
    pub head: Head,
    /// Size of the image.
    pub input: InputSize,
    /// Number of labels, K.
    pub labels: usize,
}

/// A convolutional backbone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// EfficientNet-Lite: no squeeze-and-excitation, ReLU6, fixed stem and last convolution.
    EfficientNetLite {
        /// 0 to 4.
        variant: u8,
        /// Multiplies the channels of the published variant; 1 is the published one.
        width: f32,
    },
}

/// Image height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

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

/// An architecture that can't be read or built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ArchitectureError {
    /// No backbone has this name.
    #[error("unknown architecture {0:?}: known are efficientnet-lite0 to efficientnet-lite4")]
    UnknownBackbone(String),
    /// No head has this name.
    #[error(
        "unknown head {0:?}: known are linear, linear-angular, graph-gcn (or graph) and graph-gat"
    )]
    UnknownHead(String),
    /// An input size that is not `SIZE` or `HEIGHTxWIDTH` in 32..=4096.
    #[error("input size {0:?} is not SIZE or HEIGHTxWIDTH with sides of 32 to 4096 pixels")]
    InputSize(String),
    /// A width multiplier that is not in 0.1..=8.
    #[error("width multiplier {0} is not within 0.1 to 8")]
    Width(f32),
    /// A number of labels that is not in 1..=100000.
    #[error("{0} labels are not within 1 to 100000")]
    Labels(usize),
}

impl Architecture {
    /// The layers, from `image` to `probabilities`.
    pub fn lower(&self) -> Network {
        let mut network = Network::with_image(self.input.height, self.input.width);
        let features = match self.backbone {
            Backbone::EfficientNetLite { variant, width } => {
                efficientnet_lite::push(&mut network, variant, width)
            }
        };
        let logits = head::push(&mut network, &self.head, features, self.labels);
        network.push(
            "probabilities",
            Operation::Activation(Activation::Sigmoid),
            &[logits],
        );
        network
    }

    /// Checks what the types can't: sizes, width and number of labels within bounds that keep every
    /// count within memory.
    ///
    /// # Errors
    /// The first value out of bounds.
    pub fn validate(&self) -> Result<(), ArchitectureError> {
        let InputSize { height, width } = self.input;
        if !(32..=4096).contains(&height) || !(32..=4096).contains(&width) {
            return Err(ArchitectureError::InputSize(self.input.to_string()));
        }
        if !(1..=100_000).contains(&self.labels) {
            return Err(ArchitectureError::Labels(self.labels));
        }
        let Backbone::EfficientNetLite { variant, width } = self.backbone;
        if variant > 4 {
            return Err(ArchitectureError::UnknownBackbone(
                self.backbone.to_string(),
            ));
        }
        if !(0.1..=8.0).contains(&width) {
            return Err(ArchitectureError::Width(width));
        }
        Ok(())
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} head, {} pixels, {} labels",
            self.backbone, self.head, self.input, self.labels
        )
    }
}

impl fmt::Display for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backbone::EfficientNetLite { variant, width } = self;
        write!(f, "efficientnet-lite{variant}")?;
        if *width != 1.0 {
            write!(f, " x {width}")?;
        }
        Ok(())
    }
}

impl FromStr for Backbone {
    type Err = ArchitectureError;

    /// Reads `efficientnet-lite0` to `efficientnet-lite4`, of the published width.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        name.strip_prefix("efficientnet-lite")
            .and_then(|digit| digit.parse().ok())
            .filter(|variant| *variant <= 4)
            .map(|variant| Backbone::EfficientNetLite {
                variant,
                width: 1.0,
            })
            .ok_or_else(|| ArchitectureError::UnknownBackbone(name.into()))
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Head::Linear {
                classifier: Classifier::Plain,
            } => "linear",
            Head::Linear { .. } => "linear-angular",
            Head::Graph {
                layer: GraphLayer::Gcn,
                ..
            } => "graph-gcn",
            Head::Graph {
                layer: GraphLayer::Gat,
                ..
            } => "graph-gat",
        })
    }
}

impl FromStr for Head {
    type Err = ArchitectureError;

    /// Reads `linear`, `linear-angular`, `graph-gcn` (or `graph`) and `graph-gat`; the graph heads have
    /// embeddings of 300 and an angular classifier of scale 17, as published for the graph head.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let angular = Classifier::Angular { scale: 17.0 };
        let graph = |layer| Head::Graph {
            layer,
            embedding: 300,
            classifier: angular,
        };
        match name {
            "linear" => Ok(Head::Linear {
                classifier: Classifier::Plain,
            }),
            "linear-angular" => Ok(Head::Linear {
                classifier: angular,
            }),
            "graph" | "graph-gcn" => Ok(graph(GraphLayer::Gcn)),
            "graph-gat" => Ok(graph(GraphLayer::Gat)),
            _ => Err(ArchitectureError::UnknownHead(name.into())),
        }
    }
}

impl fmt::Display for InputSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

impl FromStr for InputSize {
    type Err = ArchitectureError;

    /// Reads `224` or `HEIGHTxWIDTH`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        match (height.parse(), width.parse()) {
            (Ok(height @ 32..=4096), Ok(width @ 32..=4096)) => Ok(InputSize { height, width }),
            _ => Err(ArchitectureError::InputSize(text.into())),
        }
    }
}
