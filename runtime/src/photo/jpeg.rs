//! JPEG, decoded strictly: the `image` crate's own JPEG decoder paints what is missing grey.

use image::RgbImage;
use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{PhotoError, check_memory};

/// Decodes all of a JPEG to RGB, not yet turned upright.
pub(super) fn decode(bytes: &[u8]) -> Result<(RgbImage, Orientation), PhotoError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(failed)?;
    let info = decoder.info().ok_or(PhotoError::Format)?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    // Progressive and non-interleaved files need a 16-bit coefficient per sample beside the RGB.
    check_memory(
        bytes.len(),
        width,
        height,
        3 + 2 * u64::from(info.components).max(2),
    )?;
    if !has_end_of_image(bytes) {
        return Err(PhotoError::decode("JPEG", "it ends too early"));
    }
    let pixels = decoder.decode().map_err(failed)?;
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let photo = RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| PhotoError::decode("JPEG", "not as many samples as its size calls for"))?;
    Ok((photo, orientation))
}

/// Whether an end-of-image marker follows the first scan's header.
///
/// Segments before the scans are skipped by their length, since a thumbnail in one has a marker of its
/// own; in entropy-coded data FF D9 can't occur.
fn has_end_of_image(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        match *rest {
            [0xff, START_OF_SCAN, ..] => {
                return rest.windows(2).any(|marker| marker == [0xff, 0xd9]);
            }
            [0xff, marker, high, low, ..] if marker != 0xff => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(2 + length..).unwrap_or_default();
            }
            [_, ref tail @ ..] => rest = tail,
            [] => return false,
        }
    }
}

fn failed(error: DecodeErrors) -> PhotoError {
    PhotoError::decode("JPEG", &format!("{error:?}").replace('"', ""))
}
