//! The tensors of a PyTorch state dict.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use graphtag_models::Tensor;
use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::{Dtype, SafeTensors};

/// A state dict: tensors of f32, and of the others what type they are.
#[derive(Default)]
pub struct StateDict {
    /// By key.
    pub tensors: BTreeMap<String, Tensor>,
    /// The types of all others.
    pub others: BTreeMap<String, String>,
}

/// Reads a `.safetensors` file or what `torch.save` wrote.
///
/// # Errors
/// When the file can't be read or is neither.
pub fn read(path: &Path) -> Result<StateDict> {
    if path.extension().is_some_and(|ext| ext == "safetensors") {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        return from_safetensors(&bytes).with_context(|| path.display().to_string());
    }
    let context = || format!("{}: not a PyTorch state dict", path.display());
    let reader = PytorchReader::new(path).with_context(context)?;
    let mut dict = StateDict::default();
    for (key, tensor) in reader.tensors() {
        if tensor.dtype() != DType::F32 {
            let dtype = format!("{:?}", tensor.dtype());
            dict.others.insert(key.clone(), dtype);
            continue;
        }
        let bytes = tensor.read();
        let bytes = bytes.with_context(|| format!("{}: {key} can't be read", path.display()))?;
        dict.tensors
            .insert(key.clone(), floats(tensor.shape(), &bytes));
    }
    Ok(dict)
}

fn from_safetensors(bytes: &[u8]) -> Result<StateDict> {
    let mut dict = StateDict::default();
    for (key, view) in SafeTensors::deserialize(bytes)?.iter() {
        if view.dtype() == Dtype::F32 {
            let tensor = floats(view.shape(), view.data());
            dict.tensors.insert(key.into(), tensor);
        } else {
            let dtype = format!("{:?}", view.dtype());
            dict.others.insert(key.into(), dtype);
        }
    }
    Ok(dict)
}

fn floats(shape: &[usize], bytes: &[u8]) -> Tensor {
    let (words, _) = bytes.as_chunks::<4>();
    Tensor {
        shape: shape.to_vec(),
        values: words.iter().map(|word| f32::from_le_bytes(*word)).collect(),
    }
}
