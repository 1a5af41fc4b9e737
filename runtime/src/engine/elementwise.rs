//! Sums and products of maps.

use tract_onnx::pb::NodeProto;

use super::constants::{Problem, unknown};
use super::graph::{input, name};
use super::program::{Quantization, Step, Task};
use super::regions::{Place, Regions};
use crate::kernels::{Map, Product, Residual};

impl<'a> Regions<'a> {
    /// The quantised sum of two dequantised maps, or of a matrix product and its bias. A sum becomes part of the
    /// convolution that makes one of the maps, where nothing else reads that.
    pub fn sum(
        &mut self,
        node: &'a NodeProto,
        sum: Quantization,
        clamp: [i8; 2],
    ) -> Result<Option<Place>, Problem> {
        let [a, b] = &node.input[..] else {
            return Ok(None);
        };
        let (a, b) = (&a[..], &b[..]);
        for (product, bias) in [(a, b), (b, a)] {
            let maker = self.graph.maker(product).map(|(_, node)| node);
            if let Some(product) = maker.filter(|node| node.op_type == "MatMul") {
                return self.product(product, Some(bias), sum, clamp);
            }
        }
        let Some([a, b]) = self.two_maps(node)? else {
            return Ok(None);
        };
        let ((last, tensor), (other, _)) = if a.0.map > b.0.map { (a, b) } else { (b, a) };
        if self.map(last) != self.map(other) || self.graph.shape(a.1) != self.graph.shape(b.1) {
            return unknown("the sum of maps of different shapes");
        }
        let residual = Residual {
            scale: last.quantization.scale,
            other_scale: other.quantization.scale,
            other_zero_point: other.quantization.zero_point,
            sum_scale: sum.scale,
            sum_zero_point: sum.zero_point,
        };
        let alone = self.is_read_once(tensor);
        let zero_point = last.quantization.zero_point;
        let steps = &mut self.regions[last.region].steps;
        let step = last.map.checked_sub(1).map(|index| &mut steps[index]);
        let place = match (alone, step) {
            (
                Some(summand),
                Some(Step {
                    task: Task::Convolution(task),
                    other: free @ None,
                    ..
                }),
            ) if task.requantization.zero_point == zero_point => {
                task.residual = Some(residual);
                *free = Some(other.map);
                // What is in its map is now the sum.
                self.places.remove(summand);
                Place {
                    quantization: sum,
                    ..last
                }
            }
            _ => {
                let (task, map) = (Task::Add(residual, zero_point), self.map(last));
                self.push(name(node), task, last, Some(other), map, sum)?
            }
        };
        self.clamped(place, clamp, name(node)).map(Some)
    }

    /// The quantised product of two dequantised maps, of the same shape or one of them a single pixel.
    pub fn multiplication(
        &mut self,
        node: &'a NodeProto,
        quantization: Quantization,
        clamp: [i8; 2],
    ) -> Result<Option<Place>, Problem> {
        let Some([a, b]) = self.two_maps(node)? else {
            return Ok(None);
        };
        let (shape, other_shape) = (self.graph.shape(a.1), self.graph.shape(b.1));
        let is_gate = |map: Map, shape: Option<&[usize]>| {
            map.pixels() == 1 && shape.is_some_and(|shape| shape.len() == 4)
        };
        let maps = [self.map(a.0), self.map(b.0)];
        let ((values, _), (factors, _)) = if maps[0] == maps[1] && shape == other_shape {
            (a, b)
        } else if maps[0].channels != maps[1].channels {
            return unknown("the product of maps of different shapes");
        } else if is_gate(maps[1], other_shape) {
            (a, b)
        } else if is_gate(maps[0], shape) {
            (b, a)
        } else {
            return unknown("the product of maps of different shapes");
        };
        let map = self.map(values);
        if map.pixel != self.map(factors).pixel {
            return unknown("the product of an image and a map");
        }
        let product = Product {
            zero_points: [values, factors].map(|place| place.quantization.zero_point),
            multiplier: values.quantization.scale * factors.quantization.scale / quantization.scale,
            zero_point: quantization.zero_point,
        };
        let task = Task::Multiply(product);
        let place = self.push(name(node), task, values, Some(factors), map, quantization)?;
        self.clamped(place, clamp, name(node)).map(Some)
    }

    /// The two dequantised maps that `node` reads, each with its float tensor.
    fn two_maps(&self, node: &'a NodeProto) -> Result<Option<[(Place, &'a str); 2]>, Problem> {
        let [a, b] = &node.input[..] else {
            return Ok(None);
        };
        let (a, b) = (&a[..], &b[..]);
        match (self.dequantized(a), self.dequantized(b)) {
            (None, None) => Ok(None),
            (Some(first), Some(second)) if first.region == second.region => {
                Ok(Some([(first, a), (second, b)]))
            }
            (Some(_), Some(_)) => unknown("its inputs are in two parts of the network"),
            _ => unknown("one of its inputs is not a map of the int8 engine"),
        }
    }

    /// The quantised tensor behind the dequantised `tensor`, if nothing but its one reader needs its map.
    fn is_read_once(&self, tensor: &str) -> Option<&'a str> {
        let (_, dequantizer) = self.graph.maker(tensor)?;
        let quantized = input(dequantizer, 0)?;
        let place = self.places.get(quantized)?;
        let in_map = |other: &&Place| (other.region, other.map) == (place.region, place.map);
        let alone = self.graph.is_read_once(tensor)
            && self.graph.is_read_once(quantized)
            && self.places.values().filter(in_map).count() == 1;
        alone.then_some(quantized)
    }
}
