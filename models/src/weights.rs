//! Weights by layer name, and their safetensors files.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::network::Network;

/// A dense tensor of f32, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The product of the dimensions many values.
    pub values: Vec<f32>,
}

/// Named tensors; the names are `<layer>.<role>` as [`Network::parameters`] lists them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The tensors, sorted by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// Weights that can't be read or don't suit their network.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not a safetensors file.
    #[error("not a safetensors file: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// A tensor of another type than f32.
    #[error("tensor {name} is {dtype}, not F32")]
    Type {
        /// The tensor's name.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// Missing, surplus and misshapen tensors, all of them.
    #[error("weights don't suit the architecture: {}", .0.join("; "))]
    Mismatch(Vec<String>),
}

impl Weights {
    /// Reads a safetensors file of f32 tensors.
    ///
    /// # Errors
    /// When the bytes are not such a file.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, WeightsError> {
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(WeightsError::Type {
                    name,
                    dtype: format!("{:?}", view.dtype()),
                });
            }
            let (words, _) = view.data().as_chunks::<4>();
            let values = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            let shape = view.shape().to_vec();
            tensors.insert(name, Tensor { shape, values });
        }
        Ok(Weights { tensors })
    }

    /// The bytes of a safetensors file; the same weights and metadata always give the same bytes.
    ///
    /// # Errors
    /// When a tensor's shape and length disagree.
    pub fn to_safetensors(
        &self,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, WeightsError> {
        let bytes: BTreeMap<&str, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let values = tensor.values.iter();
                (
                    name.as_str(),
                    values.flat_map(|v| v.to_le_bytes()).collect(),
                )
            })
            .collect();
        let views = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let shape = tensor.shape.clone();
                TensorView::new(Dtype::F32, shape, &bytes[name.as_str()]).map(|view| (name, view))
            })
            .collect::<Result<Vec<_>, _>>()?;
        // safetensors keeps its metadata in a hash map, whose order would differ from run to run; one
        // entry has only one order.
        let metadata = (!metadata.is_empty()).then(|| {
            let json = serde_json::to_string(metadata).unwrap_or_default();
            HashMap::from([("graphtag".to_string(), json)])
        });
        Ok(safetensors::serialize(views, metadata)?)
    }

    /// The metadata that [`Weights::to_safetensors`] stored.
    ///
    /// # Errors
    /// When the bytes are not a safetensors file.
    pub fn safetensors_metadata(bytes: &[u8]) -> Result<BTreeMap<String, String>, WeightsError> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let json = metadata.metadata().as_ref().and_then(|m| m.get("graphtag"));
        Ok(json
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default())
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor, WeightsError> {
        self.tensors
            .get(name)
            .ok_or_else(|| WeightsError::Mismatch(vec![format!("{name} is missing")]))
    }

    /// Checks that there is every tensor of `network` in its shape and no other.
    ///
    /// # Errors
    /// Lists every mismatch.
    pub fn check(&self, network: &Network) -> Result<(), WeightsError> {
        let parameters = network.all_parameters();
        let mut mismatches = vec![];
        for parameter in &parameters {
            match self.tensors.get(&parameter.name) {
                None => mismatches.push(format!("{} is missing", parameter.name)),
                Some(tensor) if tensor.shape != parameter.shape => mismatches.push(format!(
                    "{} is {:?}, not {:?}",
                    parameter.name, tensor.shape, parameter.shape
                )),
                Some(tensor) if tensor.values.len() != tensor.shape.iter().product::<usize>() => {
                    mismatches.push(format!(
                        "{} has {} values",
                        parameter.name,
                        tensor.values.len()
                    ));
                }
                Some(_) => {}
            }
        }
        let known: std::collections::HashSet<&str> =
            parameters.iter().map(|p| p.name.as_str()).collect();
        mismatches.extend(
            self.tensors
                .keys()
                .filter(|name| !known.contains(name.as_str()))
                .map(|name| format!("{name} is not known")),
        );
        if mismatches.is_empty() {
            Ok(())
        } else {
            Err(WeightsError::Mismatch(mismatches))
        }
    }
}
