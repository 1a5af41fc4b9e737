//! Frames as JPEG, for those who look at them.

use graphtag_runtime::frame::{Frame, Picture};
use graphtag_runtime::photo;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};

/// JPEG quality, of 100.
const QUALITY: u8 = 80;
/// The first bytes of every JPEG file.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// `frame`, of `size` once decoded, as a JPEG of at most `largest_side` pixels a side. A camera's JPEG goes
/// through as it is, but for Huffman tables that some cameras leave out. `None` when it can't be decoded.
pub fn jpeg(frame: &Frame, (width, height): (u32, u32), largest_side: u32) -> Option<Vec<u8>> {
    if let Picture::Encoded(bytes) = &frame.picture
        && bytes.starts_with(&JPEG)
        && width.max(height) <= largest_side
    {
        return Some(photo::with_huffman_tables(bytes).into_owned());
    }
    let mut picture = frame.picture.decode().ok()?;
    let largest = picture.width().max(picture.height());
    if largest > largest_side {
        let side = |side: u32| {
            (u64::from(side) * u64::from(largest_side) / u64::from(largest)).max(1) as u32
        };
        let (width, height) = (side(picture.width()), side(picture.height()));
        picture = imageops::resize(&picture, width, height, FilterType::Triangle);
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(&picture)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    fn frame(picture: Picture) -> Frame {
        Frame {
            captured: Instant::now(),
            name: None,
            picture,
        }
    }

    #[test]
    fn a_large_picture_becomes_smaller_and_keeps_its_shape_and_colour() {
        let red = RgbImage::from_pixel(2560, 640, Rgb([200, 30, 30]));
        let jpeg = jpeg(&frame(Picture::Rgb(red)), (2560, 640), 1280).unwrap();
        let small = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg)
            .unwrap()
            .to_rgb8();
        assert_eq!(small.dimensions(), (1280, 320));
        let [red, green, blue] = small.get_pixel(640, 160).0;
        assert!(red.abs_diff(200) < 4 && green.abs_diff(30) < 4 && blue.abs_diff(30) < 4);
    }

    #[test]
    fn a_camera_s_jpeg_goes_through_as_it_is() {
        let mut bytes = Vec::new();
        let grey = RgbImage::from_pixel(64, 48, Rgb([90; 3]));
        JpegEncoder::new(&mut bytes).encode_image(&grey).unwrap();
        let frame = frame(Picture::Encoded(bytes.clone()));
        assert_eq!(jpeg(&frame, (64, 48), 64).unwrap(), bytes);
    }
}
