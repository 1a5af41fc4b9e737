//! `graphtag-tools export`: trained weights as a model file in f32.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use argh::FromArgs;
use graphtag_models::{Architecture, Backbone, Head, InputSize};

use crate::data::label_list;
use crate::export::Deployment;

/// Write the weights of `distill` or `import` as a float model file. Its thresholds are 0.5 until `calibrate`.
#[derive(FromArgs)]
#[argh(subcommand, name = "export")]
pub struct Export {
    /// the recipe that the weights were trained by; or --arch, --head and --size of imported ones
    #[argh(option)]
    recipe: Option<PathBuf>,
    /// the backbone of imported weights, such as efficientnet-v2-s; see `cost`
    #[argh(option)]
    arch: Option<Backbone>,
    /// multiplies the published numbers of its channels (default 1)
    #[argh(option, default = "1.0")]
    width: f32,
    /// the head of imported weights: linear (default) or ml-decoder
    #[argh(option, default = "Head::linear()")]
    head: Head,
    /// the input size for imported weights, as 224 or HEIGHTxWIDTH
    #[argh(option)]
    size: Option<InputSize>,
    /// coco80 (default), a file of one label a line, or a folder that `labels` wrote
    #[argh(option, default = "String::from(\"coco80\")")]
    labels: String,
    /// the weights, as `distill` or `import` writes them
    #[argh(option)]
    weights: PathBuf,
    /// the record of the training; training.json beside the weights by default
    #[argh(option)]
    training: Option<PathBuf>,
    /// the ONNX file to write; the model is called as it is
    #[argh(option)]
    out: PathBuf,
}

impl Export {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let origin = Origin {
            recipe: self.recipe.as_deref(),
            training: self.training.as_deref(),
            backbone: self.arch.map(|backbone| backbone.with_width(self.width)),
            head: self.head,
            size: self.size,
        };
        let deployment = open(&origin, &self.weights, &self.labels, &self.out)?;
        write(&self.out, &deployment.float()?)
    }
}

/// What weights are of: the options of `export` and `quantize`.
pub(super) struct Origin<'a> {
    pub recipe: Option<&'a Path>,
    pub training: Option<&'a Path>,
    pub backbone: Option<Backbone>,
    pub head: Head,
    pub size: Option<InputSize>,
}

/// Opens what is to be written to `out`.
pub(super) fn open(
    origin: &Origin,
    weights: &Path,
    labels: &str,
    out: &Path,
) -> Result<Deployment> {
    let name = out.file_stem().unwrap_or(out.as_os_str()).to_string_lossy();
    let labels = label_list(labels)?;
    match (origin.recipe, origin.backbone, origin.size) {
        (Some(recipe), None, None) => {
            let beside = weights.with_file_name("training.json");
            let training = origin.training.unwrap_or(&beside);
            Deployment::trained(recipe, labels, weights, training, &name)
        }
        (None, Some(backbone), Some(input)) => {
            let architecture = Architecture {
                backbone,
                head: origin.head,
                input,
                labels: labels.len(),
            };
            architecture.validate()?;
            Deployment::imported(architecture, labels, weights, &name)
        }
        _ => bail!(
            "give either --recipe, for weights of distill, or --arch and --size, for those of import"
        ),
    }
}

/// Writes a model file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("{}: can't be written", path.display()))
}
