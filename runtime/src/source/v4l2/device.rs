//! An open camera: what it offers, and what is asked of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::driver::{
    LIST_FORMATS, LIST_RATES, LIST_SIZES, QUERY_CAPABILITIES, Request, SET_FORMAT, SET_RATE, Stream,
};
use super::formats::{Format, FourCc, Rates, Sizes};
use super::structures::{
    Capabilities, DISCRETE, FormatEntry, FormatRequest, Interval, PixelFormat, RateEntry,
    RateRequest, SizeEntry, VIDEO_CAPTURE, WHOLE,
};

/// More formats, sizes or rates than any driver has; a list that is longer has no end.
const LONGEST_LIST: u32 = 256;

/// How pictures come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Of its pixels.
    pub code: FourCc,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// From one row to the next; 0 where the driver does not say.
    pub bytes_per_line: u32,
    /// Whether luma spans 0..=255.
    pub full_range: bool,
}

/// An open device.
pub struct Device(File);

impl Device {
    /// Opens the device at `path`, without waiting.
    ///
    /// # Errors
    /// When it is not there, or may not be used.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        options.open(path).map(Device)
    }

    /// What it is.
    ///
    /// # Errors
    /// When it is no video device.
    pub fn capabilities(&self) -> io::Result<Capabilities> {
        let mut capabilities = Capabilities::default();
        QUERY_CAPABILITIES.make(&self.0, &mut capabilities)?;
        Ok(capabilities)
    }

    /// All that it offers; what a driver does not list is unknown, and not refused.
    pub fn formats(&self) -> Vec<Format> {
        let entry = |index| FormatEntry {
            index,
            buffer_type: VIDEO_CAPTURE,
            ..FormatEntry::default()
        };
        let formats = self.list(&LIST_FORMATS, entry);
        let format = |entry: FormatEntry| Format {
            code: FourCc(entry.code),
            sizes: self.sizes(entry.code),
        };
        formats.map(format).collect()
    }

    fn sizes(&self, code: [u8; 4]) -> Vec<Sizes> {
        let entry = |index| SizeEntry {
            index,
            code,
            ..SizeEntry::default()
        };
        let sizes = self.list(&LIST_SIZES, entry).map(|entry| {
            let [a, b, c, d, e, f] = entry.numbers;
            let mut sizes = if entry.kind == DISCRETE {
                Sizes::one((a, b))
            } else {
                Sizes {
                    smallest: (a, d),
                    largest: (b, e),
                    step: (c, f),
                    rates: Vec::new(),
                }
            };
            sizes.rates = self.rates(code, sizes.usual());
            sizes
        });
        sizes.collect()
    }

    fn rates(&self, code: [u8; 4], (width, height): (u32, u32)) -> Vec<Rates> {
        let entry = |index| RateEntry {
            index,
            code,
            width,
            height,
            ..RateEntry::default()
        };
        let rates = self.list(&LIST_RATES, entry).filter_map(|entry| {
            let [shortest, longest, _] = entry.intervals;
            let fastest = shortest.rate()?;
            let slowest = if entry.kind == DISCRETE {
                fastest
            } else {
                longest.rate().unwrap_or(0.0)
            };
            Some(Rates { slowest, fastest })
        });
        rates.collect()
    }

    fn list<'a, T: 'a>(
        &'a self,
        request: &'a Request<T>,
        entry: impl Fn(u32) -> T + 'a,
    ) -> impl Iterator<Item = T> + 'a {
        (0..LONGEST_LIST).map_while(move |index| {
            let mut entry = entry(index);
            request.make(&self.0, &mut entry).ok()?;
            Some(entry)
        })
    }

    /// Asks for pixels of `code` in `size`; what the driver gives instead may differ in everything.
    ///
    /// # Errors
    /// When another program uses the device, or it is gone.
    pub fn set_format(&self, code: FourCc, size: (u32, u32)) -> io::Result<Negotiated> {
        let mut request = FormatRequest {
            buffer_type: VIDEO_CAPTURE,
            aligned: [],
            pixels: PixelFormat {
                width: size.0,
                height: size.1,
                code: code.0,
                field: WHOLE,
                ..PixelFormat::default()
            },
            rest: [0; _],
        };
        SET_FORMAT.make(&self.0, &mut request)?;
        let pixels = request.pixels;
        Ok(Negotiated {
            code: FourCc(pixels.code),
            width: pixels.width,
            height: pixels.height,
            bytes_per_line: pixels.bytes_per_line,
            full_range: pixels.is_full_range(),
        })
    }

    /// Asks for `rate` frames a second. A driver that has but one rate keeps it.
    pub fn set_rate(&self, rate: f64) {
        let mut request = RateRequest {
            buffer_type: VIDEO_CAPTURE,
            capability: 0,
            mode: 0,
            interval: Interval::of_rate(rate),
            rest: [0; _],
        };
        // A device that is gone says so to the next request as well.
        let _ = SET_RATE.make(&self.0, &mut request);
    }

    /// Lets pictures come.
    ///
    /// # Errors
    /// When another program uses the device, it is gone, or has no memory.
    pub fn start(self) -> io::Result<Stream> {
        Stream::start(self.0)
    }
}
