//! What is computed once for every view: the frozen layers' outputs and the teacher's logits.

use std::path::Path;

use anyhow::Result;
use burn::tensor::{Tensor, TensorData};
use graphtag_models::{Preprocessing, Shape};
use graphtag_runtime::preprocess;
use image::RgbImage;
use rayon::prelude::*;

use crate::data::Photo;
use crate::teacher::Teacher;
use crate::training::activations::{Activations, Part, by_photo};
use crate::training::forward::image_value;
use crate::training::recipe::Recipe;
use crate::training::views::view;

/// Views that are computed at once.
const BATCH: usize = 32;

/// The views of a recipe over a list of photos. Record r is view r / n of photo r % n, of n photos.
pub(super) struct Views<'a> {
    pub recipe: &'a Recipe,
    pub photos: &'a [Photo],
}

impl Views<'_> {
    /// The outputs of `part`, which begins at the image, for these `views` of every photo.
    pub fn activations(
        &self,
        path: &Path,
        key: &str,
        part: &Part,
        views: std::ops::Range<usize>,
    ) -> Result<Activations> {
        let size = self.recipe.input;
        let preprocessing = self.recipe.preprocessing(size)?;
        let shape = part.network.layers[part.end].output;
        self.keep(path, key, shape, views, |record| {
            let drawn = self.draw(record, &preprocessing)?;
            let pixels = preprocess::tensor(&drawn, &preprocessing);
            let photo = Tensor::from_data(TensorData::new(pixels, [1, 3, size, size]), part.device);
            // Photo by photo, so that the wide early feature maps stay in the cache.
            Ok(by_photo(part.run((0, image_value(photo)), 1), 1))
        })
    }

    /// The teacher's logits of all views but the first, which is the photo itself.
    pub fn teacher_logits(&self, path: &Path, key: &str, teacher: &Teacher) -> Result<Activations> {
        let description = teacher.description();
        let shape = Shape::Vector(description.labels.len());
        self.keep(path, key, shape, 1..self.recipe.views, |record| {
            teacher.logits_of(&self.draw(record, &description.preprocessing)?)
        })
    }

    /// Calls `compute` for every record of `views` and keeps what it returns.
    fn keep(
        &self,
        path: &Path,
        key: &str,
        shape: Shape,
        views: std::ops::Range<usize>,
        compute: impl Fn(usize) -> Result<Vec<f32>> + Sync,
    ) -> Result<Activations> {
        let first = views.start * self.photos.len();
        let count = views.len() * self.photos.len();
        Activations::make(path, key, shape, count, BATCH, |range| {
            let records: Vec<Vec<f32>> = range
                .into_par_iter()
                .map(|index| compute(first + index))
                .collect::<Result<_>>()?;
            Ok(records.concat())
        })
    }

    /// The view of `record` at the size of `preprocessing`.
    fn draw(&self, record: usize, preprocessing: &Preprocessing) -> Result<RgbImage> {
        let count = self.photos.len();
        let Recipe {
            seed, augmentation, ..
        } = self.recipe;
        let view = view(augmentation, *seed, record % count, record / count, count);
        let path = |index: usize| self.photos[index].path.as_path();
        view.draw(path, augmentation, preprocessing)
    }
}
