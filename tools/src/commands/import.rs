//! `graphtag-tools import`: PyTorch weights under our names.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use argh::FromArgs;
use graphtag_models::{Architecture, Backbone, Classifier, Head, InputSize};

use crate::import::efficientnet_lite;

/// Convert PyTorch weights of efficientnet_lite_pytorch to safetensors, named by our layers.
#[derive(FromArgs)]
#[argh(subcommand, name = "import")]
pub struct Import {
    /// efficientnet-lite0 to efficientnet-lite4
    #[argh(option)]
    arch: Backbone,
    /// the PyTorch state dict (.pth), with 1000 ImageNet classes
    #[argh(option)]
    weights: PathBuf,
    /// the safetensors file to write
    #[argh(option)]
    out: PathBuf,
}

impl Import {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let network = Architecture {
            backbone: self.arch,
            head: Head::Linear {
                classifier: Classifier::Plain,
            },
            // Weights do not depend on the size.
            input: InputSize {
                height: 224,
                width: 224,
            },
            labels: 1000,
        }
        .lower();
        let weights = efficientnet_lite(&self.weights, &network)?;
        let bytes = weights.to_safetensors(&BTreeMap::new())?;
        fs::write(&self.out, bytes).with_context(|| self.out.display().to_string())
    }
}
