//! RandAugment (Cubuk et al. 2020), with the operations and ranges of torchvision.

use image::{Rgb, RgbImage};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// What lies beyond the picture.
const GREY: Rgb<u8> = Rgb([127; 3]);

/// How many operations are applied to a view, and how strongly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugment {
    /// Operations per view, drawn anew for each.
    pub operations: usize,
    /// Strength, from 0 to 1; torchvision's magnitude divided by 30, so 0.3 for its default of 9.
    pub strength: f64,
}

/// One way of changing a picture. Amounts are from -1 to 1 where a sign makes sense, else from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// None.
    Identity,
    /// Shifts rows by up to 0.3 of their distance from the top.
    ShearX,
    /// Shifts columns by up to 0.3 of their distance from the left.
    ShearY,
    /// Moves by up to 0.45 of the width.
    TranslateX,
    /// Moves by up to 0.45 of the height.
    TranslateY,
    /// Turns by up to 30 degrees about the middle.
    Rotate,
    /// Blends with black, by a factor of 1 - 0.9 to 1 + 0.9.
    Brightness,
    /// Blends with grey.
    Color,
    /// Blends with the mean grey.
    Contrast,
    /// Blends with a smoothed picture.
    Sharpness,
    /// Keeps 8 to 4 bits.
    Posterize,
    /// Inverts what is brighter than 255 to 0.
    Solarize,
    /// Stretches each channel to the whole range.
    AutoContrast,
    /// Makes each channel's values equally frequent.
    Equalize,
}

const CHANGES: [Change; 14] = [
    Change::Identity,
    Change::ShearX,
    Change::ShearY,
    Change::TranslateX,
    Change::TranslateY,
    Change::Rotate,
    Change::Brightness,
    Change::Color,
    Change::Contrast,
    Change::Sharpness,
    Change::Posterize,
    Change::Solarize,
    Change::AutoContrast,
    Change::Equalize,
];

impl RandAugment {
    /// Changes the picture.
    pub fn apply(&self, picture: RgbImage, random: &mut impl Rng) -> RgbImage {
        (0..self.operations).fold(picture, |picture, _| {
            let change = CHANGES[random.random_range(0..CHANGES.len())];
            let sign = if random.random() { 1.0 } else { -1.0 };
            change.apply(&picture, sign * self.strength)
        })
    }
}

impl Change {
    /// The changed picture.
    pub fn apply(self, picture: &RgbImage, amount: f64) -> RgbImage {
        let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
        let factor = 1.0 + 0.9 * amount;
        match self {
            Change::Identity => picture.clone(),
            Change::ShearX => warped(picture, [1.0, 0.3 * amount, 0.0, 0.0, 1.0, 0.0]),
            Change::ShearY => warped(picture, [1.0, 0.0, 0.0, 0.3 * amount, 1.0, 0.0]),
            Change::TranslateX => {
                let distance = (150.0 / 331.0 * width * amount).trunc();
                warped(picture, [1.0, 0.0, -distance, 0.0, 1.0, 0.0])
            }
            Change::TranslateY => {
                let distance = (150.0 / 331.0 * height * amount).trunc();
                warped(picture, [1.0, 0.0, 0.0, 0.0, 1.0, -distance])
            }
            Change::Rotate => {
                let (sine, cosine) = (30.0 * amount).to_radians().sin_cos();
                let (x, y) = (width / 2.0, height / 2.0);
                let (from_x, from_y) = (x - cosine * x + sine * y, y - sine * x - cosine * y);
                warped(picture, [cosine, -sine, from_x, sine, cosine, from_y])
            }
            Change::Brightness => blended(picture, factor, |_, _| [0.0; 3]),
            Change::Color => blended(picture, factor, |x, y| [grey(picture.get_pixel(x, y)); 3]),
            Change::Contrast => {
                let sum: f64 = picture.pixels().map(grey).sum();
                let mean = (sum / (width * height)).round();
                blended(picture, factor, |_, _| [mean; 3])
            }
            Change::Sharpness => blended(picture, factor, |x, y| smooth(picture, x, y)),
            Change::Posterize => {
                let lost = (4.0 * amount.abs()).round() as u32;
                by_table(picture, |_| {
                    std::array::from_fn(|byte| byte as u8 >> lost << lost)
                })
            }
            Change::Solarize => {
                let most = 255.0 * (1.0 - amount.abs());
                let inverted = |byte: u8| {
                    if f64::from(byte) < most {
                        byte
                    } else {
                        255 - byte
                    }
                };
                by_table(picture, |_| {
                    std::array::from_fn(|byte| inverted(byte as u8))
                })
            }
            Change::AutoContrast => by_table(picture, stretched),
            Change::Equalize => by_table(picture, equalized),
        }
    }
}

/// At each x, y the picture's nearest pixel to a x + b y + c, d x + e y + f, both of pixels' middles.
fn warped(picture: &RgbImage, [a, b, c, d, e, f]: [f64; 6]) -> RgbImage {
    let (width, height) = picture.dimensions();
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
        let (x, y) = ((a * x + b * y + c).floor(), (d * x + e * y + f).floor());
        let inside = x >= 0.0 && y >= 0.0 && x < f64::from(width) && y < f64::from(height);
        if inside {
            *picture.get_pixel(x as u32, y as u32)
        } else {
            GREY
        }
    })
}

/// Each pixel `factor` times as far from `other` as it is.
fn blended(picture: &RgbImage, factor: f64, other: impl Fn(u32, u32) -> [f64; 3]) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (own, other) = (picture.get_pixel(x, y).0, other(x, y));
        let blend = |channel: usize| {
            let from = other[channel];
            (from + factor * (f64::from(own[channel]) - from)) as u8
        };
        Rgb(std::array::from_fn(blend))
    })
}

fn grey(pixel: &Rgb<u8>) -> f64 {
    let [red, green, blue] = pixel.0.map(f64::from);
    (0.299 * red + 0.587 * green + 0.114 * blue).round()
}

/// The mean of a pixel, which counts five times, and its eight neighbours; at the edges the pixel.
fn smooth(picture: &RgbImage, x: u32, y: u32) -> [f64; 3] {
    let own = picture.get_pixel(x, y).0.map(f64::from);
    let (width, height) = picture.dimensions();
    if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
        return own;
    }
    std::array::from_fn(|channel| {
        let near = (x - 1..=x + 1).flat_map(|x| (y - 1..=y + 1).map(move |y| (x, y)));
        let value = |(x, y)| f64::from(picture.get_pixel(x, y).0[channel]);
        let sum: f64 = near.map(value).sum();
        ((sum + 4.0 * own[channel]) / 13.0).round()
    })
}

/// Each channel through a table that is made of its histogram.
fn by_table(picture: &RgbImage, table: impl Fn(&[u32; 256]) -> [u8; 256]) -> RgbImage {
    let mut histograms = [[0; 256]; 3];
    for pixel in picture.pixels() {
        for (histogram, &byte) in histograms.iter_mut().zip(&pixel.0) {
            histogram[usize::from(byte)] += 1;
        }
    }
    let tables = histograms.map(|histogram| table(&histogram));
    let mut changed = picture.clone();
    for pixel in changed.pixels_mut() {
        for (byte, table) in pixel.0.iter_mut().zip(&tables) {
            *byte = table[usize::from(*byte)];
        }
    }
    changed
}

fn stretched(histogram: &[u32; 256]) -> [u8; 256] {
    let lowest = histogram.iter().position(|&count| count > 0).unwrap_or(0);
    let highest = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
    std::array::from_fn(|byte| {
        if highest <= lowest {
            return byte as u8;
        }
        let range = (highest - lowest) as f64;
        ((byte as f64 - lowest as f64) * 255.0 / range).clamp(0.0, 255.0) as u8
    })
}

/// The table of PIL's `ImageOps.equalize`.
fn equalized(histogram: &[u32; 256]) -> [u8; 256] {
    let last = histogram.iter().rev().find(|&&count| count > 0);
    let step = (histogram.iter().sum::<u32>() - last.unwrap_or(&0)) / 255;
    let mut sum = step / 2;
    std::array::from_fn(|byte| {
        if step == 0 {
            return byte as u8;
        }
        let value = (sum / step).min(255) as u8;
        sum += histogram[byte];
        value
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        width: u32,
        height: u32,
        picture: Vec<u8>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        change: Change,
        amount: f64,
        picture: Vec<u8>,
    }

    #[test]
    fn changes_are_pillows() {
        let fixture = include_str!("../../../fixtures/rand_augment.json");
        let fixture: Fixture = serde_json::from_str(fixture).unwrap();
        let picture = RgbImage::from_raw(fixture.width, fixture.height, fixture.picture).unwrap();
        for change in CHANGES {
            assert!(fixture.cases.iter().any(|case| case.change == change));
        }
        for case in fixture.cases {
            let found = case.change.apply(&picture, case.amount).into_raw();
            let differ = |(found, expected): (&u8, &u8)| found.abs_diff(*expected) > 1;
            let different = found
                .iter()
                .zip(&case.picture)
                .filter(|&p| differ(p))
                .count();
            assert_eq!(different, 0, "{:?} {}", case.change, case.amount);
        }
    }
}
