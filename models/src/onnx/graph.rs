//! Building the graph of an ONNX file, node by node.

use super::proto::{
    AttributeProto, AttributeType, DataType, DimensionProto, GraphProto, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// A graph under construction; nodes are in order of execution.
#[derive(Default)]
pub(super) struct Graph {
    proto: GraphProto,
}

impl Graph {
    pub(super) fn new(name: &str) -> Self {
        let mut graph = Graph::default();
        graph.proto.name = name.into();
        graph
    }

    pub(super) fn input(&mut self, name: &str, dims: &[usize]) {
        self.proto.input.push(float_value(name, dims));
    }

    pub(super) fn output(&mut self, name: &str, dims: &[usize]) {
        self.proto.output.push(float_value(name, dims));
    }

    /// Appends a node of one output and returns that output's name.
    pub(super) fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![output.into()],
            name: name.into(),
            op_type: op_type.into(),
            attribute: attributes,
        });
        output.into()
    }

    /// Adds a constant of f32 and returns its name; no dimensions make a scalar.
    pub(super) fn floats(&mut self, name: String, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, dims, DataType::Float, bytes.collect())
    }

    /// Adds a constant of i32 and returns its name.
    pub(super) fn int32s(&mut self, name: String, dims: &[usize], values: &[i32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, dims, DataType::Int32, bytes.collect())
    }

    /// Adds a constant of i64, a list, and returns its name.
    pub(super) fn int64s(&mut self, name: String, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, &[values.len()], DataType::Int64, bytes.collect())
    }

    /// Adds a constant of i8 and returns its name.
    pub(super) fn int8s(&mut self, name: String, dims: &[usize], values: &[i8]) -> String {
        let bytes = values.iter().map(|value| value.cast_unsigned());
        self.constant(name, dims, DataType::Int8, bytes.collect())
    }

    /// Adds a constant once, however often it is asked for: a name stands for one value.
    fn constant(
        &mut self,
        name: String,
        dims: &[usize],
        data_type: DataType,
        raw_data: Vec<u8>,
    ) -> String {
        if !self
            .proto
            .initializer
            .iter()
            .any(|known| known.name == name)
        {
            self.proto.initializer.push(TensorProto {
                dims: dims.iter().map(|&dim| dim as i64).collect(),
                data_type: data_type.into(),
                name: name.clone(),
                raw_data,
            });
        }
        name
    }

    pub(super) fn finish(self) -> GraphProto {
        self.proto
    }
}

/// An integer attribute.
pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: value as i64,
        r#type: AttributeType::Int.into(),
        ..Default::default()
    }
}

/// A float attribute.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        f: value,
        r#type: AttributeType::Float.into(),
        ..Default::default()
    }
}

/// A string attribute.
pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        s: value.into(),
        r#type: AttributeType::String.into(),
        ..Default::default()
    }
}

/// An attribute that is a list of integers.
pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.iter().map(|&value| value as i64).collect(),
        r#type: AttributeType::Ints.into(),
        ..Default::default()
    }
}

fn float_value(name: &str, dims: &[usize]) -> ValueInfoProto {
    let dim = |&dim: &usize| DimensionProto {
        dim_value: Some(dim as i64),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: DataType::Float.into(),
                shape: Some(TensorShapeProto {
                    dim: dims.iter().map(dim).collect(),
                }),
            }),
        }),
    }
}
