//! Constants of a quantised node.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{NodeProto, TensorProto};

use super::graph::{Graph, input, integer};
use super::program::Quantization;

/// Why a node is not taken by the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is left to tract.
    Unknown(String),
    /// It is malformed: nobody may run it.
    Malformed(String),
}

pub(super) fn unknown<T>(reason: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Unknown(reason.into()))
}

pub(super) fn malformed<T>(problem: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Malformed(problem.into()))
}

/// Everything the engine refuses in a scale.
pub(super) fn check_scale(scale: f32) -> Result<f32, Problem> {
    if scale.is_normal() && scale > 0.0 {
        return Ok(scale);
    }
    malformed(format!("the scale {scale} is not a positive number"))
}

/// The values of a constant of floats.
pub(super) fn floats(tensor: &TensorProto) -> Result<Vec<f32>, Problem> {
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if tensor.raw_data.is_empty() => Ok(tensor.float_data.clone()),
        Ok(DataType::Float) => {
            let bytes = tensor.raw_data.as_chunks().0.iter();
            Ok(bytes.map(|&bytes| f32::from_le_bytes(bytes)).collect())
        }
        _ => unknown(format!("{} is not of 32-bit floats", tensor.name)),
    }
}

/// The values of a constant of bytes or 32-bit integers.
pub(super) fn integers(tensor: &TensorProto) -> Result<Vec<i32>, Problem> {
    let (raw, fields) = (tensor.raw_data.iter(), &tensor.int32_data);
    let (values, range): (Vec<i32>, _) = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Int8) => (raw.map(|&byte| i32::from(byte as i8)).collect(), -128..=127),
        Ok(DataType::Uint8) => (raw.map(|&byte| i32::from(byte)).collect(), 0..=255),
        Ok(DataType::Int32) => {
            let raw = tensor.raw_data.as_chunks().0.iter();
            let values = raw.map(|&bytes| i32::from_le_bytes(bytes));
            (values.collect(), i32::MIN..=i32::MAX)
        }
        _ => return unknown(format!("{} is not of 8-bit integers", tensor.name)),
    };
    match fields.iter().find(|value| !range.contains(value)) {
        Some(value) => malformed(format!(
            "{} holds {value}, which is out of range",
            tensor.name
        )),
        None if values.is_empty() => Ok(fields.clone()),
        None => Ok(values),
    }
}

/// One value per channel, of a constant that holds one or as many as there are channels.
pub(super) fn per_channel<T: Copy>(values: Vec<T>, channels: usize) -> Result<Vec<T>, Problem> {
    match values.len() {
        1 => Ok(vec![values[0]; channels]),
        length if length == channels => Ok(values),
        length => malformed(format!("{length} values for {channels} channels")),
    }
}

/// The constants of a node's inputs.
pub(super) struct Constants<'a> {
    pub graph: &'a Graph<'a>,
    pub node: &'a NodeProto,
}

impl<'a> Constants<'a> {
    /// Input `index` of the node, which must be stored in the file.
    pub fn stored(&self, index: usize) -> Result<&'a TensorProto, Problem> {
        match input(self.node, index) {
            None => unknown(format!("no input {index}")),
            Some(tensor) => match self.graph.constant(tensor) {
                Some(constant) => Ok(constant),
                None => unknown(format!("{tensor} is not constant")),
            },
        }
    }

    /// The one scale and zero point of a tensor of activations, at inputs `index` and the next.
    pub fn quantization(&self, index: usize) -> Result<Quantization, Problem> {
        let scale = match floats(self.stored(index)?)?[..] {
            [scale] => check_scale(scale)?,
            _ => return unknown("one scale per channel of a feature map"),
        };
        if input(self.node, index + 1).is_none() {
            // Without a zero point, ONNX takes u8 with 0.
            return Ok(Quantization {
                scale,
                zero_point: i8::MIN,
            });
        }
        let stored = self.stored(index + 1)?;
        let offset = match DataType::try_from(stored.data_type) {
            Ok(DataType::Uint8) => 128,
            Ok(DataType::Int8) => 0,
            _ => return unknown("activations that are not of 8 bits"),
        };
        let zero_point = match integers(stored)?[..] {
            [zero_point] => zero_point - offset,
            _ => return unknown("one zero point per channel of a feature map"),
        };
        Ok(Quantization {
            scale,
            zero_point: zero_point as i8,
        })
    }
}

/// Constant weights: the integers, and the scale and zero point of each channel.
pub(super) struct Weights {
    pub dimensions: Vec<usize>,
    pub values: Vec<i32>,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i32>,
    /// The axis along which the scales are, where there are several.
    pub axis: usize,
}

impl Weights {
    /// Inputs `index`, `index + 1` and `index + 2` of a node: values, scales and zero points.
    pub fn of(constants: &Constants, index: usize, axis: usize) -> Result<Weights, Problem> {
        let stored = constants.stored(index)?;
        let dimensions = stored.dims.iter().map(|&side| side.max(0) as usize);
        let scales = floats(constants.stored(index + 1)?)?;
        for &scale in &scales {
            check_scale(scale)?;
        }
        let zero_points = match input(constants.node, index + 2) {
            Some(_) => integers(constants.stored(index + 2)?)?,
            None => vec![0],
        };
        Ok(Weights {
            dimensions: dimensions.collect(),
            values: integers(stored)?,
            scales,
            zero_points,
            axis,
        })
    }

    /// Of the constant that `tensor` dequantises.
    pub fn dequantized(graph: &Graph, tensor: &str) -> Result<Weights, Problem> {
        let node = graph.maker(tensor).map(|(_, node)| node);
        let Some(node) = node.filter(|node| node.op_type == "DequantizeLinear") else {
            return unknown("its weights are not quantised");
        };
        let constants = Constants { graph, node };
        let axis = integer(node, "axis", 1);
        let rank = constants.stored(0)?.dims.len() as i64;
        let axis = if axis < 0 { axis + rank } else { axis };
        Weights::of(&constants, 0, axis.max(0) as usize)
    }
}
