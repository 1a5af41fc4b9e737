//! Architectures as data: a backbone, a head, an input size and a number of labels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::backbone::Backbone;
use crate::head::Head;
use crate::network::Network;
use crate::operation::{Activation, Operation};

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

/// Image height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// An architecture that can't be read or built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ArchitectureError {
    /// No backbone has this name.
    #[error("unknown architecture {0:?}: known are {known}", known = listed(Backbone::names()))]
    UnknownBackbone(String),
    /// No head has this name.
    #[error("unknown head {0:?}: known are {known}", known = listed(Head::names()))]
    UnknownHead(String),
    /// An input size that is not `SIZE` or `HEIGHTxWIDTH` in 32..=4096.
    #[error("input size {0:?} is not SIZE or HEIGHTxWIDTH with sides of 32 to 4096 pixels")]
    InputSize(String),
    /// A width multiplier that is not in 0.1..=8.
    #[error("width multiplier {0} is not within 0.1 to 8")]
    Width(f32),
    /// An input size that the backbone can't take.
    #[error("input size {0} is not of multiples of {1} pixels, which the backbone needs")]
    Multiple(InputSize, usize),
    /// Sizes of a decoder out of bounds.
    #[error(
        "a decoder of {width} features and {feed_forward} in its feed-forward layer: {heads} must divide the \
         first, and both be at most 8192"
    )]
    Decoder {
        /// Features per query.
        width: usize,
        /// Features within the feed-forward layer.
        feed_forward: usize,
        /// Heads of the attention.
        heads: usize,
    },
    /// A number of labels that is not in 1..=100000.
    #[error("{0} labels are not within 1 to 100000")]
    Labels(usize),
}

fn listed(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl Architecture {
    /// The layers, from `image` to `probabilities`.
    pub fn lower(&self) -> Network {
        let mut network = Network::with_image(self.input.height, self.input.width);
        let features = self.backbone.push(&mut network);
        let logits = self
            .head
            .push(&mut network, self.backbone, features, self.labels);
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
        self.head.validate()?;
        self.backbone.validate(self.input)
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
