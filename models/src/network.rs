//! A network as a typed list of layers in the order of execution.

use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::shape::Shape;

/// One tensor of numbers that an operation owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `<layer>.<role>`.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Whether gradients change it; batch-norm statistics, embeddings, queries and adjacency are not.
    pub trainable: bool,
}

/// One layer of a [`Network`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Dotted name, unique in the network; names of weights begin with it.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// The layers it reads, as indices into the network.
    pub inputs: Vec<usize>,
    /// Shape of its output.
    pub output: Shape,
}

/// Layers in order of execution: the first is the image, the last is the output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The layers; each reads only earlier ones.
    pub layers: Vec<Layer>,
}

impl Network {
    /// A network of nothing but its image of `height` x `width` pixels in three channels.
    pub fn with_image(height: usize, width: usize) -> Self {
        Network {
            layers: vec![Layer {
                name: "image".into(),
                operation: Operation::Image,
                inputs: vec![],
                output: Shape::Map {
                    channels: 3,
                    height,
                    width,
                },
            }],
        }
    }

    /// Appends a layer and returns its index. The output's shape follows from the operation.
    ///
    /// # Panics
    /// When an input's shape does not suit the operation: a mistake in an architecture.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        operation: Operation,
        inputs: &[usize],
    ) -> usize {
        let shapes: Vec<Shape> = inputs.iter().map(|&i| self.layers[i].output).collect();
        let name = name.into();
        let output = operation
            .output(&shapes)
            .unwrap_or_else(|| panic!("layer {name}: {operation:?} can't read {shapes:?}"));
        self.layers.push(Layer {
            name,
            operation,
            inputs: inputs.to_vec(),
            output,
        });
        self.layers.len() - 1
    }

    /// Index of the last layer, which is the output.
    pub fn output(&self) -> usize {
        self.layers.len() - 1
    }

    /// The shapes of the inputs of layer `index`.
    pub fn input_shapes(&self, index: usize) -> Vec<Shape> {
        let inputs = &self.layers[index].inputs;
        inputs.iter().map(|&i| self.layers[i].output).collect()
    }

    /// The layer called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.layers.iter().position(|layer| layer.name == name)
    }

    /// The parameters of layer `index`, in a fixed order.
    pub fn parameters(&self, index: usize) -> Vec<Parameter> {
        let layer = &self.layers[index];
        let inputs = self.input_shapes(index);
        let parameters = layer.operation.parameters(&inputs, layer.output);
        parameters
            .into_iter()
            .map(|(role, shape, trainable)| Parameter {
                name: format!("{}.{role}", layer.name),
                shape,
                trainable,
            })
            .collect()
    }

    /// All parameters of all layers.
    pub fn all_parameters(&self) -> Vec<Parameter> {
        (0..self.layers.len())
            .flat_map(|index| self.parameters(index))
            .collect()
    }
}
