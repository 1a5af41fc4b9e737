//! `graphtag-tools quantize`: trained weights as a model file in int8.

use std::path::PathBuf;

use anyhow::Result;
use argh::FromArgs;
use burn::tensor::Device;
use graphtag_models::{Backbone, Head, InputSize, onnx};
use serde_json::json;

use super::export::Origin;
use super::options::named;
use super::{export, print_line};
use crate::quantize::observer::Observer;
use crate::quantize::{Settings, photos, quantize};

/// Write the weights of `distill` or `import` as an int8 model file, its ranges calibrated on photos. Its thresholds are
/// 0.5 until `calibrate`.
#[derive(FromArgs)]
#[argh(subcommand, name = "quantize")]
pub struct Quantize {
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
    /// photos to calibrate on: a folder, or a file of names such as `distill`'s validation.txt
    #[argh(option)]
    photos: PathBuf,
    /// the folder that the names in such a file start from
    #[argh(option)]
    root: Option<PathBuf>,
    /// how many of the photos to take (default 256)
    #[argh(option, default = "256")]
    calibration_photos: usize,
    /// decides which photos are taken (default 1)
    #[argh(option, default = "1")]
    seed: u64,
    /// how ranges are chosen: min-max, percentile or mse (default)
    #[argh(option, default = "Observer::Mse", from_str_fn(named))]
    observer: Observer,
    /// equalise channels between convolutions
    #[argh(switch)]
    equalise: bool,
    /// correct biases for the means that rounding shifts
    #[argh(switch)]
    bias_correction: bool,
    /// the ONNX file to write; the model is called as it is
    #[argh(option)]
    out: PathBuf,
}

impl Quantize {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let origin = Origin {
            recipe: self.recipe.as_deref(),
            training: self.training.as_deref(),
            backbone: self.arch.map(|backbone| backbone.with_width(self.width)),
            head: self.head,
            size: self.size,
        };
        let mut deployment = export::open(&origin, &self.weights, &self.labels, &self.out)?;
        let files = photos::find(&self.photos, self.root.as_deref())?;
        let preprocessing = &deployment.metadata.preprocessing;
        let (count, device) = (self.calibration_photos, Device::flex());
        let photos = photos::prepare(files, count, self.seed, preprocessing, &device)?;
        let settings = Settings {
            observer: self.observer,
            equalise: self.equalise,
            bias_correction: self.bias_correction,
        };
        let (network, weights) = (&deployment.network, &deployment.weights);
        let quantized = quantize(network, weights, preprocessing, &photos.batches, settings)?;
        deployment.metadata.provenance.quantization = json!({
            "settings": settings,
            "weights": "symmetric, per channel",
            "calibration_photos": photos.count,
            "calibration_photos_sha256": photos.sha256,
            "seed": self.seed,
            "equalised_channels": quantized.equalised_channels,
            "mean_absolute_error": quantized.error,
        });
        let file = onnx::quantized(
            network,
            &quantized.weights,
            &quantized.quantization,
            &deployment.metadata,
        )?;
        export::write(&self.out, &file)?;
        print_line(&format!(
            "{}: {} bytes; probabilities differ by {:.5} in the mean from the float network's on {} photos",
            self.out.display(),
            file.len(),
            quantized.error,
            photos.count
        ))
    }
}
