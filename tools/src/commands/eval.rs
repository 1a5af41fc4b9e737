//! `graphtag-tools eval`: a model's accuracy on a data set, through the engine that ships.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use argh::FromArgs;
use graphtag_models::Channels;
use graphtag_runtime::Model;

use super::options::{Format, named};
use super::print_line;
use crate::data::{DataSource, Truth};
use crate::evaluate::{report, score};
use crate::model_file::change_metadata;

/// Measure a model on labelled photos, through the engine that ships.
#[derive(FromArgs)]
#[argh(subcommand, name = "eval")]
pub struct Eval {
    /// the model; the embedded one by default
    #[argh(option)]
    model: Option<PathBuf>,
    /// labels of an ONNX classifier that is not graphtag's, a line each
    #[argh(option)]
    labels: Option<PathBuf>,
    /// mean to subtract from each byte, one number or three with commas, for a model that does not say
    #[argh(option)]
    mean: Option<Channels>,
    /// factor for each byte less the mean, one number or three with commas, for a model that does not say
    #[argh(option)]
    scale: Option<Channels>,
    /// coco:DIR, voc:DIR, nuswide:DIR or vg:DIR, with @SPLIT for one split; json:FILE or csv:FILE
    #[argh(option)]
    data: DataSource,
    /// text (default) or json
    #[argh(option, default = "Format::Text", from_str_fn(named))]
    format: Format,
    /// measure on the first N labelled photos only
    #[argh(option)]
    limit: Option<usize>,
    /// also write the accuracy into the model file, as that on the data of this name
    #[argh(option)]
    record: Option<String>,
}

impl Eval {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let model = self.model()?;
        let metadata = model.metadata();
        let mut dataset = self.data.load(&metadata.labels)?;
        for note in &dataset.notes {
            eprintln!("{}: {note}", self.data);
        }
        let is_known = |truth: &Truth| *truth != Truth::Unknown;
        dataset
            .photos
            .retain(|photo| photo.truth.iter().any(is_known));
        dataset.photos.truncate(self.limit.unwrap_or(usize::MAX));
        if dataset.photos.is_empty() {
            bail!(
                "{}: nothing is known of any of the model's labels",
                self.data
            );
        }
        let scored = score(&model, &dataset.photos);
        for skipped in &scored.skipped {
            eprintln!("skipped: {skipped}");
        }
        ensure!(
            !scored.truths.is_empty(),
            "{}: none of its photos can be read",
            self.data
        );
        let report = report(&scored, &metadata.labels, &metadata.thresholds);
        if let (Some(data), Some(path)) = (&self.record, &self.model) {
            let accuracy = report.accuracy(data);
            change_metadata(path, |metadata| {
                metadata
                    .accuracy
                    .retain(|known| known.data != accuracy.data);
                metadata.accuracy.push(accuracy);
            })?;
        }
        let text = match self.format {
            Format::Text => report.to_string(),
            Format::Json => serde_json::to_string_pretty(&report)?,
        };
        print_line(&text)
    }

    fn model(&self) -> Result<Model> {
        if self.record.is_some() && (self.model.is_none() || self.labels.is_some()) {
            bail!("--record is for a model of graphtag's, given with --model");
        }
        let (model, name) = match (&self.model, &self.labels) {
            (None, None) => (Model::embedded(), "the embedded model".into()),
            (Some(path), None) => (Model::open(path), path.display().to_string()),
            (Some(path), Some(labels)) => {
                (Model::foreign(path, labels), path.display().to_string())
            }
            (None, Some(_)) => bail!("--labels is for a model given with --model"),
        };
        let model = model.context(name)?;
        if self.mean.is_none() && self.scale.is_none() {
            return Ok(model);
        }
        let of_model = &model.metadata().preprocessing;
        let mean = self.mean.map_or(of_model.mean, |channels| channels.0);
        let scale = self.scale.map_or(of_model.scale, |channels| channels.0);
        Ok(model.with_normalization(mean, scale))
    }
}
