//! A picture brought to the size of its place on a panel.

use fast_image_resize::{ResizeOptions, Resizer};
use image::RgbImage;

/// The largest share of a picture's width or height that is cut off for it to fill its place.
const LARGEST_CUT: f64 = 0.34;

/// `picture` scaled to fill `width` x `height`, or nearly so; what is beyond is cut off evenly at both sides.
pub fn thumbnail(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    let whole = (f64::from(picture.width()), f64::from(picture.height()));
    let place = (f64::from(width), f64::from(height));
    let (across, down) = (place.0 / whole.0, place.1 / whole.1);
    let scale = across.max(down).min(across.min(down) / (1.0 - LARGEST_CUT));
    let shown = (whole.0.min(place.0 / scale), whole.1.min(place.1 / scale));
    let side = |side: f64, most: u32| ((side * scale).round() as u32).clamp(1, most.max(1));
    let mut thumbnail = RgbImage::new(side(shown.0, width), side(shown.1, height));
    let cut = ((whole.0 - shown.0) / 2.0, (whole.1 - shown.1) / 2.0);
    let options = ResizeOptions::new().crop(cut.0, cut.1, shown.0, shown.1);
    // It fails for a picture without pixels alone, which leaves black.
    let _ = Resizer::new().resize(picture, &mut thumbnail, &options);
    thumbnail
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn a_picture_fills_its_place_unless_too_much_were_cut_off() {
        let size = |width, height, place: (u32, u32)| {
            thumbnail(&RgbImage::new(width, height), place.0, place.1).dimensions()
        };
        assert_eq!(size(640, 480, (240, 128)), (240, 128));
        assert_eq!(size(640, 480, (768, 720)), (768, 720));
        assert_eq!(size(1280, 720, (192, 240)), (192, 164));
        assert_eq!(size(1, 4000, (192, 240)), (1, 240));
        assert_eq!(size(0, 0, (192, 240)), (1, 1));
    }

    #[test]
    fn both_sides_lose_the_same() {
        let picture = RgbImage::from_fn(400, 200, |x, _| {
            Rgb(if (50..350).contains(&x) {
                [200; 3]
            } else {
                [0; 3]
            })
        });
        let thumbnail = thumbnail(&picture, 150, 100);
        // What lies beyond shows a little at the very edge.
        let within = (5..145).map(|x| thumbnail.get_pixel(x, 50).0);
        assert!(within.eq([[200; 3]; 140]));
        assert_eq!(thumbnail.get_pixel(0, 50), thumbnail.get_pixel(149, 50));
    }
}
