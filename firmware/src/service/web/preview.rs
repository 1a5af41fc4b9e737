//! The picture that viewers see: made when somebody looks, once for all who look.

use std::sync::Arc;

use axum::body::Bytes;
use graphtag_runtime::frame::{Frame, Picture};
use graphtag_runtime::photo;
use graphtag_runtime::stream::Observation;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// Larger pictures are made smaller.
const LARGEST_SIDE: u32 = 1280;
/// JPEG quality, of 100.
const QUALITY: u8 = 80;
/// The first bytes of every JPEG file.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// The JPEG of the observation that was last asked for.
#[derive(Default)]
pub struct Preview {
    last: Mutex<Option<(u64, Bytes)>>,
}

impl Preview {
    /// The picture of `observation` as JPEG; `None` when it has none, or none that can be shown.
    pub async fn of(&self, observation: &Arc<Observation>) -> Option<Bytes> {
        let frame = observation.frame.clone()?;
        if observation.problem.is_some() {
            return None;
        }
        let mut last = self.last.lock().await;
        if let Some((number, jpeg)) = &*last
            && *number == observation.number
        {
            return Some(jpeg.clone());
        }
        let size = observation.size;
        let jpeg = spawn_blocking(move || jpeg(&frame, size)).await.ok()??;
        *last = Some((observation.number, jpeg.clone()));
        Some(jpeg)
    }
}

fn jpeg(frame: &Frame, (width, height): (u32, u32)) -> Option<Bytes> {
    if let Picture::Encoded(bytes) = &frame.picture
        && bytes.starts_with(&JPEG)
        && width.max(height) <= LARGEST_SIDE
    {
        return Some(photo::with_huffman_tables(bytes).into_owned().into());
    }
    let mut picture = frame.picture.decode().ok()?;
    let largest = picture.width().max(picture.height());
    if largest > LARGEST_SIDE {
        let side = |side: u32| {
            (u64::from(side) * u64::from(LARGEST_SIDE) / u64::from(largest)).max(1) as u32
        };
        let (width, height) = (side(picture.width()), side(picture.height()));
        picture = imageops::resize(&picture, width, height, FilterType::Triangle);
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(&picture)
        .ok()?;
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    fn preview(picture: Picture, size: (u32, u32)) -> RgbImage {
        let frame = Frame {
            captured: Instant::now(),
            name: None,
            picture,
        };
        let jpeg = jpeg(&frame, size).unwrap();
        image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg)
            .unwrap()
            .to_rgb8()
    }

    #[test]
    fn a_large_picture_becomes_smaller_and_keeps_its_shape_and_colour() {
        let red = RgbImage::from_pixel(2560, 640, Rgb([200, 30, 30]));
        let small = preview(Picture::Rgb(red), (2560, 640));
        assert_eq!(small.dimensions(), (1280, 320));
        let [red, green, blue] = small.get_pixel(640, 160).0;
        assert!(red.abs_diff(200) < 4 && green.abs_diff(30) < 4 && blue.abs_diff(30) < 4);
    }

    #[test]
    fn a_camera_s_jpeg_goes_through_as_it_is() {
        let mut bytes = Vec::new();
        let grey = RgbImage::from_pixel(64, 48, Rgb([90; 3]));
        JpegEncoder::new(&mut bytes).encode_image(&grey).unwrap();
        let frame = Frame {
            captured: Instant::now(),
            name: None,
            picture: Picture::Encoded(bytes.clone()),
        };
        assert_eq!(jpeg(&frame, (64, 48)).unwrap(), bytes);
    }
}
