//! ONNX files: writing a folded network as one, and the metadata that one carries.
//!
//! A file has one input `image` f32 \[1, 3, height, width\] and one output `probabilities` f32 \[1, K\]. Nodes
//! bear the names of their layers. The same arguments always give the same bytes. The graph is the last field
//! of the file, so a file cut short anywhere is recognised as such.

mod decoder;
mod float;
mod graph;
mod proto;
mod quantized;

use std::collections::BTreeMap;

use prost::Message;

use crate::metadata::{Metadata, MetadataError};
use crate::network::{Layer, Network};
use crate::quantization::Quantization;
use crate::shape::Shape;
use crate::weights::{Weights, WeightsError};

use graph::Graph;
use proto::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// Version of the file format.
const IR_VERSION: i64 = 8;
/// Version of the standard operators.
const OPERATOR_SET: i64 = 13;

/// A network that can't be written, or a file that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// A layer that is for training only.
    #[error("layer {0} can't be written to ONNX: fold the network first")]
    NotFolded(String),
    /// The weights don't suit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The quantisation does not suit the network.
    #[error("layer {layer} {problem}")]
    Quantization {
        /// The layer.
        layer: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The metadata can't be written.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The metadata is that of another network.
    #[error("metadata says {metadata}, but the network has {network}")]
    Mismatch {
        /// What the metadata says.
        metadata: String,
        /// What the network has.
        network: String,
    },
    /// Bytes that are not an ONNX file, or a part of one.
    #[error("not an ONNX file, or a truncated one: {0}")]
    Format(#[from] prost::DecodeError),
    /// A file without a graph: an empty or truncated one.
    #[error("not an ONNX file, or a truncated one: there is no graph")]
    NoGraph,
}

/// Writes a folded network in f32.
///
/// # Errors
/// When the network is not folded, or weights or metadata don't suit it.
pub fn float(
    network: &Network,
    weights: &Weights,
    metadata: &Metadata,
) -> Result<Vec<u8>, OnnxError> {
    weights.check(network)?;
    check_metadata(network, metadata)?;
    file(float::graph(network, weights)?, metadata)
}

/// Writes a folded network whose convolutions and sums are in int8: `QLinearConv` with per-channel weights,
/// ReLU6 by saturation, sums between `DequantizeLinear` and `QuantizeLinear`. What follows the last of them
/// stays in f32, with its weights from `weights`.
///
/// # Errors
/// When the network is not folded, or weights, quantisation or metadata don't suit it.
pub fn quantized(
    network: &Network,
    weights: &Weights,
    quantization: &Quantization,
    metadata: &Metadata,
) -> Result<Vec<u8>, OnnxError> {
    weights.check(network)?;
    check_metadata(network, metadata)?;
    file(quantized::graph(network, weights, quantization)?, metadata)
}

/// The `metadata_props` of a file.
///
/// # Errors
/// When the bytes are not an ONNX file, or a part of one.
pub fn properties(file: &[u8]) -> Result<BTreeMap<String, String>, OnnxError> {
    let properties = Envelope::read(file)?.metadata_props.into_iter();
    Ok(properties.map(|entry| (entry.key, entry.value)).collect())
}

/// The file with all its `metadata_props` replaced by those of `metadata`; its graph stays as it is.
///
/// # Errors
/// When the bytes are not an ONNX file, or the metadata can't be written.
pub fn with_metadata(file: &[u8], metadata: &Metadata) -> Result<Vec<u8>, OnnxError> {
    let mut envelope = Envelope::read(file)?;
    envelope.metadata_props = entries(metadata)?;
    Ok(envelope.write())
}

/// Declares the input of a graph.
fn declare_image(graph: &mut Graph, layer: &Layer) {
    graph.input(&layer.name, &dims(layer.output));
}

/// Declares `value`, of the network's last layer, as the output of a graph.
fn declare_output(graph: &mut Graph, network: &Network, value: &str) {
    let shape = network.layers[network.output()].output;
    graph.output(value, &dims(shape));
}

/// A shape with the batch dimension, which is 1.
fn dims(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Map {
            channels,
            height,
            width,
        } => vec![1, channels, height, width],
        Shape::Vector(length) => vec![1, length],
        Shape::Matrix { rows, columns } => vec![1, rows, columns],
    }
}

fn check_metadata(network: &Network, metadata: &Metadata) -> Result<(), OnnxError> {
    let shape = |index: usize| network.layers.get(index).map(|layer| layer.output);
    let output = network.layers.len().checked_sub(1).and_then(shape);
    let (height, width) = (metadata.preprocessing.height, metadata.preprocessing.width);
    let image = Shape::Map {
        channels: 3,
        height,
        width,
    };
    let labels = Shape::Vector(metadata.labels.len());
    for (what, says, has) in [("input", image, shape(0)), ("output", labels, output)] {
        if has != Some(says) {
            let has = has.map_or("none".into(), |shape| shape.to_string());
            return Err(OnnxError::Mismatch {
                metadata: format!("{what} {says}"),
                network: format!("{what} {has}"),
            });
        }
    }
    Ok(())
}

fn entries(metadata: &Metadata) -> Result<Vec<StringStringEntryProto>, OnnxError> {
    let properties = metadata.to_properties()?.into_iter();
    Ok(properties
        .map(|(key, value)| StringStringEntryProto { key, value })
        .collect())
}

fn file(graph: GraphProto, metadata: &Metadata) -> Result<Vec<u8>, OnnxError> {
    let header = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "graphtag".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: None,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPERATOR_SET,
        }],
        metadata_props: entries(metadata)?,
    };
    let body = ModelProto {
        graph: Some(graph),
        ..Default::default()
    };
    // Concatenated messages are one message with the fields of both (protobuf encoding, "Last One Wins").
    Ok([header.encode_to_vec(), body.encode_to_vec()].concat())
}

/// `ModelProto` with every field but the metadata left as bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(bytes = "vec", tag = "2")]
    producer_name: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    producer_version: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    domain: Vec<u8>,
    #[prost(int64, tag = "5")]
    model_version: i64,
    #[prost(bytes = "vec", tag = "6")]
    doc_string: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    graph: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    opset_import: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<StringStringEntryProto>,
    #[prost(bytes = "vec", repeated, tag = "20")]
    training_info: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "25")]
    functions: Vec<Vec<u8>>,
}

impl Envelope {
    fn read(file: &[u8]) -> Result<Self, OnnxError> {
        let envelope = Envelope::decode(file)?;
        if envelope.graph.is_empty() {
            return Err(OnnxError::NoGraph);
        }
        Ok(envelope)
    }

    /// The bytes, with the graph at the end.
    fn write(mut self) -> Vec<u8> {
        let body = Envelope {
            graph: std::mem::take(&mut self.graph),
            ..Default::default()
        };
        [self.encode_to_vec(), body.encode_to_vec()].concat()
    }
}
