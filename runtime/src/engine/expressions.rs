//! Functions of the values of a single map, by table.

use tract_onnx::pb::NodeProto;

use super::constants::{Problem, floats, unknown};
use super::graph::{float, input};
use super::program::{Quantization, Task};
use super::regions::{Place, Regions};
use crate::kernels::{Map, Table, quantize};

/// How deep an expression of one tensor may be nested.
pub(super) const MAX_DEPTH: usize = 8;

/// A float for every int8, in the order of [`Table`].
pub(super) type Values = Box<[f32; 256]>;

impl<'a> Regions<'a> {
    /// If the float tensor `tensor` is a function of single values of one map: the quantised values, by a table.
    pub fn expression(
        &mut self,
        tensor: &str,
        quantization: Quantization,
        name: &str,
    ) -> Result<Option<Place>, Problem> {
        let Some((place, values)) = self.values(tensor, MAX_DEPTH) else {
            return Ok(None);
        };
        let Quantization { scale, zero_point } = quantization;
        let table = values.map(|value| quantize(value, scale, zero_point));
        self.look_up(place, table, quantization, name).map(Some)
    }

    /// A step that replaces every value by that of a table, unless that is the value itself.
    fn look_up(
        &mut self,
        from: Place,
        table: [i8; 256],
        quantization: Quantization,
        name: &str,
    ) -> Result<Place, Problem> {
        if (0..=u8::MAX).all(|byte| table[usize::from(byte)] == byte as i8) {
            return Ok(Place {
                quantization,
                ..from
            });
        }
        let map = whole(self.map(from));
        let table = Table::new(table);
        let task = Task::Lookup(Box::new(table));
        self.push(name, task, from, None, map, quantization)
    }

    /// The map at a place quantised anew.
    pub fn requantized(
        &mut self,
        place: Place,
        to: Quantization,
        name: &str,
    ) -> Result<Place, Problem> {
        let values = dequantized_values(place.quantization);
        let table = values.map(|value| quantize(value, to.scale, to.zero_point));
        self.look_up(place, table, to, name)
    }

    /// Keeps the values of a map within bounds.
    pub fn clamped(
        &mut self,
        place: Place,
        [low, high]: [i8; 2],
        name: &str,
    ) -> Result<Place, Problem> {
        let table = std::array::from_fn(|byte| (byte as u8 as i8).max(low).min(high));
        self.look_up(place, table, place.quantization, name)
    }

    /// What clamps `tensor`: the tensor before, and the bounds.
    pub fn unclamped(&self, mut tensor: &'a str) -> Result<(&'a str, [f32; 2]), Problem> {
        let mut bounds = [f32::NEG_INFINITY, f32::INFINITY];
        loop {
            if let Some(inner) = self.graph.reshaped(tensor) {
                tensor = inner;
                continue;
            }
            let Some((_, node)) = self.graph.maker(tensor) else {
                break;
            };
            let Some([low, high]) = self.bounds(node) else {
                break;
            };
            if low.is_nan() || high.is_nan() || low > high {
                return unknown("a clamp without a range");
            }
            // What comes later clamps what came before.
            bounds = [low, high].map(|bound| bound.max(bounds[0]).min(bounds[1]));
            match input(node, 0) {
                Some(inner) => tensor = inner,
                None => break,
            }
        }
        Ok((tensor, bounds))
    }

    /// The bounds of a `Relu` or `Clip`.
    fn bounds(&self, node: &NodeProto) -> Option<[f32; 2]> {
        let bound = |index: usize, attribute: &str, default: f32| match input(node, index) {
            Some(tensor) => self.scalar(tensor),
            None => Some(float(node, attribute, default)),
        };
        match &node.op_type[..] {
            "Relu" => Some([0.0, f32::INFINITY]),
            "Clip" => Some([
                bound(1, "min", f32::NEG_INFINITY)?,
                bound(2, "max", f32::INFINITY)?,
            ]),
            _ => None,
        }
    }

    /// The one value of a constant.
    fn scalar(&self, tensor: &str) -> Option<f32> {
        match floats(self.graph.constant(tensor)?).ok()?[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// What `tensor` is for each value of the one map that it is a function of.
    pub fn values(&self, tensor: &str, depth: usize) -> Option<(Place, Values)> {
        if let Some(place) = self.dequantized(tensor) {
            return Some((place, dequantized_values(place.quantization)));
        }
        let depth = depth.checked_sub(1)?;
        if let Some(inner) = self.graph.reshaped(tensor) {
            return self.values(inner, depth);
        }
        let (_, node) = self.graph.maker(tensor)?;
        if let [a, b] = &node.input[..]
            && let Some(function) = binary(&node.op_type)
        {
            return match (self.scalar(a), self.scalar(b)) {
                (None, Some(b)) => self.map_values(a, depth, |a| function(a, b)),
                (Some(a), None) => self.map_values(b, depth, |b| function(a, b)),
                (Some(_), Some(_)) => None,
                (None, None) => {
                    let ((place, a), (other, b)) = (self.values(a, depth)?, self.values(b, depth)?);
                    let is_same = (place.region, place.map) == (other.region, other.map);
                    let value = |byte| function(a[byte], b[byte]);
                    is_same.then(|| (place, Box::new(std::array::from_fn(value))))
                }
            };
        }
        if let Some([low, high]) = self.bounds(node) {
            return self.map_values(&node.input[0], depth, |x| x.max(low).min(high));
        }
        let function = unary(node)?;
        self.map_values(&node.input[0], depth, function)
    }

    fn map_values(
        &self,
        tensor: &str,
        depth: usize,
        function: impl Fn(f32) -> f32,
    ) -> Option<(Place, Values)> {
        let (place, values) = self.values(tensor, depth)?;
        Some((place, Box::new(values.map(function))))
    }
}

/// What every int8 stands for.
fn dequantized_values(quantization: Quantization) -> Values {
    let Quantization { scale, zero_point } = quantization;
    let value = |byte| (f32::from(byte as u8 as i8) - f32::from(zero_point)) * scale;
    Box::new(std::array::from_fn(value))
}

/// A map of the same shape that any kernel can write.
fn whole(map: Map) -> Map {
    Map::new([map.height, map.width], map.channels)
}

fn binary(operation: &str) -> Option<fn(f32, f32) -> f32> {
    Some(match operation {
        "Add" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        "Max" => f32::max,
        "Min" => f32::min,
        _ => return None,
    })
}

fn unary(node: &NodeProto) -> Option<Box<dyn Fn(f32) -> f32>> {
    let alpha = |default| float(node, "alpha", default);
    Some(match &node.op_type[..] {
        "Sigmoid" => Box::new(|x: f32| (1.0 / (1.0 + (-f64::from(x)).exp())) as f32),
        "Tanh" => Box::new(|x: f32| f64::from(x).tanh() as f32),
        "HardSigmoid" => {
            let (alpha, beta) = (alpha(0.2), float(node, "beta", 0.5));
            Box::new(move |x: f32| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "HardSwish" => Box::new(|x: f32| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "LeakyRelu" => {
            let alpha = alpha(0.01);
            Box::new(move |x: f32| if x < 0.0 { alpha * x } else { x })
        }
        "Elu" => {
            let alpha = f64::from(alpha(1.0));
            Box::new(move |x: f32| {
                if x < 0.0 {
                    (alpha * f64::from(x).exp_m1()) as f32
                } else {
                    x
                }
            })
        }
        _ => return None,
    })
}
