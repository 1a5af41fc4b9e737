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
    /// When it is encoded and damaged, or too large; see [`photo::decode`].
    pub fn decode(&self) -> Result<RgbImage, PhotoError> {
        match self {
            Picture::Encoded(bytes) => photo::decode(&photo::with_huffman_tables(bytes)),
            Picture::Rgb(image) => Ok(image.clone()),
            Picture::Yuv(yuv) => yuv.to_rgb(),
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
        let image = RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let [luma, blue, red] = self.sample(x as usize, y as usize);
            image::Rgb(rgb(luma, blue, red, self.full_range))
        });
        Ok(image)
    }

    /// Y, U and V of a pixel.
    fn sample(&self, x: usize, y: usize) -> [u8; 3] {
        let (bytes, width, height) = (&self.bytes, self.width, self.height);
        let luma = width * height;
        match self.layout {
            YuvLayout::Yuyv => {
                let pair = &bytes[(y * width.div_ceil(2) + x / 2) * 4..][..4];
                [pair[x % 2 * 2], pair[1], pair[3]]
            }
            YuvLayout::Nv12 => {
                let chroma = luma + (y / 2 * width.div_ceil(2) + x / 2) * 2;
                [bytes[y * width + x], bytes[chroma], bytes[chroma + 1]]
            }
            YuvLayout::Planar { columns, rows } => {
                let stride = width.div_ceil(columns);
                let chroma = luma + y / rows * stride + x / columns;
                let plane = stride * height.div_ceil(rows);
                [bytes[y * width + x], bytes[chroma], bytes[chroma + plane]]
            }
            YuvLayout::Grey => [bytes[y * width + x], 128, 128],
        }
    }
}

/// BT.601 in 16-bit fixed point, rounded to nearest.
fn rgb(luma: u8, blue: u8, red: u8, full_range: bool) -> [u8; 3] {
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    let luma = i32::from(luma);
    let ([red_of_red, green_of_blue, green_of_red, blue_of_blue], base) = if full_range {
        ([91_881, -22_554, -46_802, 116_130], luma << 16)
    } else {
        ([104_597, -25_675, -53_279, 132_201], (luma - 16) * 76_309)
    };
    let byte = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [
        byte(base + red_of_red * red),
        byte(base + green_of_blue * blue + green_of_red * red),
        byte(base + blue_of_blue * blue),
    ]
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
        assert_eq!(rgb(16, 128, 128, false), [0; 3]);
        assert_eq!(rgb(235, 128, 128, false), [255; 3]);
        assert_eq!(rgb(0, 128, 128, true), [0; 3]);
        assert_eq!(rgb(255, 128, 128, true), [255; 3]);
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
