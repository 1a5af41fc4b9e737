//! The part of a picture that the model sees.

use image::{Rgb, RgbImage, imageops};

/// A rectangle in shares of a picture's width and height, from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// Left edge, within 0..=1.
    pub x: f32,
    /// Upper edge, within 0..=1.
    pub y: f32,
    /// Width, above 0.
    pub width: f32,
    /// Height, above 0.
    pub height: f32,
}

/// Which part of a picture the model sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The part that is kept; all if `None`.
    pub crop: Option<Rectangle>,
    /// Parts that are blackened, in shares of the whole picture.
    pub masks: Vec<Rectangle>,
}

impl Rectangle {
    /// Columns and rows from..to, at least one of each, within a picture of `width` x `height` pixels.
    fn pixels(self, width: u32, height: u32) -> [u32; 4] {
        let span = |from: f32, length: f32, size: u32| {
            let edge = |share: f32| (share.clamp(0.0, 1.0) * size as f32).round() as u32;
            let from_pixel = edge(from).min(size.saturating_sub(1));
            (from_pixel, edge(from + length).clamp(from_pixel + 1, size))
        };
        let (left, right) = span(self.x, self.width, width);
        let (top, bottom) = span(self.y, self.height, height);
        [left, top, right, bottom]
    }
}

impl View {
    /// What the model sees of `picture`, which has pixels.
    pub fn of(&self, mut picture: RgbImage) -> RgbImage {
        let (width, height) = picture.dimensions();
        for mask in &self.masks {
            let [left, top, right, bottom] = mask.pixels(width, height);
            for y in top..bottom {
                for x in left..right {
                    picture.put_pixel(x, y, Rgb([0; 3]));
                }
            }
        }
        match self.crop {
            None => picture,
            Some(crop) => {
                let [left, top, right, bottom] = crop.pixels(width, height);
                imageops::crop_imm(&picture, left, top, right - left, bottom - top).to_image()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rectangle(x: f32, y: f32, width: f32, height: f32) -> Rectangle {
        Rectangle {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn a_crop_keeps_its_part_and_a_mask_blackens_its_own() {
        let picture = RgbImage::from_fn(10, 20, |x, y| Rgb([x as u8 + 1, y as u8 + 1, 9]));
        let view = View {
            crop: Some(rectangle(0.5, 0.25, 0.3, 0.5)),
            masks: vec![rectangle(0.6, 0.0, 0.1, 1.0)],
        };
        let seen = view.of(picture);
        assert_eq!(seen.dimensions(), (3, 10));
        assert_eq!(seen.get_pixel(0, 0).0, [6, 6, 9]);
        assert_eq!(seen.get_pixel(1, 3).0, [0, 0, 0]);
        assert_eq!(seen.get_pixel(2, 9).0, [8, 15, 9]);
    }

    #[test]
    fn a_sliver_outside_still_gives_a_picture() {
        let picture = RgbImage::new(3, 3);
        let view = View {
            crop: Some(rectangle(1.0, 2.0, 1e-9, f32::NAN)),
            masks: vec![],
        };
        assert_eq!(view.of(picture).dimensions(), (1, 1));
    }
}
