//! `graphtag-tools calibrate`: decision thresholds from validation photos.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use argh::FromArgs;
use graphtag_models::labels;
use graphtag_runtime::Model;

use super::print_line;
use crate::data::{DataSource, Photo, assumed_truth};
use crate::evaluate::{report, score};
use crate::model_file::change_metadata;
use crate::mosaics::score_mosaics;
use crate::teacher::SoftLabels;
use crate::thresholds::{ThresholdSettings, calibrate_thresholds};

/// Set the thresholds in a model file to those that suit validation photos, through the engine that ships.
/// Where the truth is not known, the teacher's probability of at least 0.3 counts as present.
#[derive(FromArgs)]
#[argh(subcommand, name = "calibrate")]
pub struct Calibrate {
    /// the model file to change
    #[argh(option)]
    model: PathBuf,
    /// where the photos are: coco:DIR, voc:DIR, json:FILE, csv:FILE, nuswide:DIR, vg:DIR or dir:DIR; may be given several times
    #[argh(option)]
    data: Vec<DataSource>,
    /// a file of the names of the photos to take, a line each, such as `distill`'s validation.txt
    #[argh(option)]
    names: PathBuf,
    /// folder of soft labels, as `label` writes them
    #[argh(option)]
    soft_labels: PathBuf,
    /// the teacher that made them: calibrate on a mosaic of every photo too, whose labels are its word. Photos
    /// of one thing alone make thresholds too high for scenes of several
    #[argh(option)]
    teacher: Option<PathBuf>,
    /// weigh the photos as if each of the 80 labels were as frequent as in COCO's photos of everyday scenes
    #[argh(switch)]
    like_coco: bool,
}

impl Calibrate {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let model = Model::open(&self.model).with_context(|| self.model.display().to_string())?;
        let names = &model.metadata().labels;
        ensure!(
            !self.like_coco || *names == labels::coco80(),
            "{}: --like-coco is for models of the COCO-80 labels",
            self.model.display()
        );
        let soft_labels = SoftLabels::read(&self.soft_labels)?;
        let photos = self.photos(names, &soft_labels)?;
        let mut scored = score(&model, &photos);
        for skipped in &scored.skipped {
            eprintln!("skipped: {skipped}");
        }
        if let Some(teacher) = &self.teacher {
            let teacher = soft_labels.open_teacher(teacher)?;
            let mosaics = score_mosaics(&model, &teacher, &photos)?;
            scored.probabilities.extend(mosaics.probabilities);
            scored.truths.extend(mosaics.truths);
        }
        let settings = ThresholdSettings::default();
        let prevalence = self.like_coco.then(labels::coco80_prevalence);
        let (probabilities, truths) = (&scored.probabilities, &scored.truths);
        let thresholds =
            calibrate_thresholds(probabilities, truths, prevalence.as_deref(), settings);
        let report = report(&scored, names, &thresholds);
        change_metadata(&self.model, |metadata| metadata.thresholds = thresholds)?;
        print_line(&report.to_string())
    }

    /// The photos that are named, with a truth for each of `labels`.
    fn photos(&self, labels: &[String], soft_labels: &SoftLabels) -> Result<Vec<Photo>> {
        let names = fs::read_to_string(&self.names)
            .with_context(|| format!("{}: can't be read", self.names.display()))?;
        let names: HashSet<&str> = names.lines().collect();
        ensure!(
            soft_labels.teacher.labels == labels,
            "{}: the soft labels are not those of the model's labels",
            self.soft_labels.display()
        );
        let mut photos = vec![];
        for source in &self.data {
            photos.extend(source.load(labels)?.photos);
        }
        photos.retain(|photo| names.contains(photo.name.as_str()));
        for photo in &mut photos {
            let teacher = soft_labels.by_photo.get(&photo.name);
            let teacher = teacher.with_context(|| format!("{}: no soft label", photo.name))?;
            photo.truth = assumed_truth(&photo.truth, teacher);
        }
        ensure!(
            photos.len() == names.len(),
            "{}: only {} of {} photos are in the data given",
            self.names.display(),
            photos.len(),
            names.len()
        );
        Ok(photos)
    }
}
