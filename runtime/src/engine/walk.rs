//! Finds the quantised parts of a graph.

use tract_onnx::pb::NodeProto;

use super::constants::{Constants, Problem, check_scale, floats, unknown};
use super::graph::{Graph, input, integer, name};
use super::program::Quantization;
use super::regions::{Place, Region, Regions};
use crate::kernels::{Map, quantize};

impl<'a> Regions<'a> {
    /// Goes through the graph once, from its input on.
    ///
    /// # Errors
    /// The name of a malformed node, and what is wrong with it.
    pub fn find(graph: &'a Graph<'a>) -> Result<Self, String> {
        let mut found = Regions::new(graph);
        for (index, node) in graph.nodes.iter().enumerate() {
            match found.take(index, node) {
                Ok(()) => {}
                Err(Problem::Unknown(reason)) => {
                    found.reasons.insert(index, reason);
                }
                Err(Problem::Malformed(problem)) => {
                    return Err(format!("node {:?}: {problem}", name(node)));
                }
            }
        }
        Ok(found)
    }

    fn take(&mut self, index: usize, node: &'a NodeProto) -> Result<(), Problem> {
        let Some(output) = node.output.first() else {
            return Ok(());
        };
        let constants = Constants {
            graph: self.graph,
            node,
        };
        let place = match &node.op_type[..] {
            "QuantizeLinear" => return self.quantize(node, output),
            "DequantizeLinear" => {
                if let Ok(scales) = constants.stored(1).and_then(floats) {
                    scales
                        .into_iter()
                        .try_for_each(|s| check_scale(s).map(drop))?;
                }
                return Ok(());
            }
            "QLinearConv" => self.quantized_convolution(node)?,
            "QLinearMatMul" => self.quantized_product(node)?,
            "MaxPool" => match self.place(node, 0) {
                Some(place) => self.max_pool(node, place)?,
                None => return Ok(()),
            },
            _ => match self
                .graph
                .reshaped(output)
                .and_then(|inner| self.places.get(inner))
            {
                Some(&place) => place,
                None => {
                    self.note_unknown(index, node);
                    return Ok(());
                }
            },
        };
        self.places.insert(output, place);
        Ok(())
    }

    /// Notes that an operation on dequantised maps is not known; the reason stays only if it is not part of what a
    /// later `QuantizeLinear` quantises.
    fn note_unknown(&mut self, index: usize, node: &NodeProto) {
        let reads = node
            .input
            .iter()
            .any(|tensor| self.dequantized(tensor).is_some());
        if reads && self.graph.reshaped(&node.output[0]).is_none() {
            self.reasons
                .insert(index, "its output is not quantised".into());
        }
    }

    /// Takes the `QuantizeLinear` that writes `output`: with the operation before it, or as the begin of a part.
    fn quantize(&mut self, node: &'a NodeProto, output: &'a str) -> Result<(), Problem> {
        let Some(source) = input(node, 0) else {
            return Ok(());
        };
        if self.graph.constant(source).is_some() {
            return Ok(());
        }
        let constants = Constants {
            graph: self.graph,
            node,
        };
        let quantization = constants.quantization(1)?;
        let place = match self.expression(source, quantization, name(node))? {
            Some(place) => Some(place),
            None => self.operation(source, quantization)?,
        };
        let place = match place {
            Some(place) => place,
            None => self.enter(source, output, quantization)?,
        };
        self.places.insert(output, place);
        Ok(())
    }

    /// Takes the operation, and what clamps its outputs, that makes `tensor`, which is quantised.
    fn operation(
        &mut self,
        tensor: &'a str,
        quantization: Quantization,
    ) -> Result<Option<Place>, Problem> {
        let (tensor, bounds) = self.unclamped(tensor)?;
        let Some((index, node)) = self.graph.maker(tensor) else {
            return Ok(None);
        };
        let clamp =
            bounds.map(|bound| quantize(bound, quantization.scale, quantization.zero_point));
        let taken = match &node.op_type[..] {
            "Conv" => self.convolution(node, quantization, clamp),
            "Gemm" | "MatMul" => self.product(node, None, quantization, clamp),
            "Add" => self.sum(node, quantization, clamp),
            "Mul" => self.multiplication(node, quantization, clamp),
            "GlobalAveragePool" | "AveragePool" | "ReduceMean" => {
                self.average(node, quantization, clamp)
            }
            "MaxPool" => self.maximum(node, quantization, clamp),
            other => {
                let reads = node
                    .input
                    .iter()
                    .any(|tensor| self.dequantized(tensor).is_some());
                match reads {
                    true => unknown(format!("no int8 kernel for {other}")),
                    false => Ok(None),
                }
            }
        };
        match taken {
            Ok(Some(place)) => {
                self.reasons.remove(&index);
                Ok(Some(place))
            }
            Err(Problem::Unknown(reason)) => {
                self.reasons.insert(index, reason);
                Ok(None)
            }
            other => other,
        }
    }

    /// Begins a part with the quantised float tensor `source`.
    fn enter(
        &mut self,
        source: &'a str,
        output: &'a str,
        entry: Quantization,
    ) -> Result<Place, Problem> {
        let map = match self.graph.shape(source) {
            Some(&[1, channels, height, width]) if channels * height * width > 0 => {
                let sides = [height, width];
                if self.is_read_by_dense_convolutions(output) {
                    Map::image(sides, channels)
                } else {
                    Map::new(sides, channels)
                }
            }
            Some(&[1, channels]) if channels > 0 => Map::new([1, 1], channels),
            _ => return unknown("not a feature map of one photo"),
        };
        self.reserve(map, 0)?;
        self.regions.push(Region {
            source,
            entry,
            maps: vec![map],
            steps: vec![],
        });
        Ok(Place {
            region: self.regions.len() - 1,
            map: 0,
            quantization: entry,
        })
    }

    /// Whether all that reads the quantised tensor are convolutions of one group.
    fn is_read_by_dense_convolutions(&self, tensor: &str) -> bool {
        let is_dense = |&index: &usize| {
            let node = &self.graph.nodes[index];
            integer(node, "group", 1) == 1 && ["Conv", "QLinearConv"].contains(&&node.op_type[..])
        };
        self.graph.readers(tensor).iter().all(|index| {
            let node = &self.graph.nodes[*index];
            match &node.op_type[..] {
                "DequantizeLinear" => self.graph.readers(&node.output[0]).iter().all(is_dense),
                _ => is_dense(index),
            }
        })
    }
}
