//! Convolutions, and what all operations with weights have in common.

use tract_onnx::pb::NodeProto;

use super::constants::{
    Constants, Problem, Weights, check_scale, floats, integers as stored_integers, malformed,
    per_channel, unknown,
};
use super::graph::{input, name};
use super::program::{Quantization, Task};
use super::regions::{MAX_BYTES, Place, Regions};
use super::windows::{groups, window};
use crate::kernels::{Convolution, Depthwise, Map, Requantization, Window};

/// Channels that packing may pad to.
const PADDED_CHANNELS: usize = 64;

/// How far the stored scale of a bias may be from that of the products that it is added to, relative.
const BIAS_SCALE_TOLERANCE: f32 = 1e-4;

/// What a step with weights computes.
pub(super) struct Layer<'a> {
    pub name: &'a str,
    pub from: Place,
    pub window: Window,
    pub groups: usize,
    pub output: Map,
    pub weights: Weights,
    pub bias: Vec<i32>,
    pub quantization: Quantization,
    pub clamp: [i8; 2],
}

impl<'a> Regions<'a> {
    /// A `QLinearConv`.
    pub fn quantized_convolution(&mut self, node: &NodeProto) -> Result<Place, Problem> {
        let (constants, from) = self.quantized_operands(node)?;
        let weights = Weights::of(&constants, 3, 0)?;
        let output = self.output_map(&node.output[0])?;
        let bias = match input(node, 8) {
            Some(_) => per_channel(stored_integers(constants.stored(8)?)?, output.channels)?,
            None => vec![0; output.channels],
        };
        let quantization = constants.quantization(6)?;
        let clamp = [i8::MIN, i8::MAX];
        self.push_convolution(node, from, weights, bias, quantization, clamp)
    }

    /// The constants of an operation that is quantised by itself, and the map that it reads, with the quantisation
    /// that it states for it.
    pub(super) fn quantized_operands<'n>(
        &self,
        node: &'n NodeProto,
    ) -> Result<(Constants<'n>, Place), Problem>
    where
        'a: 'n,
    {
        let Some(place) = self.place(node, 0) else {
            return unknown("its input is not a map of the int8 engine");
        };
        let graph = self.graph;
        let constants = Constants { graph, node };
        let quantization = constants.quantization(1)?;
        Ok((
            constants,
            Place {
                quantization,
                ..place
            },
        ))
    }

    /// A `Conv` of dequantised activations and weights, whose output is quantised.
    pub fn convolution(
        &mut self,
        node: &NodeProto,
        quantization: Quantization,
        clamp: [i8; 2],
    ) -> Result<Option<Place>, Problem> {
        let Some(from) = input(node, 0).and_then(|tensor| self.dequantized(tensor)) else {
            return Ok(None);
        };
        let weights = Weights::dequantized(self.graph, input(node, 1).unwrap_or_default())?;
        let output = self.output_map(&node.output[0])?;
        let bias = self.bias(input(node, 2), from, &weights, output.channels)?;
        let place = self.push_convolution(node, from, weights, bias, quantization, clamp)?;
        Ok(Some(place))
    }

    fn push_convolution(
        &mut self,
        node: &NodeProto,
        from: Place,
        weights: Weights,
        bias: Vec<i32>,
        quantization: Quantization,
        clamp: [i8; 2],
    ) -> Result<Place, Problem> {
        let output = self.output_map(&node.output[0])?;
        let map = self.map_seen(node, from)?;
        self.push_layer(Layer {
            name: name(node),
            from,
            window: window(node, &weights.dimensions, map, output)?,
            groups: groups(node)?,
            output,
            weights,
            bias,
            quantization,
            clamp,
        })
    }

    /// The bias `tensor` in steps of the products' scale.
    pub(super) fn bias(
        &self,
        tensor: Option<&str>,
        from: Place,
        weights: &Weights,
        channels: usize,
    ) -> Result<Vec<i32>, Problem> {
        let Some(tensor) = tensor else {
            return Ok(vec![0; channels]);
        };
        let weight_scales = per_channel(weights.scales.clone(), channels)?;
        let steps = weight_scales
            .iter()
            .map(|scale| scale * from.quantization.scale);
        if let Some(constant) = self.graph.constant(tensor) {
            let values = per_channel(floats(constant)?, channels)?.into_iter();
            let values = values.zip(steps).map(|(value, step)| value / step);
            return Ok(values.map(|value| value.round_ties_even() as i32).collect());
        }
        let stored = Weights::dequantized(self.graph, tensor)?;
        if stored.zero_points.iter().any(|&zero_point| zero_point != 0) {
            return unknown("a bias with a zero point");
        }
        let scales = per_channel(stored.scales, channels)?;
        let values = per_channel(stored.values, channels)?;
        let in_steps = |((value, scale), step): ((i32, f32), f32)| {
            if (scale / step - 1.0).abs() < BIAS_SCALE_TOLERANCE {
                return value;
            }
            (f64::from(value) * f64::from(scale) / f64::from(step)).round_ties_even() as i32
        };
        let biases = values.into_iter().zip(scales).zip(steps);
        Ok(biases.map(in_steps).collect())
    }

    pub(super) fn push_layer(&mut self, layer: Layer) -> Result<Place, Problem> {
        let Layer {
            name,
            from,
            window,
            groups,
            output,
            weights,
            bias,
            quantization,
            clamp: [low, high],
        } = layer;
        let input = self.map(from);
        let is_depthwise = groups == input.channels && groups == output.channels;
        let per_group = match groups {
            1 => input.channels,
            _ if is_depthwise => 1,
            groups => return unknown(format!("{groups} groups of channels")),
        };
        // What padding makes of the largest file that is read still fits.
        let padded = [output.pixel, per_group].map(|channels| channels.max(PADDED_CHANNELS));
        let packed = padded[0]
            .saturating_mul(padded[1])
            .saturating_mul(window.taps());
        if packed > MAX_BYTES {
            return unknown("too large");
        }
        if groups != 1 && !input.pixel.is_multiple_of(crate::kernels::LANES) {
            return unknown("a depthwise convolution of an image");
        }
        let values = centred(&weights, output.channels)?;
        if values.len() != output.channels * window.taps() * per_group {
            return malformed("weights for other channels");
        }
        let read = from.quantization;
        let mut multipliers = vec![0.0; output.pixel];
        let scales = per_channel(weights.scales, output.channels)?;
        for (multiplier, scale) in multipliers.iter_mut().zip(scales) {
            *multiplier = read.scale * check_scale(scale)? / quantization.scale;
            if !multiplier.is_finite() {
                return malformed("scales that are too far apart");
            }
        }
        let requantization = Requantization {
            multipliers,
            zero_point: quantization.zero_point,
            low,
            high,
        };
        let (maps, zero_point) = ([input, output], read.zero_point);
        let task = if groups == 1 {
            let task = Convolution::new(maps, window, &values, &bias, zero_point, requantization);
            Task::Convolution(Box::new(task))
        } else {
            let task = Depthwise::new(maps, window, &values, &bias, zero_point, requantization);
            Task::Depthwise(Box::new(task))
        };
        self.push(name, task, from, None, output, quantization)
    }
}

/// Weights without their zero points, which must fit into int8.
fn centred(weights: &Weights, channels: usize) -> Result<Vec<i8>, Problem> {
    if channels == 0 || !weights.values.len().is_multiple_of(channels) {
        return malformed("weights for other channels");
    }
    if weights.axis != 0 && weights.scales.len().max(weights.zero_points.len()) > 1 {
        return unknown("scales along another axis than that of the outputs");
    }
    let zero_points = per_channel(weights.zero_points.clone(), channels)?;
    let per_channel = weights.values.chunks_exact(weights.values.len() / channels);
    let centred = per_channel
        .zip(zero_points)
        .flat_map(|(values, zero_point)| {
            let centred = move |&value: &i32| i8::try_from(value.wrapping_sub(zero_point));
            values.iter().map(centred)
        });
    let centred: Result<Vec<i8>, _> = centred.collect();
    centred.or_else(|_| unknown("weights that are no int8 without their zero point"))
}
