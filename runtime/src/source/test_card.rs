//! A moving test card, for demonstrations and tests without a camera.

use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};

use super::{Next, Source, SourceError, SourceOptions, period, wait_until};
use crate::frame::{Frame, Picture};

/// Unless a rate is given, in frames a second.
const RATE: f64 = 10.0;
/// Unless a size is given.
const SIZE: (u32, u32) = (640, 480);
/// White, yellow, cyan, green, magenta, red, blue, at three quarters (SMPTE EG 1).
const BARS: [[u8; 3]; 7] = [
    [191, 191, 191],
    [191, 191, 0],
    [0, 191, 191],
    [0, 191, 0],
    [191, 0, 191],
    [191, 0, 0],
    [0, 0, 191],
];
/// Frames in which the disc crosses the card.
const CROSSING: u64 = 60;

/// Colour bars over a grey ramp, with a white disc that goes to and fro.
pub(super) struct TestCard {
    size: (u32, u32),
    period: Duration,
    due: Instant,
    number: u64,
}

impl TestCard {
    pub fn open(options: &SourceOptions) -> Self {
        TestCard {
            size: options.size.unwrap_or(SIZE),
            period: period(options.rate.unwrap_or(RATE)),
            due: Instant::now(),
            number: 0,
        }
    }
}

impl Source for TestCard {
    fn next(&mut self, deadline: Instant) -> Result<Next, SourceError> {
        if !wait_until(self.due, deadline) {
            return Ok(Next::Pending);
        }
        let now = Instant::now();
        self.due = (self.due + self.period).max(now);
        let picture = Picture::Rgb(draw(self.size, self.number));
        self.number += 1;
        Ok(Next::Frame(Frame {
            captured: now,
            name: None,
            picture,
        }))
    }
}

fn draw((width, height): (u32, u32), number: u64) -> RgbImage {
    let along = number % (2 * CROSSING);
    let along = along.min(2 * CROSSING - along) as f32 / CROSSING as f32;
    let radius = width.min(height) as f32 / 10.0;
    let centre_x = radius + along * (width as f32 - 2.0 * radius);
    let centre_y = height as f32 / 2.0;
    RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (x as f32 + 0.5 - centre_x, y as f32 + 0.5 - centre_y);
        if dx * dx + dy * dy < radius * radius {
            return Rgb([255; 3]);
        }
        let share = u64::from(x) * BARS.len() as u64 / u64::from(width);
        if u64::from(y) * 3 < u64::from(height) * 2 {
            Rgb(BARS[share as usize])
        } else {
            Rgb([(u64::from(x) * 255 / u64::from(width)) as u8; 3])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disc_goes_to_and_fro_over_the_bars() {
        let white = |number, x| draw((640, 480), number).get_pixel(x, 240).0 == [255; 3];
        assert!(white(0, 48) && !white(0, 591));
        assert!(white(CROSSING, 591) && !white(CROSSING, 48));
        assert!(white(2 * CROSSING, 48));
        assert_eq!(draw((640, 480), 0).get_pixel(639, 0).0, BARS[6]);
        assert_eq!(draw((640, 480), 0).get_pixel(0, 479).0, [0; 3]);
        assert_eq!(draw((1, 1), 7).dimensions(), (1, 1));
    }
}
