//! `graphtag-tools import`: PyTorch weights under our names.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use argh::FromArgs;
use graphtag_models::{Architecture, Backbone, Head, InputSize};

use crate::import::import;

/// Convert a PyTorch state dict, one of timm's or of efficientnet_lite_pytorch, to safetensors, named by our
/// layers. What is missing, surplus or of another shape is listed.
#[derive(FromArgs)]
#[argh(subcommand, name = "import")]
pub struct Import {
    /// such as efficientnet-lite0, efficientnet-v2-s, mobilenet-v3-large or tresnet-l; see `cost`
    #[argh(option)]
    arch: Backbone,
    /// multiplies the published numbers of channels (default 1)
    #[argh(option, default = "1.0")]
    width: f32,
    /// linear (default) or ml-decoder
    #[argh(option, default = "Head::linear()")]
    head: Head,
    /// number of classes (default 1000, ImageNet's)
    #[argh(option, default = "1000")]
    labels: usize,
    /// the state dict: .pth, or .safetensors
    #[argh(option)]
    weights: PathBuf,
    /// the safetensors file to write
    #[argh(option)]
    out: PathBuf,
}

impl Import {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let architecture = Architecture {
            backbone: self.arch.with_width(self.width),
            head: self.head,
            // Weights do not depend on the size.
            input: InputSize {
                height: 224,
                width: 224,
            },
            labels: self.labels,
        };
        architecture.validate()?;
        let weights = import(&self.weights, &architecture)?;
        let bytes = weights.to_safetensors(&BTreeMap::new())?;
        fs::write(&self.out, bytes).with_context(|| self.out.display().to_string())
    }
}
