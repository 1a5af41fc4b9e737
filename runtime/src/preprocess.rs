//! From a photo to the input of a network: the one preprocessing for training, evaluation and inference.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use graphtag_models::{ColorOrder, Filter, Preprocessing, Resize};
use image::RgbImage;

use crate::kernels::quantize;
use crate::network::{Entry, Input, Network};

/// `photo` as the input tensor `image`: [`resize`], then [`tensor`].
pub fn preprocess(photo: &RgbImage, preprocessing: &Preprocessing) -> Vec<f32> {
    tensor(&resize(photo, preprocessing), preprocessing)
}

/// `photo` at the size of the input, fitted and filtered as `preprocessing` says. A photo without pixels
/// gives black.
pub fn resize(photo: &RgbImage, preprocessing: &Preprocessing) -> RgbImage {
    let mut resized = RgbImage::new(preprocessing.width as u32, preprocessing.height as u32);
    resize_into(&mut Resizer::new(), photo, preprocessing, &mut resized);
    resized
}

fn resize_into(
    resizer: &mut Resizer,
    photo: &RgbImage,
    preprocessing: &Preprocessing,
    resized: &mut RgbImage,
) {
    if photo.is_empty() || resized.is_empty() {
        return resized.fill(0);
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
    resizer
        .resize(photo, resized, &options)
        .expect("both are RGB images with pixels");
}

/// The values (byte - mean) * scale of a photo of the input's size, \[3, height, width\] row by row, channels
/// in `color` order.
pub fn tensor(resized: &RgbImage, preprocessing: &Preprocessing) -> Vec<f32> {
    let mut values = vec![0.0; resized.len()];
    write_tensor(resized, preprocessing, &mut values);
    values
}

fn write_tensor(resized: &RgbImage, preprocessing: &Preprocessing, values: &mut [f32]) {
    let pixels = resized.as_chunks::<3>().0;
    for (channel, plane) in values.chunks_exact_mut(pixels.len().max(1)).enumerate() {
        let byte = byte(channel, preprocessing.color);
        for (value, pixel) in plane.iter_mut().zip(pixels) {
            *value = normalize(pixel[byte], channel, preprocessing);
        }
    }
}

/// The byte of a pixel that channel `channel` of the input is made of.
fn byte(channel: usize, color: ColorOrder) -> usize {
    match color {
        ColorOrder::Rgb => channel,
        ColorOrder::Bgr => 2 - channel,
    }
}

#[inline]
fn normalize(byte: u8, channel: usize, preprocessing: &Preprocessing) -> f32 {
    (f32::from(byte) - preprocessing.mean[channel]) * preprocessing.scale[channel]
}

/// Makes photos the input of one network, in memory that it keeps.
///
/// Where the network takes int8, a table per channel holds what each byte is normalised and quantised to, so that
/// there is no float image in between; the int8 values are the same.
pub struct Preprocessor {
    preprocessing: Preprocessing,
    resizer: Resizer,
    resized: RgbImage,
    quantizer: Option<Quantizer>,
    input: Input,
}

impl Preprocessor {
    /// For photos of `network`, prepared as `preprocessing` says.
    pub fn new(network: &Network, preprocessing: &Preprocessing) -> Self {
        let [_, _, height, width] = network.input_shape();
        Preprocessor {
            preprocessing: preprocessing.clone(),
            resizer: Resizer::new(),
            resized: RgbImage::new(width as u32, height as u32),
            quantizer: network
                .entry()
                .map(|entry| Quantizer::new(entry, preprocessing)),
            input: network.new_input(),
        }
    }

    /// `photo` as input of the network.
    pub fn input(&mut self, photo: &RgbImage) -> &Input {
        let (preprocessing, resized) = (&self.preprocessing, &mut self.resized);
        resize_into(&mut self.resizer, photo, preprocessing, resized);
        match (&mut self.input, &self.quantizer) {
            (Input::Int8(map), Some(quantizer)) => quantizer.quantize(resized, map),
            (Input::Float(values), _) => write_tensor(resized, preprocessing, values),
            (Input::Int8(_), None) => unreachable!("an int8 input has an entry"),
        }
        &self.input
    }
}

/// Normalises and quantises bytes by table.
struct Quantizer {
    /// Bytes from one pixel of the map to the next.
    pixel: usize,
    tables: [[i8; 256]; 3],
    color: ColorOrder,
}

impl Quantizer {
    fn new(entry: Entry, preprocessing: &Preprocessing) -> Self {
        let table = |channel| {
            std::array::from_fn(|byte| {
                let value = normalize(byte as u8, channel, preprocessing);
                quantize(value, entry.scale, entry.zero_point)
            })
        };
        Quantizer {
            pixel: entry.map.pixel,
            tables: std::array::from_fn(table),
            color: preprocessing.color,
        }
    }

    fn quantize(&self, resized: &RgbImage, map: &mut [i8]) {
        let bytes = [0, 1, 2].map(|channel| byte(channel, self.color));
        let pixels = resized.as_chunks::<3>().0.iter();
        for (values, pixel) in map.chunks_exact_mut(self.pixel).zip(pixels) {
            for ((value, table), byte) in values.iter_mut().zip(&self.tables).zip(bytes) {
                *value = table[usize::from(pixel[byte])];
            }
        }
    }
}
