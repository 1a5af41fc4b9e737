//! Pictures out of the bytes that a program, a file or a network stream delivers.

use std::str::FromStr;

use image::RgbImage;

use super::MOST_PIXELS;
use super::mjpeg::MjpegSplitter;
use super::multipart::MultipartSplitter;
use super::y4m::{self, Y4mError, Y4mParser};
use crate::frame::{Picture, Yuv, YuvLayout};

/// Bytes among which a JPEG file has to begin, in a stream that is none of Y4M.
const SEARCHED: usize = 64 << 10;
/// What a JPEG file begins with.
const JPEG: &[u8] = &[0xff, 0xd8, 0xff];

/// The layout of pictures that come one after the other without any heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawFormat {
    /// Red, green and blue bytes.
    Rgb,
    /// See [`YuvLayout::Yuyv`].
    Yuyv,
    /// See [`YuvLayout::Nv12`].
    Nv12,
    /// Planes of Y, U and V, chroma halved in both directions.
    I420,
}

impl FromStr for RawFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "rgb" => Ok(RawFormat::Rgb),
            "yuyv" => Ok(RawFormat::Yuyv),
            "nv12" => Ok(RawFormat::Nv12),
            "i420" => Ok(RawFormat::I420),
            _ => Err("none of rgb, yuyv, nv12, i420"),
        }
    }
}

/// What comes out of a stream of bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A whole picture.
    Picture(Picture),
    /// A picture that broke off.
    Broken,
}

/// Why nothing more can come out of a stream, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureStreamError {
    /// Neither of the formats that are recognised.
    #[error("neither MJPEG nor Y4M comes from it")]
    Unknown,
    /// It began as Y4M.
    #[error(transparent)]
    Y4m(#[from] Y4mError),
}

/// Cuts a stream of bytes into pictures. Whether it is MJPEG or Y4M shows in its first bytes.
#[derive(Debug)]
pub struct PictureStream(Format);

#[derive(Debug)]
enum Format {
    Unknown(Vec<u8>),
    Mjpeg(MjpegSplitter),
    Multipart(MultipartSplitter),
    Y4m(Y4mParser),
    Raw(Raw),
}

#[derive(Debug)]
struct Raw {
    format: RawFormat,
    width: u32,
    height: u32,
    /// Of a picture.
    bytes: usize,
    buffer: Vec<u8>,
}

impl PictureStream {
    /// A stream of MJPEG or Y4M.
    pub fn recognised() -> Self {
        PictureStream(Format::Unknown(Vec::new()))
    }

    /// A multipart stream with this boundary; `None` if that can't be one.
    pub fn multipart(boundary: &str) -> Option<Self> {
        let splitter = MultipartSplitter::new(boundary)?;
        Some(PictureStream(Format::Multipart(splitter)))
    }

    /// A stream of pictures of this layout and size; `None` if they have no pixels or more than [`MOST_PIXELS`].
    pub fn raw(format: RawFormat, (width, height): (u32, u32)) -> Option<Self> {
        let bytes = format.bytes(width, height)?;
        Some(PictureStream(Format::Raw(Raw {
            format,
            width,
            height,
            bytes,
            buffer: Vec::new(),
        })))
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Format::Unknown(buffer) => {
                buffer.extend_from_slice(bytes);
                if let Some(format) = recognise(buffer, bytes.len()) {
                    self.0 = format;
                }
            }
            Format::Mjpeg(splitter) => splitter.push(bytes),
            Format::Multipart(splitter) => splitter.push(bytes),
            Format::Y4m(parser) => parser.push(bytes),
            Format::Raw(raw) => raw.buffer.extend_from_slice(bytes),
        }
    }

    /// The next picture; `None` until more bytes come.
    ///
    /// # Errors
    /// When the stream is neither MJPEG nor Y4M, or breaks the rules of the latter.
    pub fn next_part(&mut self) -> Result<Option<Part>, PictureStreamError> {
        match &mut self.0 {
            Format::Unknown(buffer) if buffer.len() >= SEARCHED => Err(PictureStreamError::Unknown),
            Format::Unknown(_) => Ok(None),
            Format::Mjpeg(splitter) => Ok(splitter.next_file().map(|file| match file {
                Ok(file) => Part::Picture(Picture::Encoded(file)),
                Err(_) => Part::Broken,
            })),
            Format::Multipart(splitter) => Ok(splitter.next_part().map(|part| match part {
                Ok(part) => Part::Picture(Picture::Encoded(part)),
                Err(_) => Part::Broken,
            })),
            Format::Y4m(parser) => {
                let picture = parser.next_picture()?;
                Ok(picture.map(|yuv| Part::Picture(Picture::Yuv(yuv))))
            }
            Format::Raw(raw) => Ok(raw.next_picture().map(Part::Picture)),
        }
    }

    /// Whether the stream, if it ends here, ends within a picture.
    ///
    /// # Errors
    /// When it ends before anything was recognised.
    pub fn is_within_picture(&self) -> Result<bool, PictureStreamError> {
        match &self.0 {
            Format::Unknown(_) => Err(PictureStreamError::Unknown),
            Format::Mjpeg(splitter) => Ok(splitter.is_within_file()),
            Format::Multipart(splitter) => Ok(splitter.is_within_part()),
            Format::Y4m(parser) => Ok(parser.is_within_picture()),
            Format::Raw(raw) => Ok(!raw.buffer.is_empty()),
        }
    }
}

/// The format of a stream that begins with `buffer`, whose last `new` bytes have just come.
fn recognise(buffer: &[u8], new: usize) -> Option<Format> {
    if buffer.starts_with(y4m::MAGIC) {
        let mut parser = Y4mParser::default();
        parser.push(buffer);
        return Some(Format::Y4m(parser));
    }
    let searched = (buffer.len() - new).saturating_sub(JPEG.len() - 1);
    let mut candidates = buffer[..buffer.len().min(SEARCHED)]
        .get(searched..)?
        .windows(JPEG.len());
    candidates.any(|bytes| bytes == JPEG).then(|| {
        let mut splitter = MjpegSplitter::default();
        splitter.push(buffer);
        Format::Mjpeg(splitter)
    })
}

impl RawFormat {
    /// `None` for [`RawFormat::Rgb`].
    fn layout(self) -> Option<YuvLayout> {
        match self {
            RawFormat::Rgb => None,
            RawFormat::Yuyv => Some(YuvLayout::Yuyv),
            RawFormat::Nv12 => Some(YuvLayout::Nv12),
            RawFormat::I420 => Some(YuvLayout::Planar {
                columns: 2,
                rows: 2,
            }),
        }
    }

    fn bytes(self, width: u32, height: u32) -> Option<usize> {
        let (width, height) = (width as usize, height as usize);
        let pixels = width.checked_mul(height)?;
        if !(1..=MOST_PIXELS).contains(&pixels) {
            return None;
        }
        match self.layout() {
            None => pixels.checked_mul(3),
            Some(layout) => layout.bytes(width, height),
        }
    }
}

impl Raw {
    fn next_picture(&mut self) -> Option<Picture> {
        if self.buffer.len() < self.bytes {
            return None;
        }
        let rest = self.buffer.split_off(self.bytes);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        match self.format.layout() {
            None => RgbImage::from_raw(self.width, self.height, bytes).map(Picture::Rgb),
            Some(layout) => Some(Picture::Yuv(Yuv {
                width: self.width as usize,
                height: self.height as usize,
                layout,
                full_range: false,
                bytes,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_y4m() {
        let mut stream = PictureStream::recognised();
        for byte in b"YUV4MPEG2 W2 H1 Cmono\nFRAME\n\x07\x09" {
            assert_eq!(stream.next_part(), Ok(None));
            stream.push(&[*byte]);
        }
        let Ok(Some(Part::Picture(Picture::Yuv(yuv)))) = stream.next_part() else {
            panic!("a picture");
        };
        assert_eq!(yuv.bytes, [7, 9]);
    }

    #[test]
    fn jpeg_may_begin_late_but_not_too_late() {
        let jpeg = [JPEG, &[0xd9, 0xff, 0xd9]].concat();
        for (noise, known) in [(0, true), (SEARCHED - JPEG.len(), true), (SEARCHED, false)] {
            let bytes = [vec![0x47; noise], jpeg.clone()].concat();
            for size in [1, 1000, bytes.len()] {
                let mut stream = PictureStream::recognised();
                bytes.chunks(size).for_each(|piece| stream.push(piece));
                let part = stream.next_part();
                assert_eq!(
                    part.is_ok(),
                    known,
                    "{noise} bytes before, pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn the_end_of_something_else_is_an_error() {
        let mut stream = PictureStream::recognised();
        stream.push(b"<html>");
        assert_eq!(stream.next_part(), Ok(None));
        assert_eq!(stream.is_within_picture(), Err(PictureStreamError::Unknown));
    }

    #[test]
    fn raw_pictures_follow_one_another() {
        let mut stream = PictureStream::raw(RawFormat::Rgb, (2, 1)).unwrap();
        stream.push(&[1, 2, 3, 4, 5]);
        assert_eq!(stream.next_part(), Ok(None));
        stream.push(&[6, 7, 8, 9, 10, 11, 12, 13]);
        for first in [1, 7] {
            let Ok(Some(Part::Picture(Picture::Rgb(image)))) = stream.next_part() else {
                panic!("a picture");
            };
            assert_eq!(image.get_pixel(0, 0).0[0], first);
        }
        assert_eq!(stream.next_part(), Ok(None));
        assert_eq!(stream.is_within_picture(), Ok(true));
    }

    #[test]
    fn raw_pictures_beyond_memory_are_refused() {
        assert!(PictureStream::raw(RawFormat::I420, (1 << 31, 1 << 31)).is_none());
        assert!(PictureStream::raw(RawFormat::Rgb, (0, 4)).is_none());
    }
}
