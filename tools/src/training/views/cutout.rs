//! Cutout (DeVries and Taylor 2017): a grey square somewhere on the picture.

use image::{Rgb, RgbImage};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// How often, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cutout {
    /// Share of the views that have it.
    pub probability: f64,
    /// Side of the square as a share of the picture's shorter side; what lies beyond the picture's edge is lost.
    pub side: f64,
}

impl Cutout {
    /// Draws the square, or none.
    pub fn apply(&self, picture: &mut RgbImage, random: &mut impl Rng) {
        if random.random::<f64>() >= self.probability {
            return;
        }
        let (width, height) = picture.dimensions();
        let half = self.side * f64::from(width.min(height)) / 2.0;
        let mut span = |length: u32| {
            let middle = random.random_range(0.0..f64::from(length));
            let end = |at: f64| (at.round().max(0.0) as u32).min(length);
            end(middle - half)..end(middle + half)
        };
        let (columns, rows) = (span(width), span(height));
        for y in rows {
            for x in columns.clone() {
                picture.put_pixel(x, y, Rgb([127; 3]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn cuts_a_square_that_may_lie_across_the_edge() {
        let cutout = Cutout {
            probability: 0.5,
            side: 0.4,
        };
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut areas = vec![];
        for _ in 0..400 {
            let mut picture = RgbImage::from_pixel(30, 20, Rgb([9, 9, 9]));
            cutout.apply(&mut picture, &mut random);
            areas.push(picture.pixels().filter(|pixel| pixel.0 == [127; 3]).count());
        }
        let cut = areas.iter().filter(|&&area| area > 0).count();
        assert!((160..=240).contains(&cut), "{cut} of 400");
        assert_eq!(areas.iter().max(), Some(&64));
        assert!(areas.iter().any(|area| (1..60).contains(area)));
    }
}
