//! The int8 form: `QLinearConv`, and every other layer that makes a feature map between `DequantizeLinear` and
//! `QuantizeLinear`, all of the standard domain.

use std::collections::HashSet;

use crate::network::{Layer, Network};
use crate::operation::{Activation, Convolution, Operation};
use crate::quantization::{
    Quantization, QuantizationParameters, QuantizedConvolution, fused_relu, int8_layers,
};
use crate::weights::Weights;

use super::OnnxError;
use super::float::{convolution_attributes, push_layer};
use super::graph::Graph;
use super::proto::GraphProto;

/// How much 255 steps may exceed the 6 at which a fused ReLU6 saturates, relative.
const RELU6_TOLERANCE: f32 = 1e-6;

pub(super) fn graph(
    network: &Network,
    weights: &Weights,
    quantization: &Quantization,
) -> Result<GraphProto, OnnxError> {
    let int8: HashSet<usize> = int8_layers(network).into_iter().collect();
    let mut writer = Writer {
        network,
        weights,
        quantization,
        graph: Graph::new("graphtag"),
        values: vec![Value::default(); network.layers.len()],
    };
    for (index, layer) in network.layers.iter().enumerate() {
        match layer.operation {
            Operation::Image => writer.push_image(index)?,
            Operation::Convolution(convolution) => writer.push_convolution(index, &convolution)?,
            _ if writer.values[index].int8.is_some() => {} // A ReLU that its convolution has saturated already.
            _ if int8.contains(&index) => writer.push_requantized(index)?,
            _ => writer.push_float(index)?,
        }
    }
    let output = writer.float(network.output())?;
    super::declare_output(&mut writer.graph, network, &output);
    Ok(writer.graph.finish())
}

/// The tensors in which a layer's output is there so far.
#[derive(Clone, Default)]
struct Value {
    int8: Option<String>,
    float: Option<String>,
}

struct Writer<'a> {
    network: &'a Network,
    weights: &'a Weights,
    quantization: &'a Quantization,
    graph: Graph,
    values: Vec<Value>,
}

impl Writer<'_> {
    fn push_image(&mut self, index: usize) -> Result<(), OnnxError> {
        let layer = &self.network.layers[index];
        let image = push_layer(&mut self.graph, layer, &[], &layer.name, self.weights)?;
        let quantized = format!("{}.quantized", layer.name);
        let quantize = format!("{}.quantize", layer.name);
        self.push_quantize(&quantize, index, &image, &quantized)?;
        self.values[index] = Value {
            int8: Some(quantized),
            float: Some(image),
        };
        Ok(())
    }

    /// One `QLinearConv`, whose output is that of the ReLU or ReLU6 after it where there is one.
    fn push_convolution(&mut self, index: usize, shape: &Convolution) -> Result<(), OnnxError> {
        let layer = &self.network.layers[index];
        let name = &layer.name;
        let input = layer.inputs[0];
        let image = self.int8(input, layer)?;
        let quantized = self.quantization.convolutions.get(name);
        let quantized = quantized.ok_or_else(|| refusal(layer, "has no int8 weights"))?;
        let weight_shape = &self.network.parameters(index)[0].shape;
        check_convolution(layer, quantized, weight_shape)?;

        let relu = fused_relu(self.network, index);
        let output = relu.unwrap_or(index);
        let output_layer = &self.network.layers[output];
        if relu.is_some() {
            check_relu(output_layer, self.parameters(output)?)?;
        }
        let [image_scale, image_zero_point] = self.push_parameters(input)?;
        let [output_scale, output_zero_point] = self.push_parameters(output)?;

        let channels = &[shape.outputs];
        let constant = |role: &str| format!("{name}.{role}");
        let graph = &mut self.graph;
        let weight = graph.int8s(constant("weight"), weight_shape, &quantized.values);
        let scale = graph.floats(constant("weight_scale"), channels, &quantized.scales);
        // One scalar for all: tract spends a quarter more time on a vector of zeros.
        let zero_point = graph.int8s("weight_zero_point".into(), &[], &[0]);
        let bias = graph.int32s(constant("bias"), channels, &quantized.bias);
        let output_name = graph.node(
            "QLinearConv",
            name,
            &[
                &image,
                &image_scale,
                &image_zero_point,
                &weight,
                &scale,
                &zero_point,
                &output_scale,
                &output_zero_point,
                &bias,
            ],
            &output_layer.name,
            convolution_attributes(shape),
        );
        self.values[output].int8 = Some(output_name);
        Ok(())
    }

    /// The layer in float, of dequantised inputs, and quantised again.
    fn push_requantized(&mut self, index: usize) -> Result<(), OnnxError> {
        let layer = &self.network.layers[index];
        let name = &layer.name;
        let role = match layer.operation {
            Operation::Add => "sum",
            _ => "real",
        };
        let real = self.push_real(index, &format!("{name}.{role}"))?;
        self.push_quantize(&format!("{name}.quantize"), index, &real, name)?;
        self.values[index].int8 = Some(name.clone());
        Ok(())
    }

    fn push_float(&mut self, index: usize) -> Result<(), OnnxError> {
        let output = self.push_real(index, &self.network.layers[index].name)?;
        self.values[index].float = Some(output);
        Ok(())
    }

    /// The layer in float, of dequantised inputs.
    fn push_real(&mut self, index: usize, output: &str) -> Result<String, OnnxError> {
        let layer = &self.network.layers[index];
        let inputs = layer.inputs.iter().map(|&input| self.float(input));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        push_layer(&mut self.graph, layer, &inputs, output, self.weights)
    }

    /// The int8 output of layer `index`, which `reader` is to read.
    fn int8(&self, index: usize, reader: &Layer) -> Result<String, OnnxError> {
        let value = self.values[index].int8.clone();
        value.ok_or_else(|| refusal(reader, "reads a layer that is not stored as int8"))
    }

    /// The float output of layer `index`, dequantised where it is int8.
    fn float(&mut self, index: usize) -> Result<String, OnnxError> {
        if let Some(float) = &self.values[index].float {
            return Ok(float.clone());
        }
        let layer = &self.network.layers[index];
        let int8 = self.int8(index, layer)?;
        let [scale, zero_point] = self.push_parameters(index)?;
        let float = self.graph.node(
            "DequantizeLinear",
            &format!("{}.dequantize", layer.name),
            &[&int8, &scale, &zero_point],
            &format!("{}.float", layer.name),
            vec![],
        );
        self.values[index].float = Some(float.clone());
        Ok(float)
    }

    fn push_quantize(
        &mut self,
        node: &str,
        index: usize,
        input: &str,
        output: &str,
    ) -> Result<(), OnnxError> {
        let [scale, zero_point] = self.push_parameters(index)?;
        let inputs = [input, &scale, &zero_point];
        self.graph
            .node("QuantizeLinear", node, &inputs, output, vec![]);
        Ok(())
    }

    /// The names of the constants that hold scale and zero point of layer `index`.
    fn push_parameters(&mut self, index: usize) -> Result<[String; 2], OnnxError> {
        let QuantizationParameters { scale, zero_point } = self.parameters(index)?;
        let name = &self.network.layers[index].name;
        let scale_name = format!("{name}.output_scale");
        let zero_point_name = format!("{name}.output_zero_point");
        Ok([
            self.graph.floats(scale_name, &[], &[scale]),
            self.graph.int8s(zero_point_name, &[], &[zero_point]),
        ])
    }

    fn parameters(&self, index: usize) -> Result<QuantizationParameters, OnnxError> {
        let layer = &self.network.layers[index];
        let parameters = self.quantization.activations.get(&layer.name);
        let parameters = parameters.ok_or_else(|| refusal(layer, "has no scale"))?;
        if !is_scale(&parameters.scale) {
            return Err(refusal(
                layer,
                "has a scale that is not positive and finite",
            ));
        }
        Ok(*parameters)
    }
}

fn check_convolution(
    layer: &Layer,
    convolution: &QuantizedConvolution,
    weight_shape: &[usize],
) -> Result<(), OnnxError> {
    let outputs = weight_shape[0];
    if convolution.values.len() != weight_shape.iter().product::<usize>() {
        return Err(refusal(layer, "has int8 weights of another shape"));
    }
    if convolution.scales.len() != outputs || convolution.bias.len() != outputs {
        return Err(refusal(
            layer,
            "has not one weight scale and bias per channel",
        ));
    }
    if !convolution.scales.iter().all(is_scale) {
        return Err(refusal(
            layer,
            "has weight scales that are not positive and finite",
        ));
    }
    Ok(())
}

/// Saturation is ReLU only if -128 stands for 0, and ReLU6 only if 127 stands for at most 6.
fn check_relu(layer: &Layer, parameters: QuantizationParameters) -> Result<(), OnnxError> {
    if parameters.zero_point != i8::MIN {
        return Err(refusal(layer, "is fused, but does not saturate at 0"));
    }
    let is_relu6 = layer.operation == Operation::Activation(Activation::Relu6);
    if is_relu6 && parameters.scale * 255.0 > 6.0 * (1.0 + RELU6_TOLERANCE) {
        return Err(refusal(layer, "is fused, but does not saturate at 6"));
    }
    Ok(())
}

fn is_scale(scale: &f32) -> bool {
    scale.is_normal() && scale.is_sign_positive()
}

fn refusal(layer: &Layer, problem: &'static str) -> OnnxError {
    OnnxError::Quantization {
        layer: layer.name.clone(),
        problem,
    }
}
