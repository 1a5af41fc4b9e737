//! `graphtag tag`: what photos show.

mod inputs;
mod output;

use std::io::{self, BufWriter};
use std::num::NonZeroUsize;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use argh::{ArgsInfo, FromArgs};
use graphtag_models::Channels;
use graphtag_runtime::{Model, Selection, photo, tags};

use super::{Outcome, model};
use crate::arguments::PathArgument;
use inputs::{Input, Source};
use output::{Format, Printer, Tagged};

/// Say what photos show.
#[derive(ArgsInfo, FromArgs)]
#[argh(subcommand, name = "tag")]
pub struct Tag {
    /// model file; the embedded one if not given
    #[argh(option, arg_name = "file")]
    model: Option<PathArgument>,
    /// labels of the model's outputs, one a line, for a model that has none
    #[argh(option, arg_name = "file")]
    labels: Option<PathArgument>,
    /// mean to subtract from each byte, one number or R,G,B, for a model that does not say
    #[argh(option, arg_name = "mean")]
    mean: Option<Channels>,
    /// factor for each byte less the mean, one number or R,G,B, for a model that does not say
    #[argh(option, arg_name = "scale")]
    scale: Option<Channels>,
    /// text (default) or jsonl: one JSON object a photo
    #[argh(option, default = "Format::Text")]
    format: Format,
    /// also give the scores of all labels
    #[argh(switch)]
    all_scores: bool,
    /// at most so many tags a photo
    #[argh(option, arg_name = "n")]
    top: Option<usize>,
    /// score that makes a tag, 0 to 1, instead of each label's calibrated one
    #[argh(option, arg_name = "x")]
    threshold: Option<Threshold>,
    /// threads to run the model on (default 1)
    #[argh(option, arg_name = "n", default = "NonZeroUsize::MIN")]
    threads: NonZeroUsize,
    /// photos, folders of photos (in sorted order, with their folders), or - for a photo on standard input
    #[argh(positional, arg_name = "path")]
    paths: Vec<PathArgument>,
}

/// Tags every input; one that fails is reported and the run goes on.
///
/// # Errors
/// Wrong configuration, an unusable model, or output that can't be written.
pub fn run(options: &Tag) -> Result<Outcome> {
    ensure!(
        !options.paths.is_empty(),
        "nothing to tag: give photos, folders, or - for standard input"
    );
    let model = load(options)?;
    let selection = Selection {
        threshold: options.threshold.map(|threshold| threshold.0),
        top: options.top,
    };
    let inputs: Vec<Input> = options
        .paths
        .iter()
        .flat_map(|path| inputs::expand(&path.0))
        .collect();
    let mut printer = Printer::new(BufWriter::new(io::stdout().lock()), options.format, &inputs);
    let mut outcome = Outcome::AllWell;
    for input in &inputs {
        match tag(input, &model, selection, options.all_scores) {
            Ok(tagged) => printer.tagged(input, &tagged)?,
            Err(error) => {
                outcome = Outcome::SomeFailed;
                printer.failed(input, &format!("{error:#}"))?;
            }
        }
    }
    Ok(outcome)
}

fn tag<'a>(
    input: &Input,
    model: &'a Model,
    selection: Selection,
    all_scores: bool,
) -> Result<Tagged<'a>> {
    let photo = match &input.source {
        Source::File => photo::open(&input.path)?,
        Source::StandardInput => photo::read(io::stdin().lock())?,
        Source::Unreadable(problem) => bail!("{problem}"),
    };
    let prediction = model.predict(&photo)?;
    let metadata = model.metadata();
    let scores = || (&metadata.labels[..], prediction.probabilities.clone());
    Ok(Tagged {
        width: photo.width(),
        height: photo.height(),
        tags: tags::tags(metadata, &prediction.probabilities, selection),
        scores: all_scores.then(scores),
        preprocess: prediction.preprocess,
        inference: prediction.inference,
    })
}

fn load(options: &Tag) -> Result<Model> {
    let path = options.model.as_ref().map(|path| path.0.as_path());
    let labels = options.labels.as_ref().map(|path| path.0.as_path());
    let mut model = model::load(path, labels)?;
    if options.mean.is_some() || options.scale.is_some() {
        let preprocessing = &model.metadata().preprocessing;
        let mean = options
            .mean
            .map_or(preprocessing.mean, |channels| channels.0);
        let scale = options
            .scale
            .map_or(preprocessing.scale, |channels| channels.0);
        model = model.with_normalization(mean, scale);
    }
    model::with_threads(model, path, options.threads)
}

/// A score within 0..=1.
#[derive(Clone, Copy)]
struct Threshold(f32);

impl FromStr for Threshold {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse().ok();
        let within = number.filter(|threshold| (0.0..=1.0).contains(threshold));
        within.map(Threshold).ok_or("not a number from 0 to 1")
    }
}
