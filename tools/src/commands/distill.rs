//! `graphtag-tools distill`: trains a small model on a teacher's soft labels and on true labels.

use std::path::PathBuf;

use anyhow::Result;
use argh::FromArgs;

use crate::data::{DataSource, LabelSet};
use crate::distill::{Inputs, distill};
use crate::training::recipe::Recipe;

/// Distil a teacher's soft labels and true labels into a small model. Run again after an interruption, it
/// goes on and ends with the same weights.
#[derive(FromArgs)]
#[argh(subcommand, name = "distill")]
pub struct Distill {
    /// the recipe, a TOML file such as tools/recipes/coco80-lite0.toml
    #[argh(option)]
    recipe: PathBuf,
    /// weights of the backbone, as `import` writes them
    #[argh(option)]
    weights: PathBuf,
    /// folder of soft labels, as `label` writes them
    #[argh(option)]
    soft_labels: PathBuf,
    /// the teacher that made the soft labels, for a recipe with teach_views
    #[argh(option)]
    teacher: Option<PathBuf>,
    /// coco80 (default), or the folder that `labels` wrote of other labels
    #[argh(option, default = "String::from(\"coco80\")")]
    labels: String,
    /// photos to train and validate on: coco:DIR, voc:DIR, json:FILE, csv:FILE, nuswide:DIR, vg:DIR or dir:DIR; may be
    /// given several times
    #[argh(option)]
    data: Vec<DataSource>,
    /// photos never to train on, in the same form; may be given several times
    #[argh(option)]
    exclude: Vec<DataSource>,
    /// folder for kept activations, checkpoints, the log and the result
    #[argh(option)]
    out: PathBuf,
}

impl Distill {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        distill(&Inputs {
            recipe: Recipe::open(&self.recipe)?,
            weights: self.weights,
            soft_labels: self.soft_labels,
            teacher: self.teacher,
            labels: LabelSet::open(&self.labels)?,
            data: self.data,
            exclude: self.exclude,
            out: self.out,
        })
    }
}
