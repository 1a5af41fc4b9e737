//! A network's weights as burn tensors.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use graphtag_models::{Network, Weights};

/// Weights on a device by name, each flattened; [`Network::parameters`] has their shapes.
#[derive(Clone, Debug)]
pub struct Parameters {
    tensors: BTreeMap<String, Tensor<1>>,
}

impl Parameters {
    /// Copies `weights` to `device`.
    pub fn new(weights: &Weights, device: &Device) -> Self {
        let tensors = weights
            .tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), flat(tensor.values.clone(), device)));
        Parameters {
            tensors: tensors.collect(),
        }
    }

    /// The flat tensor called `name`.
    ///
    /// # Panics
    /// When there is none; [`Weights::check`] tells beforehand.
    pub fn flat(&self, name: &str) -> Tensor<1> {
        self.tensors[name].clone()
    }

    /// The same tensors on the autodiff device, none of them tracked.
    pub fn autodiff(self) -> Self {
        let tensors = self.tensors.into_iter();
        Parameters {
            tensors: tensors
                .map(|(name, tensor)| (name, tensor.autodiff()))
                .collect(),
        }
    }

    /// Replaces the tensor called `name` by one of the same length.
    pub fn set(&mut self, name: &str, tensor: Tensor<1>) {
        self.tensors.insert(name.to_string(), tensor);
    }

    /// Copies the tensors back, in the shapes that `network` gives them.
    pub fn to_weights(&self, network: &Network) -> Weights {
        let tensors = network.all_parameters().into_iter().map(|parameter| {
            let tensor = graphtag_models::Tensor {
                values: values(self.flat(&parameter.name)),
                shape: parameter.shape,
            };
            (parameter.name, tensor)
        });
        Weights {
            tensors: tensors.collect(),
        }
    }
}

/// The values of a tensor of f32, row-major.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.try_to_vec().expect("converted to f32")
}

/// The flat tensor of `values`.
pub fn flat(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}
