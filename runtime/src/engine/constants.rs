//! Constants of a quantised node.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cast::Cast;

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

/// Everything the engine refuses in a scale.
pub(super) fn check_scale(scale: f32) -> Result<f32, Problem> {
    if scale.is_normal() && scale > 0.0 {
        return Ok(scale);
    }
    let problem = format!("the scale {scale} is not a positive number");
    Err(Problem::Malformed(problem))
}

/// The constant at `outlet`, also behind a cast.
fn constant(model: &TypedModel, outlet: OutletId) -> Result<Arc<Tensor>, Problem> {
    let found = model.outlet_fact(outlet).ok();
    if let Some(constant) = found.and_then(|fact| fact.konst.clone()) {
        return Ok(constant);
    }
    let node = model.node(outlet.node);
    match node.op_as::<Cast>() {
        Some(_) => constant(model, node.inputs[0]),
        None => unknown(format!("{} is not constant", node.name)),
    }
}

/// The values of a constant as `T`.
pub(super) fn values<T: Datum + Copy>(
    model: &TypedModel,
    outlet: OutletId,
) -> Result<Vec<T>, Problem> {
    let constant = constant(model, outlet)?;
    let values = || -> TractResult<Vec<T>> {
        let cast = constant.cast_to::<T>()?;
        Ok(cast.try_as_plain_ram()?.as_slice::<T>()?.to_vec())
    };
    values().map_err(|error| Problem::Unknown(error.root_cause().to_string()))
}

/// The one value of a constant.
pub(super) fn value<T: Datum + Copy>(model: &TypedModel, outlet: OutletId) -> Result<T, Problem> {
    match values(model, outlet)?[..] {
        [value] => Ok(value),
        _ => unknown("one scale per channel of a feature map"),
    }
}

/// One value per channel, of a constant that holds one or as many as there are channels.
pub(super) fn per_channel<T: Datum + Copy>(
    model: &TypedModel,
    outlet: OutletId,
    channels: usize,
) -> Result<Vec<T>, Problem> {
    let values = values(model, outlet)?;
    match values.len() {
        1 => Ok(vec![values[0]; channels]),
        length if length == channels => Ok(values),
        length => Err(Problem::Malformed(format!(
            "{length} values for {channels} channels"
        ))),
    }
}

/// An int8 that stands for what `zero_point` stands for among the values of type `kind`: u8 are stored less 128.
pub(super) fn zero_point(zero_point: i32, kind: DatumType) -> Result<i8, Problem> {
    let shifted = match kind {
        DatumType::U8 => zero_point - 128,
        DatumType::I8 => zero_point,
        other => return unknown(format!("activations of type {other:?}")),
    };
    i8::try_from(shifted)
        .map_err(|_| Problem::Malformed(format!("the zero point {zero_point} is out of range")))
}
