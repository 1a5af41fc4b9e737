//! One picture of a stream, as its source delivered it.

use std::time::Instant;

use image::RgbImage;

use crate::photo::{self, PhotoError};

/// A picture and when it came.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When the source had it complete.
    pub captured: Instant,
    /// The file it was read from, for sources of files.
    pub name: Option<String>,
    /// What the source delivered.
    pub picture: Picture,
}

/// A picture in one of the forms in which sources deliver it.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// A whole file of any format that [`photo::decode`] reads; from cameras, JPEG, which may lack its Huffman tables.
    Encoded(Vec<u8>),
    /// Red, green and blue bytes.
    Rgb(RgbImage),
    /// Luma and chroma in one of the layouts of cameras and video programs.
    Yuv(Yuv),
    /// Nothing, since its file can't be had for this reason.
    Missing(String),
}

/// A picture of luma and chroma, BT.601.
#[derive(Clone, Debug, PartialEq)]
pub struct Yuv {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// How `bytes` are laid out.
    pub layout: YuvLayout,
    /// Whether luma spans 0..=255 (JPEG) instead of 16..=235 (video).
    pub full_range: bool,
    /// Exactly [`YuvLayout::bytes`] of them.
    pub bytes: Vec<u8>,
}

/// Layouts of luma and chroma, without padding between rows. Halves of odd sizes are rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum YuvLayout {
    /// Y0 U Y1 V for every two pixels of a row.
    Yuyv,
    /// A plane of Y, then rows of U and V in turn, each for 2 x 2 pixels.
    Nv12,
    /// Planes of Y, U and V; a chroma sample serves `columns` x `rows` pixels.
    Planar {
        /// Pixels of a row that share a sample: 1 or 2.
        columns: usize,
        /// Rows that share a sample: 1 or 2.
        rows: usize,
    },
    /// A plane of Y alone.
    Grey,
}

impl YuvLayout {
    /// Bytes of a picture of `width` x `height`; `None` when they are more than memory can address.
    pub fn bytes(self, width: usize, height: usize) -> Option<usize> {
        let luma = width.checked_mul(height)?;
        let chroma = |columns: usize, rows: usize| {
            width
                .div_ceil(columns)
                .checked_mul(height.div_ceil(rows))?
                .checked_mul(2)
        };
        match self {
            YuvLayout::Yuyv => width.div_ceil(2).checked_mul(4)?.checked_mul(height),
            YuvLayout::Nv12 => luma.checked_add(chroma(2, 2)?),
            YuvLayout::Planar { columns, rows } => luma.checked_add(chroma(columns, rows)?),
            YuvLayout::Grey => Some(luma),
        }
    }
}

impl Picture {
    /// The picture as red, green and blue bytes, upright.
    ///
    /// # Errors
    /// When it is encoded and damaged, or too large, see [`photo::decode`]; or when it is missing.
    pub fn decode(&self) -> Result<RgbImage, PhotoError> {
        match self {
            Picture::Encoded(bytes) => photo::decode(&photo::with_huffman_tables(bytes)),
            Picture::Rgb(image) => Ok(image.clone()),
            Picture::Yuv(yuv) => yuv.to_rgb(),
            Picture::Missing(cause) => Err(PhotoError::Missing(cause.clone())),
        }
    }
}

impl Yuv {
    fn to_rgb(&self) -> Result<RgbImage, PhotoError> {
        let (width, height) = (self.width, self.height);
        if width == 0 || height == 0 {
            return Err(PhotoError::NoPixels);
        }
        if self.layout.bytes(width, height) != Some(self.bytes.len()) {
            return Err(PhotoError::Decode {
                format: "raw".into(),
                cause: format!("{} bytes for {width} x {height}", self.bytes.len()),
            });
        }
        let mut image = RgbImage::new(width as u32, height as u32);
        let matrix = Matrix::new(self.full_range);
        let mut samples = Samples::of_width(width);
        for (y, row) in image.chunks_exact_mut(width * 3).enumerate() {
            self.copy_row(y, &mut samples);
            matrix.convert(&samples, row);
        }
        Ok(image)
    }

    /// Copies row `y`, chroma repeated for every pixel that shares it.
    fn copy_row(&self, y: usize, samples: &mut Samples) {
        let (bytes, width, height) = (&self.bytes, self.width, self.height);
        let (plane, half) = (width * height, width.div_ceil(2));
        match self.layout {
            YuvLayout::Yuyv => {
                let row = bytes[y * half * 4..][..half * 4].as_chunks::<4>().0;
                let Samples { luma, blue, red } = samples;
                let pairs = luma
                    .chunks_mut(2)
                    .zip(blue.chunks_mut(2))
                    .zip(red.chunks_mut(2));
                for (((luma, blue), red), &[first, u, second, v]) in pairs.zip(row) {
                    luma.copy_from_slice(&[first, second][..luma.len()]);
                    blue.fill(u);
                    red.fill(v);
                }
                return;
            }
            YuvLayout::Nv12 => {
                let row = bytes[plane + y / 2 * half * 2..][..half * 2]
                    .as_chunks::<2>()
                    .0;
                let pairs = samples.blue.chunks_mut(2).zip(samples.red.chunks_mut(2));
                for ((blue, red), &[u, v]) in pairs.zip(row) {
                    blue.fill(u);
                    red.fill(v);
                }
            }
            YuvLayout::Planar { columns, rows } => {
                let stride = width.div_ceil(columns);
                let first = plane + y / rows * stride;
                let second = first + stride * height.div_ceil(rows);
                repeat(&bytes[first..][..stride], columns, &mut samples.blue);
                repeat(&bytes[second..][..stride], columns, &mut samples.red);
            }
            // Grey keeps the neutral chroma that samples begin with.
            YuvLayout::Grey => {}
        }
        samples.luma.copy_from_slice(&bytes[y * width..][..width]);
    }
}

/// Each of `values` `times` times, as far as `to` goes.
fn repeat(values: &[u8], times: usize, to: &mut [u8]) {
    if times == 1 {
        return to.copy_from_slice(values);
    }
    for (to, &value) in to.chunks_mut(times).zip(values) {
        to.fill(value);
    }
}

/// The pixels of a row: luma, blue and red chroma.
struct Samples {
    luma: Vec<u8>,
    blue: Vec<u8>,
    red: Vec<u8>,
}

impl Samples {
    /// Black without colour.
    fn of_width(width: usize) -> Self {
        Samples {
            luma: vec![0; width],
            blue: vec![128; width],
            red: vec![128; width],
        }
    }
}

/// BT.601 in 16-bit fixed point.
#[derive(Clone, Copy)]
struct Matrix {
    black: i32,
    luma: i32,
    red_of_red: i32,
    green_of_blue: i32,
    green_of_red: i32,
    blue_of_blue: i32,
}

impl Matrix {
    fn new(full_range: bool) -> Self {
        if full_range {
            Matrix {
                black: 0,
                luma: 1 << 16,
                red_of_red: 91_881,
                green_of_blue: -22_554,
                green_of_red: -46_802,
                blue_of_blue: 116_130,
            }
        } else {
            Matrix {
                black: 16,
                luma: 76_309,
                red_of_red: 104_597,
                green_of_blue: -25_675,
                green_of_red: -53_279,
                blue_of_blue: 132_201,
            }
        }
    }

    /// A row of red, green and blue. A loop without branches or lookups, which compilers make vectors of.
    fn convert(self, samples: &Samples, row: &mut [u8]) {
        let pixels = row.as_chunks_mut::<3>().0.iter_mut();
        let samples = samples.luma.iter().zip(&samples.blue).zip(&samples.red);
        for (pixel, ((&luma, &blue), &red)) in pixels.zip(samples) {
            *pixel = self.rgb(luma, blue, red);
        }
    }

    /// Rounded to nearest.
    #[inline]
    fn rgb(self, luma: u8, blue: u8, red: u8) -> [u8; 3] {
        let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
        let base = (i32::from(luma) - self.black) * self.luma + (1 << 15);
        let byte = |value: i32| (value >> 16).clamp(0, 255) as u8;
        [
            byte(base + self.red_of_red * red),
            byte(base + self.green_of_blue * blue + self.green_of_red * red),
            byte(base + self.blue_of_blue * blue),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same four grey and four coloured pixels in every layout.
    #[test]
    fn every_layout_gives_the_same_picture() {
        // 2 x 2 pixels of one chroma: Y 81, U 90, V 240 is BT.601's red.
        let picture = |layout, bytes: &[u8]| {
            let yuv = Yuv {
                width: 2,
                height: 2,
                layout,
                full_range: false,
                bytes: bytes.into(),
            };
            Picture::Yuv(yuv).decode().unwrap()
        };
        let planar = |columns, rows| YuvLayout::Planar { columns, rows };
        let pictures = [
            picture(YuvLayout::Yuyv, &[81, 90, 81, 240, 81, 90, 81, 240]),
            picture(YuvLayout::Nv12, &[81, 81, 81, 81, 90, 240]),
            picture(planar(2, 2), &[81, 81, 81, 81, 90, 240]),
            picture(planar(2, 1), &[81, 81, 81, 81, 90, 90, 240, 240]),
            picture(
                planar(1, 1),
                &[81, 81, 81, 81, 90, 90, 90, 90, 240, 240, 240, 240],
            ),
        ];
        for picture in pictures {
            for pixel in picture.pixels() {
                assert!(
                    pixel[0] >= 253 && pixel[1] <= 1 && pixel[2] <= 1,
                    "{pixel:?}"
                );
            }
        }
    }

    #[test]
    fn black_and_white_span_the_whole_range() {
        let (video, full) = (Matrix::new(false), Matrix::new(true));
        assert_eq!(video.rgb(16, 128, 128), [0; 3]);
        assert_eq!(video.rgb(235, 128, 128), [255; 3]);
        assert_eq!(full.rgb(0, 128, 128), [0; 3]);
        assert_eq!(full.rgb(255, 128, 128), [255; 3]);
    }

    #[test]
    fn odd_sizes_have_a_chroma_sample_for_the_last_column() {
        let layouts = [
            (YuvLayout::Yuyv, 8 * 3),
            (YuvLayout::Nv12, 9 + 8),
            (
                YuvLayout::Planar {
                    columns: 2,
                    rows: 2,
                },
                9 + 8,
            ),
            (YuvLayout::Grey, 9),
        ];
        for (layout, bytes) in layouts {
            assert_eq!(layout.bytes(3, 3), Some(bytes));
            let yuv = Yuv {
                width: 3,
                height: 3,
                layout,
                full_range: true,
                bytes: vec![128; bytes],
            };
            assert_eq!(
                Picture::Yuv(yuv).decode().unwrap().get_pixel(2, 2).0,
                [128; 3]
            );
        }
    }

    /// Y, U and V of a pixel, by the description of each layout.
    fn sample(yuv: &Yuv, x: usize, y: usize) -> [u8; 3] {
        let half = yuv.width.div_ceil(2);
        let (bytes, plane) = (&yuv.bytes, yuv.width * yuv.height);
        let luma = y * yuv.width + x;
        match yuv.layout {
            YuvLayout::Yuyv => {
                let pair = (y * half + x / 2) * 4;
                [bytes[pair + x % 2 * 2], bytes[pair + 1], bytes[pair + 3]]
            }
            YuvLayout::Nv12 => {
                let chroma = plane + (y / 2 * half + x / 2) * 2;
                [bytes[luma], bytes[chroma], bytes[chroma + 1]]
            }
            YuvLayout::Planar { columns, rows } => {
                let stride = yuv.width.div_ceil(columns);
                let chroma = plane + y / rows * stride + x / columns;
                let size = stride * yuv.height.div_ceil(rows);
                [bytes[luma], bytes[chroma], bytes[chroma + size]]
            }
            YuvLayout::Grey => [bytes[luma], 128, 128],
        }
    }

    /// ITU-R BT.601, luma and chroma to red, green and blue.
    fn bt601([luma, blue, red]: [u8; 3], full_range: bool) -> [f64; 3] {
        let (luma, blue, red) = (
            f64::from(luma),
            f64::from(blue) - 128.0,
            f64::from(red) - 128.0,
        );
        let (luma, chroma) = match full_range {
            true => (luma, 1.0),
            false => ((luma - 16.0) * 255.0 / 219.0, 255.0 / 224.0),
        };
        let (blue, red) = (blue * chroma, red * chroma);
        let green = luma - (0.299 * 1.402 * red + 0.114 * 1.772 * blue) / 0.587;
        [luma + 1.402 * red, green, luma + 1.772 * blue]
    }

    #[test]
    fn every_pixel_of_every_layout_is_that_of_bt601() {
        let planar = |columns, rows| YuvLayout::Planar { columns, rows };
        let mut layouts = vec![YuvLayout::Yuyv, YuvLayout::Nv12, YuvLayout::Grey];
        layouts.extend([planar(2, 2), planar(2, 1), planar(1, 2), planar(1, 1)]);
        let mut seed = 1_u32;
        for (layout, (width, height)) in layouts
            .into_iter()
            .flat_map(|layout| [(37, 5), (2, 2), (1, 3), (64, 4)].map(|size| (layout, size)))
        {
            for full_range in [false, true] {
                let bytes = (0..layout.bytes(width, height).unwrap()).map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                });
                let yuv = Yuv {
                    width,
                    height,
                    layout,
                    full_range,
                    bytes: bytes.collect(),
                };
                let picture = yuv.to_rgb().unwrap();
                for (x, y, pixel) in picture.enumerate_pixels() {
                    let exact = bt601(sample(&yuv, x as usize, y as usize), full_range);
                    for (found, exact) in pixel.0.into_iter().zip(exact) {
                        let exact = exact.clamp(0.0, 255.0);
                        let difference = (f64::from(found) - exact).abs();
                        assert!(difference < 0.51, "{layout:?} {x} {y}: {found} for {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_short_buffer_is_refused() {
        let yuv = Yuv {
            width: 4,
            height: 4,
            layout: YuvLayout::Yuyv,
            full_range: false,
            bytes: vec![0; 31],
        };
        let error = Picture::Yuv(yuv).decode().unwrap_err().to_string();
        assert!(error.contains("31 bytes for 4 x 4"), "{error}");
    }
}
