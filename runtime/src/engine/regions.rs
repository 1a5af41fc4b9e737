//! The quantised parts of a graph: their maps and steps, and which tensors are where.

use std::collections::HashMap;

use tract_onnx::pb::NodeProto;

use super::constants::{Constants, Problem, unknown};
use super::graph::{Graph, input};
use super::program::{MapId, Quantization, Step, Task};
use crate::kernels::Map;

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
    /// None yet.
    pub fn new(graph: &'a Graph<'a>) -> Self {
        Regions {
            graph,
            regions: vec![],
            places: HashMap::new(),
            reasons: HashMap::new(),
            bytes: 0,
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
