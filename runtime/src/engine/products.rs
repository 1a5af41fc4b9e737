//! Matrix products: convolutions whose window is the whole map.

use tract_onnx::pb::NodeProto;

use super::constants::{Problem, Weights, malformed, unknown};
use super::graph::{float, input, integer, name};
use super::program::Quantization;
use super::regions::{Place, Regions};
use super::weighted::Layer;
use crate::kernels::Window;

impl Regions<'_> {
    /// A `Gemm` or `MatMul` of dequantised activations and weights, plus `bias`, whose output is quantised.
    pub fn product(
        &mut self,
        node: &NodeProto,
        bias: Option<&str>,
        quantization: Quantization,
        clamp: [i8; 2],
    ) -> Result<Option<Place>, Problem> {
        let Some(from) = input(node, 0).and_then(|tensor| self.dequantized(tensor)) else {
            return Ok(None);
        };
        let is_gemm = node.op_type == "Gemm";
        if is_gemm
            && (integer(node, "transA", 0) != 0
                || float(node, "alpha", 1.0) != 1.0
                || float(node, "beta", 1.0) != 1.0)
        {
            return unknown("a matrix product with factors");
        }
        let mut weights = Weights::dequantized(self.graph, input(node, 1).unwrap_or_default())?;
        if !is_gemm || integer(node, "transB", 0) == 0 {
            weights = transposed(weights)?;
        }
        let bias = bias.or(input(node, 2).filter(|_| is_gemm));
        let output = self.output_map(&node.output[0])?;
        let bias = self.bias(bias, from, &weights, output.channels)?;
        let layer = self.product_layer(node, from, weights, bias, quantization, clamp)?;
        self.push_layer(layer).map(Some)
    }

    /// A `QLinearMatMul`.
    pub fn quantized_product(&mut self, node: &NodeProto) -> Result<Place, Problem> {
        let (constants, from) = self.quantized_operands(node)?;
        let weights = transposed(Weights::of(&constants, 3, 1)?)?;
        let bias = vec![0; self.output_map(&node.output[0])?.channels];
        let quantization = constants.quantization(6)?;
        let clamp = [i8::MIN, i8::MAX];
        let layer = self.product_layer(node, from, weights, bias, quantization, clamp)?;
        self.push_layer(layer)
    }

    /// The product as a convolution whose window is the whole map.
    fn product_layer<'n>(
        &self,
        node: &'n NodeProto,
        from: Place,
        weights: Weights,
        bias: Vec<i32>,
        quantization: Quantization,
        clamp: [i8; 2],
    ) -> Result<Layer<'n>, Problem> {
        let map = self.map(from);
        let values = map.pixels() * map.channels;
        let shape = self.graph.shape(&node.input[0]);
        if shape != Some(&[1, values]) || weights.dimensions.get(1) != Some(&values) {
            return unknown("not a product of a vector and a matrix");
        }
        Ok(Layer {
            name: name(node),
            from,
            window: Window {
                kernel: [map.height, map.width],
                ..Window::POINT
            },
            groups: 1,
            output: self.output_map(&node.output[0])?,
            weights,
            bias,
            quantization,
            clamp,
        })
    }
}

/// Weights \[outputs, inputs\] of those that are \[inputs, outputs\].
fn transposed(weights: Weights) -> Result<Weights, Problem> {
    let [inputs, outputs] = weights.dimensions[..] else {
        return unknown("weights that are no matrix");
    };
    if weights.values.len() != inputs * outputs {
        return malformed("weights for other channels");
    }
    if weights.axis == 0 && weights.scales.len() > 1 {
        return unknown("scales along the inputs of a matrix product");
    }
    let column = |output| weights.values.iter().skip(output).step_by(outputs).copied();
    Ok(Weights {
        dimensions: vec![outputs, inputs],
        values: (0..outputs).flat_map(column).collect(),
        axis: 0,
        ..weights
    })
}
