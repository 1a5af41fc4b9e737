//! What a graphtag model *is*: architectures as data, their costs, the ONNX files they become, the
//! metadata these carry, and the models that ship.
//!
//! An [`Architecture`] lowers to one [`Network`], a typed list of layers. Training interprets that
//! list, [`cost`] counts it, [`onnx`] writes it, and [`Weights`] are named after its layers, so there
//! is no second description of a network anywhere.

mod adjacency;
mod architecture;
mod backbone;
mod channels;
pub mod cost;
mod fold;
mod golden;
mod head;
pub mod labels;
mod metadata;
mod network;
pub mod onnx;
mod operation;
pub mod quantization;
mod shape;
mod weights;
pub mod zoo;

pub use adjacency::{AdjacencySettings, adjacency};
pub use architecture::{Architecture, ArchitectureError, InputSize};
pub use backbone::{Backbone, EfficientNet, MobileNetV3};
pub use channels::Channels;
pub use fold::{FoldError, fold, fold_batch_norm, folded, without_batch_norm};
pub use golden::{Golden, MAX_GOLDEN_BYTES};
pub use head::{Classifier, GraphLayer, Head};
pub use metadata::{
    Accuracy, ColorOrder, Filter, Metadata, MetadataError, Preprocessing, Provenance, Resize,
    SCHEMA_VERSION,
};
pub use network::{Layer, Network, Parameter};
pub use operation::{Activation, Convolution, Operation};
pub use quantization::{Quantization, QuantizationParameters, QuantizedConvolution};
pub use shape::Shape;
pub use weights::{Tensor, Weights, WeightsError};
