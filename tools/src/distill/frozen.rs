//! The layers that are not trained, run once over every view.

use std::path::Path;

use anyhow::Result;
use burn::tensor::{Tensor, TensorData};
use graphtag_runtime::preprocess;
use rayon::prelude::*;

use crate::data::Photo;
use crate::training::activations::{Activations, Part, by_photo};
use crate::training::forward::image_value;
use crate::training::recipe::{Recipe, efficientnet_lite_preprocessing};
use crate::training::views::{Augmentation, View, view};

/// Views whose activations are computed at once.
const FROZEN_BATCH: usize = 32;

/// The part of the network that is not trained.
pub(super) struct Frozen<'a> {
    pub part: Part<'a>,
    pub recipe: &'a Recipe,
}

impl Frozen<'_> {
    /// Its outputs for `views` views of each photo, view by view.
    pub fn activations(
        &self,
        path: &Path,
        key: &str,
        photos: &[Photo],
        views: usize,
    ) -> Result<Activations> {
        let paths: Vec<&Path> = photos.iter().map(|photo| photo.path.as_path()).collect();
        let Recipe {
            seed, augmentation, ..
        } = self.recipe;
        let count = photos.len();
        let shape = self.part.network.layers[self.part.end].output;
        Activations::make(path, key, shape, views * count, FROZEN_BATCH, |range| {
            // Photo by photo, so that the wide early feature maps stay in the cache.
            let views: Vec<Vec<f32>> = range
                .into_par_iter()
                .map(|record| {
                    let view = view(augmentation, *seed, record % count, record / count, count);
                    let input = (0, image_value(self.draw(&view, &paths, augmentation)?));
                    Ok(by_photo(self.part.run(input, 1), 1))
                })
                .collect::<Result<_>>()?;
            Ok(views.concat())
        })
    }

    fn draw(&self, view: &View, paths: &[&Path], augmentation: &Augmentation) -> Result<Tensor<4>> {
        let size = self.recipe.input;
        let preprocessing = efficientnet_lite_preprocessing(size);
        let drawn = view.draw(paths, augmentation, &preprocessing)?;
        let data = TensorData::new(
            preprocess::tensor(&drawn, &preprocessing),
            [1, 3, size, size],
        );
        Ok(Tensor::from_data(data, self.part.device))
    }
}
