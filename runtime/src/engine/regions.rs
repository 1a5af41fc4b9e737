//! Finds the quantised parts of a graph.

use std::collections::HashMap;

use tract_onnx::pb::NodeProto;

use super::constants::{Constants, Problem, check_scale, floats, unknown};
use super::graph::{Graph, input, integer, name};
use super::program::{MapId, Quantization, Step, Task};
use crate::kernels::{Map, quantize};

/// The most memory that maps and packed weights may take, in bytes: padding channels can make them many times what a
/// file declares.
pub(super) const MAX_BYTES: usize = 1 << 28;

/// A quantised part in the making: the maps that hang together from one `QuantizeLinear` on.
#[derive(Debug)]
pub(super) struct Region<'a> {
    /// The float tensor that is quantised.
    pub source: &'a str,
    pub entry: Quantization,
    pub maps: Vec<Map>,
    pub steps: Vec<Step>,
}

/// Where a quantised tensor is: in a map of a region, whose values, channels first, are those of the tensor, whatever
/// its shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub region: usize,
    pub map: MapId,
    pub quantization: Quantization,
}

impl Region<'_> {
    /// Whether it computes anything that is worth leaving tract for.
    pub fn is_worth_it(&self) -> bool {
        let is_heavy = |step: &Step| matches!(step.task, Task::Convolution(_) | Task::Depthwise(_));
        self.steps.iter().any(is_heavy)
    }
}

/// What the graph holds for the engine.
#[derive(Debug)]
pub(super) struct Regions<'a> {
    pub graph: &'a Graph<'a>,
    pub regions: Vec<Region<'a>>,
    /// Where the quantised tensors of the graph are.
    pub places: HashMap<&'a str, Place>,
    /// Why nodes that read quantised tensors are left to tract, by number.
    pub reasons: HashMap<usize, String>,
    /// A bound of what the maps and packed weights take.
    bytes: usize,
}

impl<'a> Regions<'a> {
    /// Goes through the graph once, from its input on.
    ///
    /// # Errors
    /// The name of a malformed node, and what is wrong with it.
    pub fn find(graph: &'a Graph<'a>) -> Result<Self, String> {
        let mut found = Regions {
            graph,
            regions: vec![],
            places: HashMap::new(),
            reasons: HashMap::new(),
            bytes: 0,
        };
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

    /// Where input `index` of `node` is.
    pub fn place(&self, node: &NodeProto, index: usize) -> Option<Place> {
        self.places.get(input(node, index)?).copied()
    }

    /// If the float tensor `tensor` is a dequantised one, perhaps in another shape: where that is and what for its
    /// reader takes it.
    pub fn dequantized(&self, tensor: &str) -> Option<Place> {
        let (_, node) = self.dequantizer(tensor)?;
        let place = self.places.get(input(node, 0)?)?;
        let constants = Constants {
            graph: self.graph,
            node,
        };
        Some(Place {
            quantization: constants.quantization(1).ok()?,
            ..*place
        })
    }

    /// The `DequantizeLinear` that makes `tensor`, perhaps in another shape.
    pub fn dequantizer(&self, tensor: &str) -> Option<(usize, &'a NodeProto)> {
        let mut tensor = tensor;
        while let Some(inner) = self.graph.reshaped(tensor) {
            tensor = inner;
        }
        let maker = self.graph.maker(tensor);
        maker.filter(|(_, node)| node.op_type == "DequantizeLinear")
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

    /// The map that `tensor` takes, as the output of a step.
    pub fn output_map(&self, tensor: &str) -> Result<Map, Problem> {
        match self.graph.shape(tensor) {
            Some(&[1, channels, height, width]) if channels * height * width > 0 => {
                Ok(Map::new([height, width], channels))
            }
            Some(&[1, channels]) if channels > 0 => Ok(Map::new([1, 1], channels)),
            _ => unknown("not a feature map of one photo"),
        }
    }

    /// The map at a place.
    pub fn map(&self, place: Place) -> Map {
        self.regions[place.region].maps[place.map]
    }

    /// The map at a place, which is that of the first input of `node`, unless that sees it in another shape.
    pub fn map_seen(&self, node: &NodeProto, from: Place) -> Result<Map, Problem> {
        let map = self.map(from);
        let shape = self.graph.shape(&node.input[0]);
        match shape == Some(&[1, map.channels, map.height, map.width]) {
            true => Ok(map),
            false => unknown("its input is a map in another shape"),
        }
    }

    /// Accounts for a map and `packed` bytes of weights.
    pub fn reserve(&mut self, map: Map, packed: usize) -> Result<(), Problem> {
        self.bytes = self
            .bytes
            .saturating_add(map.bytes())
            .saturating_add(packed);
        if self.bytes > MAX_BYTES {
            return unknown("the quantised part is too large");
        }
        Ok(())
    }

    /// Adds a step that reads the map at `from`, and perhaps `other`, and writes `map`.
    pub fn push(
        &mut self,
        name: &str,
        task: Task,
        from: Place,
        other: Option<Place>,
        map: Map,
        quantization: Quantization,
    ) -> Result<Place, Problem> {
        self.reserve(map, task.packed_bytes())?;
        let region = &mut self.regions[from.region];
        region.steps.push(Step {
            name: name.into(),
            task,
            input: from.map,
            other: other.map(|place| place.map),
        });
        region.maps.push(map);
        Ok(Place {
            region: from.region,
            map: region.steps.len(),
            quantization,
        })
    }
}
