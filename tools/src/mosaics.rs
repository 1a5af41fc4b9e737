//! Scenes of several things, made of photos of one.

use std::path::Path;

use anyhow::Result;
use graphtag_runtime::Model;
use rayon::prelude::*;

use crate::data::{Photo, Truth, assumed_truth};
use crate::evaluate::Scored;
use crate::progress::Progress;
use crate::teacher::Teacher;
use crate::training::views::{Augmentation, view};

/// Four parts of photos, as they are but for the crop.
pub const MOSAIC: Augmentation = Augmentation {
    smallest_area: 0.4,
    aspect: 1.33,
    color: 0.0,
    mosaic: 1.0,
    rand_augment: None,
    cutout: None,
};
/// Decides which three, and which parts.
pub const SEED: u64 = 1;

/// What `model` scores on one mosaic of each of `photos` and three others; what it shows is the teacher's
/// word, see [`TEACHER_THRESHOLD`](crate::data::TEACHER_THRESHOLD). The mosaics are the same each time.
///
/// # Errors
/// When a photo can't be read or a network not be run.
pub fn score_mosaics(model: &Model, teacher: &Teacher, photos: &[Photo]) -> Result<Scored> {
    let labels = model.metadata().labels.len();
    let path = |index: usize| -> &Path { &photos[index].path };
    let progress = Progress::new("mosaics", 0, photos.len());
    let rows: Vec<(Vec<f32>, Vec<Truth>)> = (0..photos.len())
        .into_par_iter()
        .map(|index| {
            let view = view(&MOSAIC, SEED, index, 1, photos.len());
            let seen = view.draw(path, &MOSAIC, &teacher.description().preprocessing)?;
            let truth = assumed_truth(&vec![Truth::Unknown; labels], &teacher.logits_of(&seen)?);
            let input = view.draw(path, &MOSAIC, &model.metadata().preprocessing)?;
            progress.advance(1);
            Ok((model.predict(&input)?.probabilities, truth))
        })
        .collect::<Result<_>>()?;
    progress.finish();
    let (probabilities, truths) = rows.into_iter().unzip();
    Ok(Scored {
        probabilities,
        truths,
        skipped: vec![],
    })
}
