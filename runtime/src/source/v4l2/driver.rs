//! What is asked of a Video4Linux2 driver, and the memory it shares: `<linux/videodev2.h>`.
//!
//! Structures are the kernel's, whose layout on 32-bit ARM differs where a pointer or a time is inside.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;
use std::slice;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::formats::{Format, FourCc, Rates, Sizes};

/// Pictures that the driver may fill while one is copied.
const BUFFERS: u32 = 4;
/// More formats, sizes or rates than any driver has; a list that is longer has no end.
const LONGEST_LIST: u32 = 256;

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
const VIDEO_CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`.
const MAPPED: u32 = 1;
/// `V4L2_BUF_FLAG_ERROR`.
const BUFFER_ERROR: u32 = 0x40;
/// `V4L2_FRMSIZE_TYPE_DISCRETE` and `V4L2_FRMIVAL_TYPE_DISCRETE`.
const DISCRETE: u32 = 1;

const QUERY_CAPABILITIES: Request<Capabilities> = Request::of(opcode::read::<Capabilities>(V, 0));
const LIST_FORMATS: Request<FormatEntry> = Request::of(opcode::read_write::<FormatEntry>(V, 2));
const SET_FORMAT: Request<FormatRequest> = Request::of(opcode::read_write::<FormatRequest>(V, 5));
const GET_BUFFERS: Request<BuffersRequest> =
    Request::of(opcode::read_write::<BuffersRequest>(V, 8));
const QUERY_BUFFER: Request<Buffer> = Request::of(opcode::read_write::<Buffer>(V, 9));
const QUEUE_BUFFER: Request<Buffer> = Request::of(opcode::read_write::<Buffer>(V, 15));
const TAKE_BUFFER: Request<Buffer> = Request::of(opcode::read_write::<Buffer>(V, 17));
const START: Request<u32> = Request::of(opcode::write::<u32>(V, 18));
const STOP: Request<u32> = Request::of(opcode::write::<u32>(V, 19));
const SET_RATE: Request<RateRequest> = Request::of(opcode::read_write::<RateRequest>(V, 22));
const LIST_SIZES: Request<SizeEntry> = Request::of(opcode::read_write::<SizeEntry>(V, 74));
const LIST_RATES: Request<RateEntry> = Request::of(opcode::read_write::<RateEntry>(V, 75));

/// The group of all these requests.
const V: u8 = b'V';

/// An ioctl, and the structure that it reads and writes.
struct Request<T> {
    opcode: Opcode,
    structure: PhantomData<T>,
}

impl<T> Request<T> {
    const fn of(opcode: Opcode) -> Self {
        Request {
            opcode,
            structure: PhantomData,
        }
    }

    fn make(&self, device: &File, structure: &mut T) -> io::Result<()> {
        let call = Call {
            opcode: self.opcode,
            structure,
        };
        // SAFETY: the opcodes above hold the size of `T`, so that a driver writes nothing beyond it; every `T` is
        // integers alone, of which any value is valid, and none of those that are passed on is an address.
        unsafe { ioctl(device, call) }?;
        Ok(())
    }
}

struct Call<'a, T> {
    opcode: Opcode,
    structure: &'a mut T,
}

// SAFETY: the pointer is that of the structure which the opcode was made for; see `Request::make`.
unsafe impl<T> Ioctl for Call<'_, T> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(self.structure).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// `v4l2_capability`.
#[repr(C)]
#[derive(Default)]
pub struct Capabilities {
    driver: [u8; 16],
    card: [u8; 32],
    bus: [u8; 32],
    version: u32,
    all: u32,
    of_node: u32,
    reserved: [u32; 3],
}

impl Capabilities {
    const VIDEO_CAPTURE: u32 = 0x1;
    const VIDEO_CAPTURE_MULTIPLANAR: u32 = 0x1000;
    const MEDIA_PIPELINE: u32 = 0x2000_0000;
    const STREAMING: u32 = 0x0400_0000;
    const OF_NODE: u32 = 0x8000_0000;

    /// Name of the driver.
    pub fn driver(&self) -> String {
        text(&self.driver)
    }

    /// Name of the device.
    pub fn card(&self) -> String {
        text(&self.card)
    }

    /// Whether pictures come from it, in any form.
    pub fn captures(&self) -> bool {
        self.has(Self::VIDEO_CAPTURE) || self.is_multiplanar()
    }

    /// Whether its pictures come in several pieces of memory only.
    pub fn is_multiplanar(&self) -> bool {
        self.has(Self::VIDEO_CAPTURE_MULTIPLANAR) && !self.has(Self::VIDEO_CAPTURE)
    }

    /// Whether it shares its memory.
    pub fn streams(&self) -> bool {
        self.has(Self::STREAMING)
    }

    /// Whether it delivers nothing before a program has set up the parts behind it, as libcamera does.
    pub fn needs_pipeline(&self) -> bool {
        self.has(Self::MEDIA_PIPELINE)
    }

    fn has(&self, capability: u32) -> bool {
        let of_node = self.all & Self::OF_NODE != 0;
        let known = if of_node { self.of_node } else { self.all };
        known & capability != 0
    }
}

/// Up to the zero that ends it.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// `v4l2_fmtdesc`.
#[repr(C)]
#[derive(Default)]
struct FormatEntry {
    index: u32,
    buffer_type: u32,
    flags: u32,
    description: [u8; 32],
    code: [u8; 4],
    bus_code: u32,
    reserved: [u32; 3],
}

/// `v4l2_frmsizeenum`. A discrete size is in `smallest`; else the order is smallest, largest and step of
/// columns, then of rows.
#[repr(C)]
#[derive(Default)]
struct SizeEntry {
    index: u32,
    code: [u8; 4],
    kind: u32,
    numbers: [u32; 6],
    reserved: [u32; 2],
}

/// `v4l2_frmivalenum`. A discrete interval is the first; else they are shortest, longest and step.
#[repr(C)]
#[derive(Default)]
struct RateEntry {
    index: u32,
    code: [u8; 4],
    width: u32,
    height: u32,
    kind: u32,
    intervals: [Interval; 3],
    reserved: [u32; 2],
}

/// `v4l2_fract`: seconds between frames.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Interval {
    numerator: u32,
    denominator: u32,
}

impl Interval {
    const UNITS: f64 = 10_000.0;

    fn of_rate(rate: f64) -> Self {
        // A cast from a float saturates.
        Interval {
            numerator: Self::UNITS as u32,
            denominator: ((rate * Self::UNITS).round() as u32).max(1),
        }
    }

    fn rate(self) -> Option<f64> {
        let known = self.numerator > 0 && self.denominator > 0;
        known.then(|| f64::from(self.denominator) / f64::from(self.numerator))
    }
}

/// `v4l2_pix_format`, the part of [`FormatRequest`] that is used.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PixelFormat {
    width: u32,
    height: u32,
    code: [u8; 4],
    field: u32,
    bytes_per_line: u32,
    picture_bytes: u32,
    colour_space: u32,
    private: u32,
    flags: u32,
    encoding: u32,
    quantization: u32,
    transfer: u32,
}

/// `v4l2_format`: a type and a union of 200 bytes, which has pointers.
#[repr(C)]
struct FormatRequest {
    buffer_type: u32,
    aligned: [usize; 0],
    pixels: PixelFormat,
    rest: [u8; 200 - size_of::<PixelFormat>()],
}

/// `v4l2_streamparm`, as `v4l2_captureparm`: a type and a union of 200 bytes.
#[repr(C)]
struct RateRequest {
    buffer_type: u32,
    capability: u32,
    mode: u32,
    interval: Interval,
    rest: [u8; 200 - 16],
}

/// `v4l2_requestbuffers`.
#[repr(C)]
#[derive(Default)]
struct BuffersRequest {
    count: u32,
    buffer_type: u32,
    memory: u32,
    capabilities: u32,
    flags: u32,
}

/// `v4l2_buffer`, with the kernel's `long` for the two parts of a time.
#[repr(C)]
#[derive(Default)]
struct Buffer {
    index: u32,
    buffer_type: u32,
    used_bytes: u32,
    flags: u32,
    field: u32,
    time: [isize; 2],
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    place: Place,
    length: u32,
    reserved: [u32; 2],
}

/// The union `m` of [`Buffer`], of a pointer's size.
#[repr(C)]
#[derive(Default)]
struct Place {
    aligned: [usize; 0],
    offset: u32,
    rest: [u8; size_of::<usize>() - 4],
}

impl Buffer {
    fn number(index: u32) -> Self {
        Buffer {
            index,
            buffer_type: VIDEO_CAPTURE,
            memory: MAPPED,
            ..Buffer::default()
        }
    }
}

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
        /// `V4L2_FIELD_NONE`: whole pictures, no half ones.
        const WHOLE: u32 = 1;
        /// `V4L2_COLORSPACE_JPEG`, whose luma spans everything unless said otherwise.
        const JPEG: u32 = 7;
        /// `V4L2_QUANTIZATION_DEFAULT` and `V4L2_QUANTIZATION_FULL_RANGE`.
        const DEFAULT: u32 = 0;
        const FULL: u32 = 1;
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
            full_range: pixels.quantization == FULL
                || pixels.quantization == DEFAULT && pixels.colour_space == JPEG,
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
        let mut request = BuffersRequest {
            count: BUFFERS,
            buffer_type: VIDEO_CAPTURE,
            memory: MAPPED,
            ..BuffersRequest::default()
        };
        GET_BUFFERS.make(&self.0, &mut request)?;
        let mut stream = Stream {
            device: self.0,
            buffers: Vec::new(),
        };
        for index in 0..request.count {
            let mut buffer = Buffer::number(index);
            QUERY_BUFFER.make(&stream.device, &mut buffer)?;
            let mapping = Mapping::new(&stream.device, buffer.place.offset, buffer.length)?;
            stream.buffers.push(mapping);
            stream.queue(index)?;
        }
        START.make(&stream.device, &mut VIDEO_CAPTURE.clone())?;
        Ok(stream)
    }
}

/// A device whose pictures come.
pub struct Stream {
    device: File,
    buffers: Vec<Mapping>,
}

impl Stream {
    /// Waits for a picture until `deadline` at most, and hands its bytes to `take`; `None` for one that the driver
    /// marks as damaged.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn next<T>(
        &mut self,
        deadline: Instant,
        take: impl FnOnce(Option<&[u8]>) -> T,
    ) -> io::Result<Option<T>> {
        let mut polled = [PollFd::new(&self.device, PollFlags::IN)];
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut polled, Some(&left)) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            other => other?,
        };
        let lost = polled[0]
            .revents()
            .intersects(PollFlags::ERR | PollFlags::HUP);
        let mut buffer = Buffer::number(0);
        match TAKE_BUFFER.make(&self.device, &mut buffer) {
            // Else the next poll would come back at once, for ever.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && lost => {
                return Err(Errno::IO.into());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            other => other?,
        }
        let mapping = self.buffers.get(buffer.index as usize);
        let mapping = mapping.ok_or(Errno::IO)?;
        let bytes = mapping.bytes();
        let bytes = &bytes[..bytes.len().min(buffer.used_bytes as usize)];
        let whole = buffer.flags & BUFFER_ERROR == 0;
        let taken = take(whole.then_some(bytes));
        self.queue(buffer.index)?;
        Ok(Some(taken))
    }

    fn queue(&self, index: u32) -> io::Result<()> {
        QUEUE_BUFFER.make(&self.device, &mut Buffer::number(index))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Closing stops as well; a device that is gone refuses.
        let _ = STOP.make(&self.device, &mut VIDEO_CAPTURE.clone());
    }
}

/// Memory of a driver, mapped for reading.
struct Mapping {
    start: *mut c_void,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(device: &File, offset: u32, length: u32) -> io::Result<Self> {
        let length = length as usize;
        let (protection, flags) = (ProtFlags::READ, MapFlags::SHARED);
        // SAFETY: a new mapping, where the system has room, replaces none.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                protection,
                flags,
                device,
                u64::from(offset),
            )
        }?;
        Ok(Mapping { start, length })
    }

    /// The driver writes only to buffers that are queued: to be called, and the bytes to be used, only between
    /// taking a buffer and queueing it.
    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for so many bytes until `drop`, zeroed by the kernel; for writes see above.
        unsafe { slice::from_raw_parts(self.start.cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and no slice outlives `self`.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel knows a request by a number that contains the size of its structure.
    #[test]
    fn requests_have_the_numbers_of_the_kernel() {
        let wide = cfg!(target_pointer_width = "64");
        let by_width = |on_64, on_32| if wide { on_64 } else { on_32 };
        for (opcode, number) in [
            (QUERY_CAPABILITIES.opcode, 0x8068_5600_u32),
            (LIST_FORMATS.opcode, 0xc040_5602),
            (SET_FORMAT.opcode, by_width(0xc0d0_5605, 0xc0cc_5605)),
            (GET_BUFFERS.opcode, 0xc014_5608),
            (QUERY_BUFFER.opcode, by_width(0xc058_5609, 0xc044_5609)),
            (QUEUE_BUFFER.opcode, by_width(0xc058_560f, 0xc044_560f)),
            (TAKE_BUFFER.opcode, by_width(0xc058_5611, 0xc044_5611)),
            (START.opcode, 0x4004_5612),
            (STOP.opcode, 0x4004_5613),
            (SET_RATE.opcode, 0xc0cc_5616),
            (LIST_SIZES.opcode, 0xc02c_564a),
            (LIST_RATES.opcode, 0xc034_564b),
        ] {
            assert_eq!(opcode, Opcode::from(number), "{number:#x}");
        }
    }

    #[test]
    fn fields_after_a_pointer_or_a_time_are_where_the_kernel_has_them() {
        let wide = cfg!(target_pointer_width = "64");
        let by_width = |on_64, on_32| if wide { on_64 } else { on_32 };
        let places = [
            (std::mem::offset_of!(FormatRequest, pixels), by_width(8, 4)),
            (std::mem::offset_of!(Buffer, time), by_width(24, 20)),
            (std::mem::offset_of!(Buffer, memory), by_width(60, 48)),
            (std::mem::offset_of!(Buffer, place), by_width(64, 52)),
            (std::mem::offset_of!(Buffer, length), by_width(72, 56)),
        ];
        for (place, kernel) in places {
            assert_eq!(place, kernel);
        }
    }

    #[test]
    fn a_rate_and_its_interval_are_each_the_other() {
        for rate in [0.5, 7.5, 15.0, 29.97, 60.0] {
            assert_eq!(Interval::of_rate(rate).rate(), Some(rate));
        }
        assert_eq!(Interval::default().rate(), None);
        assert!(Interval::of_rate(f64::INFINITY).rate().is_some());
    }

    #[test]
    fn a_name_that_is_cut_within_a_letter_is_still_a_name() {
        assert_eq!(text(b"Cam\0junk"), "Cam");
        assert_eq!(text(b"Cam\xc3"), "Cam\u{fffd}");
    }
}
