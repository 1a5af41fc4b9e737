//! What a model scores on a data set.

use std::fmt;

use anyhow::Result;
use graphtag_models::Accuracy;
use graphtag_runtime::Model;
use graphtag_runtime::photo;
use rayon::prelude::*;
use serde::Serialize;

use crate::data::{Photo, Truth};
use crate::metrics::{
    DecisionMetrics, LabelDecisions, at_thresholds, at_top, average_precision, mean,
};
use crate::progress::Progress;

/// Probabilities of photos and what is true of them, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// Probabilities \[photos\]\[labels\].
    pub probabilities: Vec<Vec<f32>>,
    /// Truths \[photos\]\[labels\].
    pub truths: Vec<Vec<Truth>>,
    /// Photos that could not be read or run, and why; they have no row.
    pub skipped: Vec<String>,
}

/// Runs `model` on the photos, as many at a time as there are cores.
pub fn score(model: &Model, photos: &[Photo]) -> Scored {
    let progress = Progress::new("eval", 0, photos.len());
    let rows: Vec<_> = photos
        .par_iter()
        .map(|photo| {
            let probabilities = predict(model, photo);
            progress.advance(1);
            probabilities
        })
        .collect();
    progress.finish();
    let mut scored = Scored::default();
    for (row, photo) in rows.into_iter().zip(photos) {
        match row {
            Ok(probabilities) => {
                scored.probabilities.push(probabilities);
                scored.truths.push(photo.truth.clone());
            }
            Err(error) => scored
                .skipped
                .push(format!("{}: {error:#}", photo.path.display())),
        }
    }
    scored
}

fn predict(model: &Model, photo: &Photo) -> Result<Vec<f32>> {
    let pixels = photo::open(&photo.path)?;
    Ok(model.predict(&pixels)?.probabilities)
}

/// Accuracy on a data set. Its JSON is what `eval --format json` prints; the keys are the fields'
/// names, and fractions are within 0..=1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Number of photos.
    pub photos: usize,
    /// Photos that could not be read and count nowhere.
    pub photos_skipped: usize,
    /// Number of labels with at least one positive.
    pub labels_present: usize,
    /// Mean average precision over the labels present; null when there is none.
    pub map: Option<f64>,
    /// CF1 at the thresholds, as in `at_thresholds`.
    pub cf1: f64,
    /// OF1 at the thresholds, as in `at_thresholds`.
    pub of1: f64,
    /// Decisions at the model's own thresholds, one a label.
    pub at_thresholds: DecisionMetrics,
    /// Decisions at probability 0.5.
    pub at_half: DecisionMetrics,
    /// Decisions for the three most probable labels of each photo.
    pub at_top_3: DecisionMetrics,
    /// A row per label, in the model's order.
    pub per_label: Vec<LabelReport>,
}

/// Accuracy of one label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelReport {
    /// The label's name.
    pub label: String,
    /// Photos that show it.
    pub positives: usize,
    /// Average precision; null without a positive.
    pub average_precision: Option<f64>,
    /// The model's threshold.
    pub threshold: f32,
}

/// Measures the probabilities of a model with these `labels` and `thresholds`.
pub fn report(scored: &Scored, labels: &[String], thresholds: &[f32]) -> Report {
    let (probabilities, truths) = (&scored.probabilities, &scored.truths);
    let per_label: Vec<LabelReport> = labels
        .iter()
        .zip(thresholds)
        .enumerate()
        .map(|(index, (label, threshold))| {
            let decisions = LabelDecisions::of(index, probabilities, truths);
            LabelReport {
                label: label.clone(),
                positives: decisions.positives(),
                average_precision: average_precision(&decisions),
                threshold: *threshold,
            }
        })
        .collect();
    let decided = at_thresholds(probabilities, truths, thresholds);
    Report {
        photos: probabilities.len(),
        photos_skipped: scored.skipped.len(),
        labels_present: per_label.iter().filter(|l| l.positives > 0).count(),
        map: mean(per_label.iter().map(|l| l.average_precision)),
        cf1: decided.class_f1,
        of1: decided.overall_f1,
        at_thresholds: decided,
        at_half: at_thresholds(probabilities, truths, &vec![0.5; labels.len()]),
        at_top_3: at_top(probabilities, truths, 3),
        per_label,
    }
}

impl Report {
    /// What a model file tells of it, measured on data of the name `data`.
    pub fn accuracy(&self, data: &str) -> Accuracy {
        Accuracy {
            data: data.into(),
            photos: self.photos,
            labels: self.labels_present,
            map: self.map.unwrap_or(0.0),
            cf1: self.cf1,
            of1: self.of1,
        }
    }
}

impl fmt::Display for Report {
    /// A table for people, in percent; labels without a positive are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |fraction: f64| 100.0 * fraction;
        let labels = self.per_label.len();
        let present = self.labels_present;
        writeln!(
            f,
            "{} photos, {present} of {labels} labels present",
            self.photos
        )?;
        if self.photos_skipped > 0 {
            writeln!(f, "{} photos skipped", self.photos_skipped)?;
        }
        if let Some(map) = self.map {
            writeln!(f, "mAP {:.2} %", percent(map))?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:22}{:>8}{:>8}{:>8}{:>10}{:>8}{:>8}",
            "decisions, %", "CP", "CR", "CF1", "OP", "OR", "OF1"
        )?;
        for (name, decided) in [
            ("at its thresholds", self.at_thresholds),
            ("at probability 0.5", self.at_half),
            ("the three most likely", self.at_top_3),
        ] {
            writeln!(
                f,
                "{name:22}{:8.2}{:8.2}{:8.2}{:10.2}{:8.2}{:8.2}",
                percent(decided.class_precision),
                percent(decided.class_recall),
                percent(decided.class_f1),
                percent(decided.overall_precision),
                percent(decided.overall_recall),
                percent(decided.overall_f1),
            )?;
        }
        writeln!(f)?;
        write!(
            f,
            "{:22}{:>10}{:>8}{:>11}",
            "label", "positives", "AP, %", "threshold"
        )?;
        for label in &self.per_label {
            if let Some(average_precision) = label.average_precision {
                write!(
                    f,
                    "\n{:22}{:10}{:8.2}{:11.3}",
                    label.label,
                    label.positives,
                    percent(average_precision),
                    label.threshold
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use image::{Rgb, RgbImage};

    use super::*;
    use crate::data::DataSource;

    /// The model's three logits are the means of the photo's channels.
    #[test]
    fn a_model_is_scored_on_what_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("labels.txt"), "red\ngreen\nblue\n").unwrap();
        let colors = [[255, 0, 0], [0, 255, 0], [255, 0, 255]];
        for (name, color) in ["red.png", "green.png", "magenta.png"].iter().zip(colors) {
            let photo = RgbImage::from_pixel(30, 20, Rgb(color));
            photo.save(at(name)).unwrap();
        }
        fs::write(at("broken.png"), "not a photo").unwrap();
        let list = r#"[
            {"image": "red.png", "labels": ["red"]},
            {"image": "broken.png", "labels": ["red"]},
            {"image": "green.png", "labels": ["green", "red"]},
            {"image": "magenta.png", "labels": ["red"]}
        ]"#;
        fs::write(at("list.json"), list).unwrap();

        let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/channel_means.onnx");
        let model = Model::foreign(&network, &at("labels.txt")).unwrap();
        let metadata = model.metadata();
        let source = format!("json:{}", at("list.json").display());
        let source: DataSource = source.parse().unwrap();
        let dataset = source.load(&metadata.labels).unwrap();
        let scored = score(&model, &dataset.photos);
        assert_eq!(scored.skipped.len(), 1);
        assert!(
            scored.skipped[0].contains("broken.png"),
            "{:?}",
            scored.skipped
        );

        let report = report(&scored, &metadata.labels, &metadata.thresholds);
        assert_eq!(
            (report.photos, report.photos_skipped, report.labels_present),
            (3, 1, 2)
        );
        // Both labels that are present are ranked right, though red is missed on the green photo and
        // blue is seen on the magenta one: 3 of 4 decisions are right, 3 of 4 positives are found.
        assert_eq!(report.map, Some(1.0));
        assert!((report.of1 - 0.75).abs() < 1e-9, "{}", report.of1);
        assert_eq!(report.per_label[0].positives, 3);
        assert_eq!(report.per_label[2].average_precision, None);
        let text = report.to_string();
        assert!(
            text.starts_with("3 photos, 2 of 3 labels present\n"),
            "{text}"
        );
        assert!(text.contains("mAP 100.00 %"), "{text}");
        assert!(!text.contains("\nblue"), "{text}");
    }

    #[test]
    fn the_keys_of_the_json_are_stable() {
        let scored = Scored {
            probabilities: vec![vec![0.9]],
            truths: vec![vec![Truth::Positive]],
            skipped: vec![],
        };
        let report = report(&scored, &["cat".into()], &[0.25]);
        let decisions = r#"{"class_precision":1.0,"class_recall":1.0,"class_f1":1.0,"overall_precision":1.0,"overall_recall":1.0,"overall_f1":1.0}"#;
        let expected = format!(
            r#"{{"photos":1,"photos_skipped":0,"labels_present":1,"map":1.0,"cf1":1.0,"of1":1.0,"at_thresholds":{decisions},"at_half":{decisions},"at_top_3":{decisions},"per_label":[{{"label":"cat","positives":1,"average_precision":1.0,"threshold":0.25}}]}}"#
        );
        assert_eq!(serde_json::to_string(&report).unwrap(), expected);
    }
}
