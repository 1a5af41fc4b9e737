//! Operations that look at a window of each channel, without weights.

use tract_onnx::pb::NodeProto;

use super::constants::{Problem, unknown};
use super::expressions::MAX_DEPTH;
use super::graph::{input, integer, integers, name};
use super::program::{Quantization, Task};
use super::regions::{Place, Regions};
use super::windows::pool_window;
use crate::kernels::{AveragePool, LANES, Map, MaxPool, TableMean, Window};

impl<'a> Regions<'a> {
    /// A quantised mean over windows or the whole of a dequantised map.
    pub fn average(
        &mut self,
        node: &NodeProto,
        quantization: Quantization,
        clamp: [i8; 2],
    ) -> Result<Option<Place>, Problem> {
        let Some(from) = input(node, 0).and_then(|tensor| self.dequantized(tensor)) else {
            return self.mean_of_values(node, quantization, clamp);
        };
        let map = self.pooled(node, from)?;
        let (window, output) = if self.is_mean_over_pixels(node) {
            let whole = Window {
                kernel: [map.height, map.width],
                ..Window::POINT
            };
            (whole, Map::new([1, 1], map.channels))
        } else if node.op_type == "AveragePool" {
            if integer(node, "ceil_mode", 0) != 0 {
                return unknown("windows that reach beyond the padding");
            }
            self.window(node, map)?
        } else {
            return unknown("a mean over something else than pixels");
        };
        let task = AveragePool {
            input: map,
            output,
            window,
            with_padding: integer(node, "count_include_pad", 0) != 0,
            input_zero_point: from.quantization.zero_point,
            multiplier: from.quantization.scale / quantization.scale,
            zero_point: quantization.zero_point,
            low: clamp[0],
            high: clamp[1],
        };
        let task = Task::AveragePool(task);
        let place = self.push(name(node), task, from, None, output, quantization)?;
        Ok(Some(place))
    }

    /// The quantised mean over the whole of a map of what a function gives for its values.
    fn mean_of_values(
        &mut self,
        node: &NodeProto,
        quantization: Quantization,
        clamp: [i8; 2],
    ) -> Result<Option<Place>, Problem> {
        let tensor = input(node, 0).filter(|_| self.is_mean_over_pixels(node));
        let Some((from, values)) = tensor.and_then(|tensor| self.values(tensor, MAX_DEPTH)) else {
            return Ok(None);
        };
        let map = self.pooled(node, from)?;
        let Quantization { scale, zero_point } = quantization;
        let task = Task::TableMean(TableMean {
            input: map,
            values,
            scale,
            zero_point,
        });
        let output = Map::new([1, 1], map.channels);
        let place = self.push(name(node), task, from, None, output, quantization)?;
        self.clamped(place, clamp, name(node)).map(Some)
    }

    /// The quantised largest values of a dequantised map: the largest are found before they are quantised anew.
    pub fn maximum(
        &mut self,
        node: &NodeProto,
        quantization: Quantization,
        clamp: [i8; 2],
    ) -> Result<Option<Place>, Problem> {
        let Some(from) = input(node, 0).and_then(|tensor| self.dequantized(tensor)) else {
            return Ok(None);
        };
        let place = self.max_pool(node, from)?;
        let place = self.requantized(place, quantization, name(node))?;
        self.clamped(place, clamp, name(node)).map(Some)
    }

    /// The largest values of the map at `from`.
    pub fn max_pool(&mut self, node: &NodeProto, from: Place) -> Result<Place, Problem> {
        if node.output.len() > 1 {
            return unknown("the places of the largest values are asked for");
        }
        let map = self.pooled(node, from)?;
        let (window, output) = self.window(node, map)?;
        let task = Task::MaxPool(MaxPool {
            input: map,
            output,
            window,
        });
        self.push(name(node), task, from, None, output, from.quantization)
    }

    /// The map that `node` pools.
    fn pooled(&self, node: &NodeProto, from: Place) -> Result<Map, Problem> {
        let map = self.map_seen(node, from)?;
        match map.pixel.is_multiple_of(LANES) {
            true => Ok(map),
            false => unknown("the pooling of an image"),
        }
    }

    fn window(&self, node: &NodeProto, map: Map) -> Result<(Window, Map), Problem> {
        let [height, width] = *integers(node, "kernel_shape") else {
            return unknown("not a window of two dimensions");
        };
        let kernel = [height, width].map(|side| side.clamp(0, i64::from(u16::MAX)) as usize);
        let output = self.output_map(&node.output[0])?;
        if output.channels != map.channels {
            return unknown("not a window of two dimensions");
        }
        Ok((pool_window(node, kernel, map, output)?, output))
    }

    /// Whether `node` is the mean over all pixels of a map.
    pub fn is_mean_over_pixels(&self, node: &NodeProto) -> bool {
        match &node.op_type[..] {
            "GlobalAveragePool" => true,
            "ReduceMean" => {
                let rank = self.graph.shape(&node.input[0]).map(|shape| shape.len());
                let axes = self.graph.axes(node).unwrap_or_default();
                rank == Some(4) && [&[2, 3][..], &[-2, -1]].contains(&&axes[..])
            }
            _ => false,
        }
    }
}
