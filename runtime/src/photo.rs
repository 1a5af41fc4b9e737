//! Photos from files and bytes, upright, within bounds of memory.

mod huffman;
mod jpeg;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::Path;

use image::error::{ImageError, UnsupportedErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

pub use huffman::with_huffman_tables;

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// The most memory that a photo may take while it is decoded, in bytes, its file included.
///
/// It admits JPEGs of 45 megapixels, and leaves a process of 512 MB enough for the model.
pub const MAX_DECODE_BYTES: u64 = 410_000_000;

/// A photo that can't be had. The messages are one line, with the cause, and do not name the file, which
/// only the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// The system refused to open or read it.
    #[error("can't be read: {0}")]
    Read(io::Error),
    /// It could not be had from its source, for this reason.
    #[error("{0}")]
    Missing(String),
    /// A folder, pipe, socket or device.
    #[error("not a regular file")]
    NotAFile,
    /// No bytes.
    #[error("empty file")]
    Empty,
    /// Zero rows or columns.
    #[error("no pixels")]
    NoPixels,
    /// A file larger than [`MAX_FILE_BYTES`].
    #[error("larger than {} MiB, the most that is read", MAX_FILE_BYTES >> 20)]
    FileSize,
    /// Not a photo, or in a format that is not read.
    #[error("not a photo that can be read (JPEG, PNG, GIF, WebP, BMP, TIFF and PNM can)")]
    Format,
    /// Decoding would take more than [`MAX_DECODE_BYTES`].
    #[error(
        "too large to decode within {} MB ({width} x {height} pixels); scale it down",
        MAX_DECODE_BYTES / 1_000_000
    )]
    Size {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Parts of unknown size would take more than [`MAX_DECODE_BYTES`].
    #[error("more than {} MB to decode; scale it down", MAX_DECODE_BYTES / 1_000_000)]
    Memory,
    /// Cut off, damaged, or using a rare feature of its format.
    #[error("a truncated, damaged or unusual {format} file: {cause}")]
    Decode {
        /// Name of the format.
        format: String,
        /// What the decoder says, in one line.
        cause: String,
    },
}

impl From<io::Error> for PhotoError {
    fn from(error: io::Error) -> Self {
        PhotoError::Read(error)
    }
}

impl PhotoError {
    fn decode(format: &str, cause: &str) -> Self {
        PhotoError::Decode {
            format: format.to_uppercase(),
            cause: cause.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

/// Whether the extension of `path` is that of a photo format that [`decode`] reads.
pub fn has_photo_extension(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled())
}

/// Opens the photo at `path`; see [`decode`].
///
/// # Errors
/// Also when `path` is not a regular file: opening a pipe might wait for ever.
pub fn open(path: &Path) -> Result<RgbImage, PhotoError> {
    decode(&read_bytes(path)?)
}

/// The bytes of the photo file at `path`.
///
/// # Errors
/// When it can't be read, is not a regular file, or has more than [`MAX_FILE_BYTES`].
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, PhotoError> {
    if !fs::metadata(path)?.is_file() {
        return Err(PhotoError::NotAFile);
    }
    bytes(File::open(path)?)
}

/// Reads a photo from `reader` to its end; see [`decode`].
///
/// # Errors
/// Also when there is more than [`MAX_FILE_BYTES`].
pub fn read(reader: impl Read) -> Result<RgbImage, PhotoError> {
    decode(&bytes(reader)?)
}

fn bytes(reader: impl Read) -> Result<Vec<u8>, PhotoError> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(PhotoError::FileSize);
    }
    Ok(bytes)
}

/// Decodes a photo of any format that [`PhotoError::Format`] names, told by its content.
///
/// The photo is turned upright as its EXIF orientation says. Transparent parts show white, 16-bit
/// samples are rounded to 8 bits, grey and CMYK become RGB, and of an animation the first frame is taken.
///
/// # Errors
/// When the bytes are no photo, a part is missing or damaged (nothing is filled in), or decoding would
/// take more than [`MAX_DECODE_BYTES`], which is checked before the memory is taken.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, PhotoError> {
    if bytes.is_empty() {
        return Err(PhotoError::Empty);
    }
    let (photo, orientation) = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg::decode(bytes)?,
        Ok(format) => decode_other(bytes, format)?,
        Err(_) => return Err(PhotoError::Format),
    };
    if photo.is_empty() {
        return Err(PhotoError::NoPixels);
    }
    let mut photo = DynamicImage::ImageRgb8(photo);
    photo.apply_orientation(orientation);
    Ok(photo.into_rgb8())
}

fn decode_other(bytes: &[u8], format: ImageFormat) -> Result<(RgbImage, Orientation), PhotoError> {
    let failed = |error| decode_error(format, error);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(failed)?;

    let (width, height) = decoder.dimensions();
    // Decoders keep up to one more copy of the samples, and converting to RGB makes another image.
    let pixel_bytes = 2 * u64::from(decoder.color_type().bytes_per_pixel()) + 3;
    check_memory(bytes.len(), width, height, pixel_bytes)?;
    decoder.set_limits(limits).map_err(failed)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let photo = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok((opaque(photo), orientation))
}

/// Refuses a photo that would take `pixel_bytes` of memory per pixel beside its file of `file_bytes`, if
/// that is more than [`MAX_DECODE_BYTES`].
fn check_memory(
    file_bytes: usize,
    width: u32,
    height: u32,
    pixel_bytes: u64,
) -> Result<(), PhotoError> {
    let pixels = u64::from(width) * u64::from(height);
    let bytes = pixels
        .saturating_mul(pixel_bytes)
        .saturating_add(file_bytes as u64);
    if bytes > MAX_DECODE_BYTES {
        return Err(PhotoError::Size { width, height });
    }
    Ok(())
}

fn opaque(photo: DynamicImage) -> RgbImage {
    if !photo.color().has_alpha() {
        return photo.into_rgb8();
    }
    let photo = photo.into_rgba8();
    let over_white = |byte: u8, alpha: u8| {
        let (byte, alpha) = (u32::from(byte), u32::from(alpha));
        ((byte * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    RgbImage::from_fn(photo.width(), photo.height(), |x, y| {
        let [red, green, blue, alpha] = photo.get_pixel(x, y).0;
        Rgb([red, green, blue].map(|byte| over_white(byte, alpha)))
    })
}

fn decode_error(format: ImageFormat, error: ImageError) -> PhotoError {
    let cause = match error {
        ImageError::Limits(_) => return PhotoError::Memory,
        ImageError::Unsupported(error)
            if matches!(error.kind(), UnsupportedErrorKind::Format(_)) =>
        {
            return PhotoError::Format;
        }
        ImageError::Decoding(error) => match error.source() {
            Some(source) => source.to_string(),
            None => "malformed".into(),
        },
        ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it ends too early".into()
        }
        error => error.to_string(),
    };
    PhotoError::decode(format.extensions_str()[0], &cause)
}
