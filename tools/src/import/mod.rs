//! PyTorch weights under our names.

mod layout;
mod names;
mod state_dict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};
use graphtag_models::{Architecture, Network, Parameter, Weights};

use names::{Origin, Source};
use state_dict::StateDict;

/// Counters that PyTorch's batch norms keep and nothing reads.
const COUNTERS: &str = ".num_batches_tracked";

/// Reads a PyTorch state dict, `.pth` or `.safetensors`, as the weights of `architecture`'s network: one of
/// timm's, or of efficientnet_lite_pytorch for EfficientNet-Lite.
///
/// # Errors
/// Names every parameter that the file lacks or has in another shape, and every tensor that is none.
pub fn import(path: &Path, architecture: &Architecture) -> Result<Weights> {
    let dict = state_dict::read(path)?;
    let network = architecture.lower();
    let origin = if dict.tensors.contains_key("_conv_stem.weight") {
        Origin::EfficientNetLitePytorch
    } else {
        Origin::Timm
    };
    let mut tensors = BTreeMap::new();
    let mut problems = vec![];
    let mut used = BTreeSet::new();
    for (index, parameter) in parameters(&network) {
        let name = &parameter.name;
        let Some(source) = names::source(origin, architecture.backbone, &network, name) else {
            problems.push(format!("{name} is in no state dict"));
            continue;
        };
        match read(&dict, &source, &network, index, &parameter) {
            Ok(tensor) => {
                tensors.insert(parameter.name, tensor);
            }
            Err(problem) => problems.push(problem),
        }
        used.insert(source.key);
    }
    let known = dict.tensors.keys().chain(dict.others.keys());
    let surplus = known.filter(|key| !used.contains(*key) && !key.ends_with(COUNTERS));
    problems.extend(surplus.map(|key| format!("{key} is not known")));
    if !problems.is_empty() {
        bail!(
            "{}: not weights of {architecture}: {}",
            path.display(),
            problems.join("; ")
        );
    }
    Ok(Weights { tensors })
}

/// All parameters with the indices of their layers.
fn parameters(network: &Network) -> impl Iterator<Item = (usize, Parameter)> {
    let layers = 0..network.layers.len();
    layers.flat_map(move |index| {
        network
            .parameters(index)
            .into_iter()
            .map(move |p| (index, p))
    })
}

fn read(
    dict: &StateDict,
    source: &Source,
    network: &Network,
    index: usize,
    parameter: &Parameter,
) -> Result<graphtag_models::Tensor, String> {
    let key = &source.key;
    if let Some(dtype) = dict.others.get(key) {
        return Err(format!("{key} is {dtype}, not F32"));
    }
    let Some(stored) = dict.tensors.get(key) else {
        return Err(format!("{key} is missing, which is {}", parameter.name));
    };
    let operation = &network.layers[index].operation;
    layout::ours(stored, source.third, operation, &parameter.shape).ok_or_else(|| {
        format!(
            "{key} is {:?}, but {} is {:?}",
            stored.shape, parameter.name, parameter.shape
        )
    })
}
