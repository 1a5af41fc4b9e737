//! Tells a still scene from a moving one.

use std::time::{Duration, Instant};

use image::RgbImage;

/// Columns and rows of the cells that are compared.
const CELLS: u32 = 24;

/// When a frame counts as still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MotionOptions {
    /// The largest change of any cell's mean brightness, of 255, in a still scene.
    pub sensitivity: f32,
    /// A still scene is inferred again after this time all the same.
    pub refresh: Duration,
}

/// Remembers the last inferred frame.
#[derive(Default)]
pub(super) struct Motion {
    reference: Option<(Instant, Vec<f32>)>,
}

impl Motion {
    /// Whether `picture`, captured at `now`, must be inferred; if so, later ones are compared with it.
    pub fn moves(&mut self, now: Instant, picture: &RgbImage, options: MotionOptions) -> bool {
        let cells = brightness(picture);
        let still = self.reference.as_ref().is_some_and(|(at, reference)| {
            let mut changes = reference.iter().zip(&cells).map(|(a, b)| (a - b).abs());
            now.saturating_duration_since(*at) < options.refresh
                && changes.all(|change| change <= options.sensitivity)
        });
        if !still {
            self.reference = Some((now, cells));
        }
        !still
    }
}

/// The mean of the green bytes, which carry most of the brightness, of every cell.
fn brightness(picture: &RgbImage) -> Vec<f32> {
    let (width, height) = picture.dimensions();
    let cells = CELLS as usize * CELLS as usize;
    let (mut sums, mut counts) = (vec![0_u32; cells], vec![0_u32; cells]);
    // Every second pixel of every second row tells enough.
    for y in (0..height).step_by(2) {
        let row = u64::from(y) * u64::from(CELLS) / u64::from(height) * u64::from(CELLS);
        for x in (0..width).step_by(2) {
            let cell = row + u64::from(x) * u64::from(CELLS) / u64::from(width);
            sums[cell as usize] += u32::from(picture.get_pixel(x, y)[1]);
            counts[cell as usize] += 1;
        }
    }
    let means = sums.iter().zip(&counts);
    means
        .map(|(&sum, &count)| sum as f32 / count.max(1) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    const OPTIONS: MotionOptions = MotionOptions {
        sensitivity: 6.0,
        refresh: Duration::from_secs(10),
    };

    fn scene(left: u32) -> RgbImage {
        RgbImage::from_fn(320, 240, |x, y| {
            let inside = (left..left + 20).contains(&x) && (100..120).contains(&y);
            Rgb([if inside { 200 } else { 90 }; 3])
        })
    }

    #[test]
    fn a_small_thing_that_moves_is_seen_and_noise_is_not() {
        let start = Instant::now();
        let mut motion = Motion::default();
        assert!(motion.moves(start, &scene(50), OPTIONS), "the first frame");
        let mut noisy = scene(50);
        for (index, byte) in noisy.iter_mut().enumerate() {
            *byte = byte.wrapping_add((index % 5) as u8);
        }
        assert!(!motion.moves(start, &noisy, OPTIONS));
        assert!(motion.moves(start, &scene(80), OPTIONS));
        assert!(!motion.moves(start, &scene(80), OPTIONS));
    }

    #[test]
    fn a_still_scene_is_looked_at_again_in_time() {
        let start = Instant::now();
        let mut motion = Motion::default();
        motion.moves(start, &scene(50), OPTIONS);
        let later = start + Duration::from_secs(10);
        assert!(motion.moves(later, &scene(50), OPTIONS));
    }
}
