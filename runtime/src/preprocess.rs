//! From a photo to the input tensor: the one preprocessing for training, evaluation and inference.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use graphtag_models::{ColorOrder, Filter, Preprocessing, Resize};
use image::RgbImage;

/// `photo` as the input tensor `image`: [`resize`], then [`tensor`].
pub fn preprocess(photo: &RgbImage, preprocessing: &Preprocessing) -> Vec<f32> {
    tensor(&resize(photo, preprocessing), preprocessing)
}

/// `photo` at the size of the input, fitted and filtered as `preprocessing` says. A photo without pixels
/// gives black.
pub fn resize(photo: &RgbImage, preprocessing: &Preprocessing) -> RgbImage {
    let mut resized = RgbImage::new(preprocessing.width as u32, preprocessing.height as u32);
    if photo.is_empty() || resized.is_empty() {
        return resized;
    }
    let filter = match preprocessing.filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Lanczos3 => FilterType::Lanczos3,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    let options = match preprocessing.resize {
        Resize::Stretch => options,
        Resize::CenterCrop => options.fit_into_destination(None),
    };
    Resizer::new()
        .resize(photo, &mut resized, &options)
        .expect("both are RGB images with pixels");
    resized
}

/// The values (byte - mean) * scale of a photo of the input's size, \[3, height, width\] row by row, channels
/// in `color` order.
pub fn tensor(resized: &RgbImage, preprocessing: &Preprocessing) -> Vec<f32> {
    let Preprocessing {
        mean, scale, color, ..
    } = preprocessing;
    let mut values = Vec::with_capacity(resized.len());
    for channel in 0..3 {
        let (mean, scale) = (mean[channel], scale[channel]);
        let byte = match color {
            ColorOrder::Rgb => channel,
            ColorOrder::Bgr => 2 - channel,
        };
        values.extend(
            resized
                .chunks_exact(3)
                .map(|pixel| (f32::from(pixel[byte]) - mean) * scale),
        );
    }
    values
}
