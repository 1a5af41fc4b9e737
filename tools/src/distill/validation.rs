//! Accuracy on the validation photos while training.

use anyhow::Result;

use crate::metrics::{LabelDecisions, average_precision, mean};
use crate::training::activations::{Activations, Part};
use crate::training::parameters::values;
use crate::training::targets::Targets;

/// Logits per photo.
pub(super) fn predict(part: &Part, activations: &Activations) -> Result<Vec<Vec<f32>>> {
    let indices: Vec<usize> = (0..activations.count()).collect();
    let labels = part.network.layers[part.end].output.channels();
    let mut predicted = vec![];
    for batch in indices.chunks(64) {
        let input = (part.start, activations.batch(batch, part.device)?);
        let output = part.run(input, batch.len());
        predicted.extend(values(output.tensor()).chunks(labels).map(<[f32]>::to_vec));
    }
    Ok(predicted)
}

/// mAP over the labels that occur, and their number. Where the truth is unknown, the teacher's
/// word counts, see [`crate::data::TEACHER_THRESHOLD`].
pub(super) fn mean_average_precision(predicted: &[Vec<f32>], targets: &Targets) -> (f64, usize) {
    let truths = targets.assumed_truths();
    let precisions: Vec<Option<f64>> = (0..predicted[0].len())
        .map(|label| average_precision(&LabelDecisions::of(label, predicted, &truths)))
        .collect();
    let present = precisions.iter().flatten().count();
    (mean(precisions.into_iter()).unwrap_or(0.0), present)
}
