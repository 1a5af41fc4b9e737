//! From the bytes of a buffer to a picture without padding.

use image::RgbImage;

use super::device::Negotiated;
use crate::frame::{Picture, Yuv, YuvLayout};

/// How pixels stand in a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layout {
    /// A whole JPEG.
    Jpeg,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// U Y0 V Y1 for every two pixels of a row.
    Uyvy,
    /// As named.
    Yuv(YuvLayout),
}

/// Rows of a buffer, `stride` bytes apart, each of which begins with `used` bytes of pixels.
#[derive(Clone, Copy)]
struct Plane {
    start: usize,
    rows: usize,
    stride: usize,
    used: usize,
}

impl Plane {
    /// At the beginning of a buffer. A driver that does not say how far rows are apart leaves no room.
    fn first(rows: u32, bytes_per_line: u32, used: usize) -> Self {
        Plane {
            start: 0,
            rows: rows as usize,
            stride: used.max(bytes_per_line as usize),
            used,
        }
    }

    /// Appends the pixels to `to`; `None` when the buffer ends before they do.
    fn copy(self, from: &[u8], to: &mut Vec<u8>) -> Option<()> {
        let from = from.get(self.start..)?;
        if self.stride == self.used {
            to.extend_from_slice(from.get(..self.used * self.rows)?);
            return Some(());
        }
        for row in 0..self.rows {
            to.extend_from_slice(from.get(row * self.stride..)?.get(..self.used)?);
        }
        Some(())
    }
}

/// The picture in the bytes of a buffer; one that can't be decoded when the bytes are too few.
pub(super) fn picture(bytes: &[u8], layout: Layout, format: &Negotiated) -> Picture {
    let picture = match layout {
        Layout::Jpeg => Some(Picture::Encoded(bytes.into())),
        Layout::Rgb => rgb(bytes, format).map(Picture::Rgb),
        Layout::Bgr => rgb(bytes, format).map(|mut image| {
            image.pixels_mut().for_each(|pixel| pixel.0.reverse());
            Picture::Rgb(image)
        }),
        Layout::Yuv(layout) => yuv(bytes, layout, format).map(Picture::Yuv),
        Layout::Uyvy => yuv(bytes, YuvLayout::Yuyv, format).map(|mut yuv| {
            let pairs = yuv.bytes.chunks_exact_mut(2);
            pairs.for_each(|pair| pair.swap(0, 1));
            Picture::Yuv(yuv)
        }),
    };
    picture.unwrap_or_else(damaged)
}

/// What stands for a frame that could not be had: it is counted as one that can't be decoded.
pub(super) fn damaged() -> Picture {
    Picture::Encoded(Vec::new())
}

fn rgb(bytes: &[u8], format: &Negotiated) -> Option<RgbImage> {
    let used = format.width as usize * 3;
    let mut pixels = Vec::new();
    Plane::first(format.height, format.bytes_per_line, used).copy(bytes, &mut pixels)?;
    RgbImage::from_raw(format.width, format.height, pixels)
}

fn yuv(bytes: &[u8], layout: YuvLayout, format: &Negotiated) -> Option<Yuv> {
    let Negotiated {
        mut width,
        height,
        bytes_per_line,
        ..
    } = *format;
    let planes = match layout {
        YuvLayout::Yuyv => {
            if bytes_per_line == width * 2 {
                // The last column of an odd width has no second half of its chroma.
                width -= width % 2;
            }
            let used = width.div_ceil(2) as usize * 4;
            vec![Plane::first(height, bytes_per_line, used)]
        }
        YuvLayout::Grey => vec![Plane::first(height, bytes_per_line, width as usize)],
        YuvLayout::Nv12 => luma_and_chroma(bytes.len(), format, 1, 2, 2)?,
        YuvLayout::Planar { columns, rows } => {
            luma_and_chroma(bytes.len(), format, 2, columns, rows)?
        }
    };
    let mut pixels = Vec::new();
    for plane in &planes {
        plane.copy(bytes, &mut pixels)?;
    }
    Some(Yuv {
        width: width as usize,
        height: planes[0].rows,
        layout,
        full_range: format.full_range,
        bytes: pixels,
    })
}

/// A plane of luma, then one or two of chroma, of which a sample serves `columns` x `rows` pixels.
fn luma_and_chroma(
    length: usize,
    format: &Negotiated,
    chroma_planes: usize,
    columns: usize,
    rows: usize,
) -> Option<Vec<Plane>> {
    let width = format.width as usize;
    let mut luma = Plane::first(format.height, format.bytes_per_line, width);
    let used = width.div_ceil(columns) * 2 / chroma_planes;
    let mut chroma = Plane {
        start: luma.stride.checked_mul(luma.rows)?,
        rows: luma.rows.div_ceil(rows),
        stride: used.max(luma.stride * 2 / chroma_planes / columns),
        used,
    };
    let mut plane_bytes = chroma.stride * chroma.rows;
    let left = length.checked_sub(chroma.start)? / chroma_planes;
    if left < plane_bytes && !luma.rows.is_multiple_of(rows) {
        // Of an odd height, some drivers leave out the chroma of the last row, which goes with it.
        plane_bytes = left;
        chroma.rows -= 1;
        luma.rows -= 1;
        if left < chroma.stride * chroma.rows {
            return None;
        }
    }
    let mut planes = vec![luma];
    for _ in 0..chroma_planes {
        planes.push(chroma);
        chroma.start += plane_bytes;
    }
    Some(planes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::v4l2::formats::FourCc;

    fn format(width: u32, height: u32, bytes_per_line: u32) -> Negotiated {
        Negotiated {
            code: FourCc(*b"test"),
            width,
            height,
            bytes_per_line,
            full_range: false,
        }
    }

    fn yuv_of(bytes: &[u8], layout: YuvLayout, format: &Negotiated) -> Option<Yuv> {
        match picture(bytes, Layout::Yuv(layout), format) {
            Picture::Yuv(yuv) => {
                let whole = yuv.layout.bytes(yuv.width, yuv.height);
                assert_eq!(whole, Some(yuv.bytes.len()));
                Some(yuv)
            }
            other => {
                assert!(other.decode().is_err());
                None
            }
        }
    }

    const YUV420: YuvLayout = YuvLayout::Planar {
        columns: 2,
        rows: 2,
    };

    #[test]
    fn padding_between_rows_is_left_out() {
        let rows = [1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 0];
        let yuyv = yuv_of(&rows, YuvLayout::Yuyv, &format(2, 2, 6)).unwrap();
        assert_eq!(yuyv.bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
        let grey = yuv_of(&rows, YuvLayout::Grey, &format(4, 2, 6)).unwrap();
        assert_eq!(grey.bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
        let nv12 = [1, 2, 0, 0, 3, 4, 0, 0, 5, 6, 0, 0];
        let nv12 = yuv_of(&nv12, YuvLayout::Nv12, &format(2, 2, 4)).unwrap();
        assert_eq!(nv12.bytes, [1, 2, 3, 4, 5, 6]);
        let yuv420 = [1, 2, 0, 0, 3, 4, 0, 0, 5, 0, 6, 0];
        let yuv420 = yuv_of(&yuv420, YUV420, &format(2, 2, 4)).unwrap();
        assert_eq!(yuv420.bytes, [1, 2, 3, 4, 5, 6]);
    }

    /// Drivers may round a buffer up to whole pages, and fill all of it.
    #[test]
    fn what_follows_the_picture_is_left_out() {
        let mut bytes = vec![1, 2, 3, 4, 5, 6];
        bytes.resize(4096, 9);
        for layout in [YuvLayout::Nv12, YUV420] {
            let yuv = yuv_of(&bytes, layout, &format(2, 2, 2)).unwrap();
            assert_eq!(yuv.bytes, [1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn odd_sizes_are_taken_with_or_without_the_last_chroma() {
        // 3 x 3 pixels: a pair of chroma for the last column and row.
        let whole: Vec<u8> = (1..=9).chain([20, 21, 22, 23, 24, 25, 26, 27]).collect();
        let nv12 = yuv_of(&whole, YuvLayout::Nv12, &format(3, 3, 3)).unwrap();
        assert_eq!((nv12.width, nv12.height, nv12.bytes), (3, 3, whole));
        // 4 x 3 pixels, as vivid fills them: 12 bytes of luma, 6 of chroma.
        let bytes: Vec<u8> = (1..=18).collect();
        let nv12 = yuv_of(&bytes, YuvLayout::Nv12, &format(4, 3, 4)).unwrap();
        let kept: Vec<u8> = (1..=8).chain(13..=16).collect();
        assert_eq!((nv12.width, nv12.height, nv12.bytes), (4, 2, kept));
        let yuv420 = yuv_of(&bytes, YUV420, &format(4, 3, 4)).unwrap();
        let kept: Vec<u8> = (1..=8).chain([13, 14, 16, 17]).collect();
        assert_eq!((yuv420.width, yuv420.height, yuv420.bytes), (4, 2, kept));
        let yuyv = yuv_of(&[1, 2, 3, 4, 5, 6], YuvLayout::Yuyv, &format(3, 1, 6)).unwrap();
        assert_eq!((yuyv.width, yuyv.bytes), (2, vec![1, 2, 3, 4]));
    }

    #[test]
    fn a_buffer_that_ends_early_is_a_frame_that_cannot_be_decoded() {
        let odd = format(5, 3, 8);
        for length in 0..64 {
            let bytes = vec![128; length];
            for layout in [YuvLayout::Yuyv, YuvLayout::Nv12, YUV420, YuvLayout::Grey] {
                let enough = match layout {
                    YuvLayout::Yuyv => 3 * 12,
                    YuvLayout::Grey => 2 * 8 + 5,
                    _ => 3 * 8 + 8,
                };
                let taken = yuv_of(&bytes, layout, &odd);
                assert_eq!(taken.is_some(), length >= enough, "{layout:?} {length}");
            }
            for layout in [Layout::Rgb, Layout::Bgr] {
                let decoded = picture(&bytes, layout, &odd).decode();
                assert_eq!(decoded.is_ok(), length >= 3 * 15, "{layout:?} {length}");
            }
        }
        assert!(picture(&[], Layout::Jpeg, &odd).decode().is_err());
    }

    #[test]
    fn swapped_colours_are_put_right() {
        let bgr = picture(&[1, 2, 3, 4, 5, 6, 0, 0], Layout::Bgr, &format(2, 1, 8));
        assert_eq!(bgr.decode().unwrap().into_raw(), [3, 2, 1, 6, 5, 4]);
        let uyvy = picture(&[90, 81, 240, 81], Layout::Uyvy, &format(2, 1, 4));
        let yuyv = picture(
            &[81, 90, 81, 240],
            Layout::Yuv(YuvLayout::Yuyv),
            &format(2, 1, 4),
        );
        assert_eq!(
            uyvy,
            Picture::Yuv(Yuv {
                width: 2,
                height: 1,
                layout: YuvLayout::Yuyv,
                full_range: false,
                bytes: vec![81, 90, 81, 240],
            })
        );
        assert_eq!(uyvy, yuyv);
    }
}
