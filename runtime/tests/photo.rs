//! Decoding: orientation, colours, and that nothing missing is made up.

use graphtag_runtime::PhotoError;
use graphtag_runtime::photo::decode;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};

/// A photo that no rotation or flip leaves the same.
fn slope(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 8) as u8, (y * 8) as u8, (x + y) as u8])
    })
}

fn jpeg(photo: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    photo.write_with_encoder(encoder).unwrap();
    bytes
}

fn encode(photo: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    photo.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The JPEG with an EXIF segment that holds nothing but an orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1, 0, exif.len() as u8 + 2]);
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

#[test]
fn every_exif_orientation_is_turned_upright() {
    let jpeg = jpeg(&slope(24, 16));
    let plain = decode(&jpeg).unwrap();
    for exif in 1..=8 {
        let mut expected = DynamicImage::ImageRgb8(plain.clone());
        expected.apply_orientation(Orientation::from_exif(exif).unwrap());
        let turned = decode(&with_orientation(&jpeg, exif)).unwrap();
        assert_eq!(turned, expected.into_rgb8(), "orientation {exif}");
    }
    let turned = decode(&with_orientation(&jpeg, 6)).unwrap();
    assert_eq!(turned.dimensions(), (16, 24));
    // What was at the left bottom is at the left top.
    assert_eq!(turned.get_pixel(0, 0), plain.get_pixel(0, 15));
}

#[test]
fn a_jpeg_is_close_to_what_was_encoded() {
    let photo = slope(24, 16);
    let decoded = decode(&jpeg(&photo)).unwrap();
    let difference = photo
        .iter()
        .zip(decoded.iter())
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(difference.unwrap() < 24, "{difference:?}");
}

#[test]
fn a_photo_cut_anywhere_is_an_error() {
    let photo = slope(64, 48);
    for format in [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Pnm,
    ] {
        let bytes = encode(photo.clone(), format);
        // The last bytes of some formats are no more than an end mark.
        for length in (0..bytes.len() - 16).step_by(7) {
            assert!(
                decode(&bytes[..length]).is_err(),
                "{format:?} cut to {length}"
            );
        }
    }
    let bytes = with_orientation(&jpeg(&photo), 1);
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "JPEG cut to {length}");
    }
}

#[test]
fn an_end_mark_inside_a_thumbnail_does_not_complete_a_jpeg() {
    let jpeg = jpeg(&slope(64, 48));
    let mut bytes = jpeg[..2].to_vec();
    let comment = [&jpeg[..200], &[0xff, 0xd9]].concat();
    bytes.extend([0xff, 0xfe, 0, comment.len() as u8 + 2]);
    bytes.extend(comment);
    bytes.extend(&jpeg[2..]);
    assert!(decode(&bytes).is_ok());
    bytes.truncate(bytes.len() - 2);
    assert!(matches!(decode(&bytes), Err(PhotoError::Decode { .. })));
}

#[test]
fn transparent_parts_show_white_and_deep_samples_are_rounded() {
    let mut glass = RgbaImage::from_pixel(3, 1, Rgba([200, 100, 0, 255]));
    glass.put_pixel(1, 0, Rgba([200, 100, 0, 0]));
    glass.put_pixel(2, 0, Rgba([0, 0, 0, 128]));
    let photo = decode(&encode(glass, ImageFormat::Png)).unwrap();
    assert_eq!(
        photo.into_raw(),
        [200, 100, 0, 255, 255, 255, 127, 127, 127]
    );

    let deep = image::ImageBuffer::from_pixel(1, 1, Rgb([0u16, 0x8000, 0xffff]));
    let photo = decode(&encode(deep, ImageFormat::Png)).unwrap();
    assert_eq!(photo.into_raw(), [0, 128, 255]);

    let grey = image::GrayImage::from_pixel(2, 1, Luma([77]));
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let photo = decode(&encode(grey.clone(), format)).unwrap();
        assert_eq!(photo.into_raw(), [77; 6], "{format:?}");
    }
}

#[test]
fn messages_are_one_line_and_name_the_cause() {
    let message = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    assert_eq!(message(b""), "empty file");
    assert_eq!(
        message(b"text"),
        "not a photo that can be read (JPEG, PNG, GIF, WebP, BMP, TIFF and PNM can)"
    );
    assert_eq!(
        message(b"P6 60000 60000 255\n"),
        "too large to decode within 410 MB (60000 x 60000 pixels); scale it down"
    );
}
