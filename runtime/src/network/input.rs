//! What a network takes of one photo.

use crate::kernels::Map;

/// How a network whose first operation is `QuantizeLinear` stores its quantised input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Shape of the map.
    pub map: Map,
    /// Scale of the quantisation.
    pub scale: f32,
    /// The int8 that stands for zero.
    pub zero_point: i8,
}

/// One photo in the form that a network takes; see [`super::Network::new_input`].
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Values \[3, height, width\].
    Float(Vec<f32>),
    /// A map of the network's [`Entry`].
    Int8(Vec<i8>),
}
