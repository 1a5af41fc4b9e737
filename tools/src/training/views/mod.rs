//! Augmented views of photos, each determined by a seed, the photo and the view's number.

mod cutout;
mod rand_augment;

use std::path::Path;

use anyhow::{Context, Result};
use graphtag_models::Preprocessing;
use graphtag_runtime::{photo, preprocess};
use image::{RgbImage, imageops};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use cutout::Cutout;
pub use rand_augment::{Change, RandAugment};

/// How views differ from their photo.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Crops keep at least this share of the photo's area.
    pub smallest_area: f64,
    /// Crops change the aspect ratio by at most this factor.
    pub aspect: f64,
    /// Brightness, contrast and saturation change by at most this share.
    pub color: f64,
    /// Share of the views that are mosaics of four photos.
    pub mosaic: f64,
    /// Random operations on the whole view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rand_augment: Option<RandAugment>,
    /// A grey square on some views.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutout: Option<Cutout>,
}

/// What a view shows.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its number among the views of its photo, from 0.
    pub number: usize,
    /// Indices of its photo, and in a mosaic of the three others.
    pub photos: Vec<usize>,
    pub(super) seed: Option<[u8; 32]>,
}

/// View `number` of photo `index` of `count`. View 0 is the photo itself, not changed in any way.
pub fn view(settings: &Augmentation, seed: u64, index: usize, number: usize, count: usize) -> View {
    if number == 0 {
        return View {
            number,
            photos: vec![index],
            seed: None,
        };
    }
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(index as u64).to_le_bytes());
    bytes[16..24].copy_from_slice(&(number as u64).to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(bytes);
    let mut photos = vec![index];
    if random.random::<f64>() < settings.mosaic {
        photos.extend((0..3).map(|_| random.random_range(0..count)));
    }
    View {
        number,
        photos,
        seed: Some(random.random()),
    }
}

impl View {
    /// Draws the view at the size of `preprocessing`; `path` tells where the photo of an index is.
    ///
    /// # Errors
    /// When a photo can't be read.
    pub fn draw<'p>(
        &self,
        path: impl Fn(usize) -> &'p Path,
        settings: &Augmentation,
        preprocessing: &Preprocessing,
    ) -> Result<RgbImage> {
        let open = |index: usize| {
            let path = path(index);
            photo::open(path).with_context(|| path.display().to_string())
        };
        let Some(seed) = self.seed else {
            return Ok(preprocess::resize(&open(self.photos[0])?, preprocessing));
        };
        let mut random = ChaCha8Rng::from_seed(seed);
        let mut drawn = if let [only] = self.photos[..] {
            crop(&open(only)?, settings, preprocessing, &mut random)
        } else {
            let tile = Preprocessing {
                height: preprocessing.height.div_ceil(2),
                width: preprocessing.width.div_ceil(2),
                ..preprocessing.clone()
            };
            let size = (preprocessing.width as u32, preprocessing.height as u32);
            let mut mosaic = RgbImage::new(size.0, size.1);
            for (position, &index) in self.photos.iter().enumerate() {
                let part = crop(&open(index)?, settings, &tile, &mut random);
                let x = (position % 2 * (preprocessing.width / 2)) as i64;
                let y = (position / 2 * (preprocessing.height / 2)) as i64;
                imageops::replace(&mut mosaic, &part, x, y);
            }
            mosaic
        };
        change_color(&mut drawn, settings.color, &mut random);
        if let Some(rand_augment) = settings.rand_augment {
            drawn = rand_augment.apply(drawn, &mut random);
        }
        if let Some(cutout) = settings.cutout {
            cutout.apply(&mut drawn, &mut random);
        }
        Ok(drawn)
    }
}

/// A random part of the photo, mirrored half the time, at the size of `preprocessing`.
fn crop(
    photo: &RgbImage,
    settings: &Augmentation,
    preprocessing: &Preprocessing,
    random: &mut ChaCha8Rng,
) -> RgbImage {
    let area = random.random_range(settings.smallest_area..=1.0);
    let limit = settings.aspect.max(1.0).ln();
    let aspect = random.random_range(-limit..=limit).exp();
    let share = |share: f64, side: u32| ((share.min(1.0) * f64::from(side)) as u32).clamp(1, side);
    let width = share((area * aspect).sqrt(), photo.width());
    let height = share((area / aspect).sqrt(), photo.height());
    let x = random.random_range(0..=photo.width() - width);
    let y = random.random_range(0..=photo.height() - height);
    let part = imageops::crop_imm(photo, x, y, width, height).to_image();
    let mut resized = preprocess::resize(&part, preprocessing);
    if random.random::<bool>() {
        imageops::flip_horizontal_in_place(&mut resized);
    }
    resized
}

fn change_color(image: &mut RgbImage, strength: f64, random: &mut ChaCha8Rng) {
    let mut factor = || 1.0 + random.random_range(-strength..=strength) as f32;
    let (brightness, contrast, saturation) = (factor(), factor(), factor());
    for pixel in image.pixels_mut() {
        let [red, green, blue] = pixel.0.map(|byte| f32::from(byte) * brightness);
        let grey = 0.299 * red + 0.587 * green + 0.114 * blue;
        pixel.0 = [red, green, blue].map(|value| {
            let saturated = grey + (value - grey) * saturation;
            (127.5 + (saturated - 127.5) * contrast).round() as u8
        });
    }
}
