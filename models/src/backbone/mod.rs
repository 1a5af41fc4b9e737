//! The backbones: what turns the image into a feature map.

mod efficientnet;
mod efficientnet_lite;
mod inverted_residual;
mod mobilenet_v3;
mod parts;
mod tresnet;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::architecture::{ArchitectureError, InputSize};
use crate::network::Network;

pub use efficientnet::EfficientNet;
pub use mobilenet_v3::MobileNetV3;

/// A convolutional backbone; `width` multiplies the channels of the published variant, 1 is the published one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// EfficientNet-Lite: no squeeze-and-excitation, ReLU6, fixed stem and last convolution.
    EfficientNetLite {
        /// 0 to 4.
        variant: u8,
        /// Multiplies the channels.
        width: f32,
    },
    /// EfficientNet and EfficientNetV2.
    EfficientNet {
        /// Which one.
        variant: EfficientNet,
        /// Multiplies the channels.
        width: f32,
    },
    /// MobileNetV3.
    MobileNetV3 {
        /// Which one.
        variant: MobileNetV3,
        /// Multiplies the channels but for those of the layer before the classifier.
        width: f32,
    },
    /// TResNet-L.
    TResNetL {
        /// Multiplies the channels.
        width: f32,
    },
}

/// The published variants by name.
const PUBLISHED: [(&str, Backbone); 12] = [
    ("efficientnet-lite0", lite(0)),
    ("efficientnet-lite1", lite(1)),
    ("efficientnet-lite2", lite(2)),
    ("efficientnet-lite3", lite(3)),
    ("efficientnet-lite4", lite(4)),
    ("efficientnet-b0", efficientnet(EfficientNet::B0)),
    ("efficientnet-v2-b0", efficientnet(EfficientNet::V2B0)),
    ("efficientnet-v2-s", efficientnet(EfficientNet::V2S)),
    ("efficientnet-v2-l", efficientnet(EfficientNet::V2L)),
    ("mobilenet-v3-large", mobilenet(MobileNetV3::Large)),
    ("mobilenet-v3-small", mobilenet(MobileNetV3::Small)),
    ("tresnet-l", Backbone::TResNetL { width: 1.0 }),
];

const fn lite(variant: u8) -> Backbone {
    Backbone::EfficientNetLite {
        variant,
        width: 1.0,
    }
}

const fn efficientnet(variant: EfficientNet) -> Backbone {
    Backbone::EfficientNet {
        variant,
        width: 1.0,
    }
}

const fn mobilenet(variant: MobileNetV3) -> Backbone {
    Backbone::MobileNetV3 {
        variant,
        width: 1.0,
    }
}

/// How many times TResNet halves the image, and with it the squares that its sides are made of.
const TRESNET_SIDES: usize = 32;

impl Backbone {
    /// The names of the published variants.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PUBLISHED.into_iter().map(|(name, _)| name)
    }

    /// What multiplies the channels of the published variant.
    pub fn width(self) -> f32 {
        match self {
            Backbone::EfficientNetLite { width, .. }
            | Backbone::EfficientNet { width, .. }
            | Backbone::MobileNetV3 { width, .. }
            | Backbone::TResNetL { width } => width,
        }
    }

    /// The same variant with its channels times `factor`.
    #[must_use]
    pub fn with_width(mut self, factor: f32) -> Self {
        let (Backbone::EfficientNetLite { width, .. }
        | Backbone::EfficientNet { width, .. }
        | Backbone::MobileNetV3 { width, .. }
        | Backbone::TResNetL { width }) = &mut self;
        *width = factor;
        self
    }

    /// Mean and scale of each colour channel: the published weights take photos as (byte - mean) * scale.
    pub fn normalization(self) -> ([f32; 3], [f32; 3]) {
        let of_imagenet = || {
            let mean = [0.485, 0.456, 0.406].map(|mean: f32| 255.0 * mean);
            let scale = [0.229, 0.224, 0.225].map(|deviation: f32| 1.0 / (255.0 * deviation));
            (mean, scale)
        };
        match self {
            Backbone::EfficientNetLite { .. } => ([127.0; 3], [1.0 / 128.0; 3]),
            Backbone::EfficientNet {
                variant: EfficientNet::V2S | EfficientNet::V2L,
                ..
            } => ([127.5; 3], [1.0 / 127.5; 3]),
            Backbone::EfficientNet { .. } | Backbone::MobileNetV3 { .. } => of_imagenet(),
            Backbone::TResNetL { .. } => ([0.0; 3], [1.0 / 255.0; 3]),
        }
    }

    /// Checks what the types can't: that the variant is known, that its width is within bounds that keep every
    /// count within memory, and that it takes images of this size.
    pub(crate) fn validate(self, input: InputSize) -> Result<(), ArchitectureError> {
        if matches!(self, Backbone::EfficientNetLite { variant: 5.., .. }) {
            return Err(ArchitectureError::UnknownBackbone(self.to_string()));
        }
        if !(0.1..=8.0).contains(&self.width()) {
            return Err(ArchitectureError::Width(self.width()));
        }
        let InputSize { height, width } = input;
        let divides = height % TRESNET_SIDES == 0 && width % TRESNET_SIDES == 0;
        if matches!(self, Backbone::TResNetL { .. }) && !divides {
            return Err(ArchitectureError::Multiple(input, TRESNET_SIDES));
        }
        Ok(())
    }

    /// Appends the backbone to a network that ends with its image; returns the index of the last feature
    /// map.
    pub(crate) fn push(self, network: &mut Network) -> usize {
        match self {
            Backbone::EfficientNetLite { variant, width } => {
                efficientnet_lite::backbone(variant, width).push(network)
            }
            Backbone::EfficientNet { variant, width } => {
                efficientnet::backbone(variant, width).push(network)
            }
            Backbone::MobileNetV3 { variant, width } => {
                mobilenet_v3::backbone(variant, width).push(network)
            }
            Backbone::TResNetL { width } => tresnet::push(network, width),
        }
    }

    /// Appends what the backbone has between pooled features and a classifier.
    pub(crate) fn push_neck(self, network: &mut Network, pooled: usize) -> usize {
        match self {
            Backbone::MobileNetV3 { variant, .. } => {
                mobilenet_v3::push_neck(network, variant, pooled)
            }
            _ => pooled,
        }
    }
}

impl fmt::Display for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let published = self.with_width(1.0);
        let known = PUBLISHED.iter().find(|(_, known)| *known == published);
        match (known, published) {
            (Some((name, _)), _) => f.write_str(name)?,
            (None, unknown) => write!(f, "{unknown:?}")?,
        }
        match self.width() {
            1.0 => Ok(()),
            width => write!(f, " x {width}"),
        }
    }
}

impl FromStr for Backbone {
    type Err = ArchitectureError;

    /// Reads the name of a published variant, such as `efficientnet-lite0`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        PUBLISHED
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, backbone)| backbone)
            .ok_or_else(|| ArchitectureError::UnknownBackbone(name.into()))
    }
}
