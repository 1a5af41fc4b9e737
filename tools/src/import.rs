//! Weights of efficientnet_lite_pytorch, under our names.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use graphtag_models::{Network, Operation, Parameter, Tensor, Weights};
use pytorch_reader::{DType, PytorchReader};

/// Reads a PyTorch state dict of efficientnet_lite_pytorch as the weights of `network`.
///
/// # Errors
/// Names every parameter that the file lacks or has in another shape.
pub fn efficientnet_lite(path: &Path, network: &Network) -> Result<Weights> {
    let context = || format!("{}: not a PyTorch state dict", path.display());
    let reader = PytorchReader::new(path).with_context(context)?;
    let mut tensors = BTreeMap::new();
    for index in 0..network.layers.len() {
        for parameter in network.parameters(index) {
            let key = pytorch_key(&parameter.name, network)
                .with_context(|| format!("{} has no name in PyTorch", parameter.name))?;
            let tensor = read(&reader, &key).with_context(|| path.display().to_string())?;
            // torch.nn.Linear keeps outputs x inputs.
            let is_linear = matches!(network.layers[index].operation, Operation::Linear { .. });
            let tensor = match tensor.shape.len() {
                2 if is_linear => transposed(&tensor),
                _ => tensor,
            };
            check_shape(path, &key, &tensor, &parameter)?;
            tensors.insert(parameter.name, tensor);
        }
    }
    Ok(Weights { tensors })
}

fn check_shape(path: &Path, key: &str, tensor: &Tensor, parameter: &Parameter) -> Result<()> {
    ensure!(
        tensor.shape == parameter.shape,
        "{}: {key} is {:?}, but {} is {:?}; is it of another variant?",
        path.display(),
        tensor.shape,
        parameter.name,
        parameter.shape
    );
    Ok(())
}

/// The key of one of our parameters. PyTorch's module counts a block's batch norms by position, so the
/// numbers differ by one in a block that does not expand.
fn pytorch_key(name: &str, network: &Network) -> Option<String> {
    let (layer, role) = name.rsplit_once('.')?;
    let role = match role {
        "running_variance" => "running_var",
        role => role,
    };
    let module = match layer {
        "stem.convolution" => "_conv_stem".into(),
        "stem.batch_norm" => "_bn0".into(),
        "last.convolution" => "_conv_head".into(),
        "last.batch_norm" => "_bn1".into(),
        "classifier" => "_fc".into(),
        _ => {
            let (block, layer) = layer.strip_prefix("blocks.")?.split_once('.')?;
            let module = match layer {
                "expand.convolution" => "_expand_conv",
                "expand.batch_norm" => "_bn0",
                "depthwise.convolution" => "_depthwise_conv",
                "depthwise.batch_norm" => "_bn1",
                "project.convolution" => "_project_conv",
                "project.batch_norm" => "_bn2",
                _ => return None,
            };
            format!("_blocks.{block}.{module}")
        }
    };
    network.find(layer)?;
    Some(format!("{module}.{role}"))
}

fn read(reader: &PytorchReader, key: &str) -> Result<Tensor> {
    let Some(tensor) = reader.get(key) else {
        bail!("{key} is missing; is it a state dict of efficientnet_lite_pytorch?");
    };
    ensure!(
        tensor.dtype() == DType::F32,
        "{key} is {:?}, not F32",
        tensor.dtype()
    );
    let bytes = tensor
        .read()
        .with_context(|| format!("{key} can't be read"))?;
    let (words, _) = bytes.as_chunks::<4>();
    Ok(Tensor {
        shape: tensor.shape().to_vec(),
        values: words.iter().map(|word| f32::from_le_bytes(*word)).collect(),
    })
}

fn transposed(tensor: &Tensor) -> Tensor {
    let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
    Tensor {
        shape: vec![columns, rows],
        values: (0..columns * rows)
            .map(|i| tensor.values[(i % rows) * columns + i / rows])
            .collect(),
    }
}
