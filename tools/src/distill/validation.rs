//! Accuracy on the validation photos while training.

use std::path::Path;

use anyhow::Result;

use super::provenance;
use super::views::Views;
use crate::data::{Photo, Truth, assumed_truth};
use crate::metrics::{LabelDecisions, average_precision, mean};
use crate::mosaics;
use crate::teacher::{SoftLabels, Teacher};
use crate::training::activations::{Activations, Part};
use crate::training::parameters::values;
use crate::training::recipe::Recipe;

/// Pictures to validate on: what is computed of them once, and what they show.
pub(super) struct Pictures {
    /// Where the tail starts.
    pub maps: Activations,
    /// Where the head starts.
    pub features: Activations,
    truths: Vec<Vec<Truth>>,
}

/// What such pictures are made of.
pub(super) struct Source<'a> {
    pub recipe: &'a Recipe,
    pub photos: &'a [Photo],
    /// The backbone's weights, as a file has them.
    pub backbone: &'a [u8],
    /// From the image to where the tail starts, and from there to where the head does.
    pub parts: [Part<'a>; 2],
    pub out: &'a Path,
}

impl Source<'_> {
    /// The photos themselves.
    pub fn photos(&self, truths: Vec<Vec<Truth>>) -> Result<Pictures> {
        self.pictures("validation", self.recipe, 0, truths)
    }

    /// A mosaic of each photo and three others, with the teacher's word on it; those of `calibrate`.
    pub fn mosaics(&self, soft_labels: &SoftLabels, teacher: &Teacher) -> Result<Pictures> {
        let recipe = Recipe {
            seed: mosaics::SEED,
            augmentation: mosaics::MOSAIC,
            views: 2,
            ..self.recipe.clone()
        };
        let key = provenance::views_key(&recipe, soft_labels, self.photos)?;
        let views = Views {
            recipe: &recipe,
            photos: self.photos,
        };
        let path = self.out.join("teacher-of-mosaics.f16");
        let kept = views.teacher_logits(&path, &key, teacher)?;
        let labels = soft_labels.teacher.labels.len();
        let unknown = vec![Truth::Unknown; labels];
        let logits = kept.values(self.parts[0].device)?;
        let truths = logits
            .chunks(labels)
            .map(|logits| assumed_truth(&unknown, logits));
        self.pictures("mosaics", &recipe, 1, truths.collect())
    }

    /// View `number` of each photo.
    fn pictures(
        &self,
        name: &str,
        recipe: &Recipe,
        number: usize,
        truths: Vec<Vec<Truth>>,
    ) -> Result<Pictures> {
        let key = provenance::frozen_key(recipe, self.backbone, self.photos)?;
        let photos = self.photos;
        let path = |what: &str| self.out.join(format!("{name}-{what}.f16"));
        let [first, second] = &self.parts;
        let views = Views { recipe, photos };
        let maps = views.activations(&path("maps"), &key, first, number..number + 1)?;
        let features = maps.continued(&path("features"), &key, second, photos.len())?;
        Ok(Pictures {
            maps,
            features,
            truths,
        })
    }
}

/// mAP over the labels that occur in any of `pictures`, and their number, from the activations that `part` starts at. Where the
/// truth is unknown, the teacher's word counts, see [`crate::data::TEACHER_THRESHOLD`].
pub(super) fn accuracy(
    part: &Part,
    pictures: &[Pictures],
    activations: fn(&Pictures) -> &Activations,
) -> Result<(f64, usize)> {
    let (mut predicted, mut truths) = (vec![], vec![]);
    for pictures in pictures {
        predicted.extend(predict(part, activations(pictures))?);
        truths.extend(pictures.truths.iter().cloned());
    }
    let precisions: Vec<Option<f64>> = (0..predicted[0].len())
        .map(|label| average_precision(&LabelDecisions::of(label, &predicted, &truths)))
        .collect();
    let present = precisions.iter().flatten().count();
    Ok((mean(precisions.into_iter()).unwrap_or(0.0), present))
}

/// Logits per record.
fn predict(part: &Part, activations: &Activations) -> Result<Vec<Vec<f32>>> {
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
