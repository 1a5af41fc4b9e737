//! The structures of `<linux/videodev2.h>`, whose layout on 32-bit ARM differs where a pointer or a time is inside.

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
pub const VIDEO_CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`.
pub const MAPPED: u32 = 1;
/// `V4L2_BUF_FLAG_ERROR`.
pub const BUFFER_ERROR: u32 = 0x40;
/// `V4L2_FRMSIZE_TYPE_DISCRETE` and `V4L2_FRMIVAL_TYPE_DISCRETE`.
pub const DISCRETE: u32 = 1;
/// `V4L2_FIELD_NONE`: whole pictures, no half ones.
pub const WHOLE: u32 = 1;
/// `V4L2_COLORSPACE_JPEG`, where luma spans everything unless said otherwise.
const COLOUR_SPACE_JPEG: u32 = 7;
/// `V4L2_QUANTIZATION_DEFAULT`.
const QUANTIZATION_DEFAULT: u32 = 0;
/// `V4L2_QUANTIZATION_FULL_RANGE`.
const QUANTIZATION_FULL: u32 = 1;

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
pub struct FormatEntry {
    pub index: u32,
    pub buffer_type: u32,
    pub flags: u32,
    pub description: [u8; 32],
    pub code: [u8; 4],
    pub bus_code: u32,
    pub reserved: [u32; 3],
}

/// `v4l2_frmsizeenum`. A discrete size is in `smallest`; else the order is smallest, largest and step of
/// columns, then of rows.
#[repr(C)]
#[derive(Default)]
pub struct SizeEntry {
    pub index: u32,
    pub code: [u8; 4],
    pub kind: u32,
    pub numbers: [u32; 6],
    pub reserved: [u32; 2],
}

/// `v4l2_frmivalenum`. A discrete interval is the first; else they are shortest, longest and step.
#[repr(C)]
#[derive(Default)]
pub struct RateEntry {
    pub index: u32,
    pub code: [u8; 4],
    pub width: u32,
    pub height: u32,
    pub kind: u32,
    pub intervals: [Interval; 3],
    pub reserved: [u32; 2],
}

/// `v4l2_fract`: seconds between frames.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Interval {
    pub numerator: u32,
    pub denominator: u32,
}

impl Interval {
    const UNITS: f64 = 10_000.0;

    /// The one of `rate` frames a second.
    pub fn of_rate(rate: f64) -> Self {
        // A cast from a float saturates.
        Interval {
            numerator: Self::UNITS as u32,
            denominator: ((rate * Self::UNITS).round() as u32).max(1),
        }
    }

    /// Frames a second; `None` of nonsense.
    pub fn rate(self) -> Option<f64> {
        let known = self.numerator > 0 && self.denominator > 0;
        known.then(|| f64::from(self.denominator) / f64::from(self.numerator))
    }
}

/// `v4l2_pix_format`, the part of [`FormatRequest`] that is used.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct PixelFormat {
    pub width: u32,
    pub height: u32,
    pub code: [u8; 4],
    pub field: u32,
    pub bytes_per_line: u32,
    pub picture_bytes: u32,
    pub colour_space: u32,
    pub private: u32,
    pub flags: u32,
    pub encoding: u32,
    pub quantization: u32,
    pub transfer: u32,
}

impl PixelFormat {
    /// Whether luma spans 0..=255.
    pub fn is_full_range(&self) -> bool {
        match self.quantization {
            QUANTIZATION_DEFAULT => self.colour_space == COLOUR_SPACE_JPEG,
            other => other == QUANTIZATION_FULL,
        }
    }
}

/// `v4l2_format`: a type and a union of 200 bytes, which has pointers.
#[repr(C)]
pub struct FormatRequest {
    pub buffer_type: u32,
    pub aligned: [usize; 0],
    pub pixels: PixelFormat,
    pub rest: [u8; 200 - size_of::<PixelFormat>()],
}

/// `v4l2_streamparm`, as `v4l2_captureparm`: a type and a union of 200 bytes.
#[repr(C)]
pub struct RateRequest {
    pub buffer_type: u32,
    pub capability: u32,
    pub mode: u32,
    pub interval: Interval,
    pub rest: [u8; 200 - 16],
}

/// `v4l2_requestbuffers`.
#[repr(C)]
#[derive(Default)]
pub struct BuffersRequest {
    pub count: u32,
    pub buffer_type: u32,
    pub memory: u32,
    pub capabilities: u32,
    pub flags: u32,
}

/// `v4l2_buffer`, with the kernel's `long` for the two parts of a time.
#[repr(C)]
#[derive(Default)]
pub struct Buffer {
    pub index: u32,
    pub buffer_type: u32,
    pub used_bytes: u32,
    pub flags: u32,
    pub field: u32,
    pub time: [isize; 2],
    pub timecode: [u32; 4],
    pub sequence: u32,
    pub memory: u32,
    pub place: Place,
    pub length: u32,
    pub reserved: [u32; 2],
}

/// The union `m` of [`Buffer`], of a pointer's size.
#[repr(C)]
#[derive(Default)]
pub struct Place {
    pub aligned: [usize; 0],
    pub offset: u32,
    pub rest: [u8; size_of::<usize>() - 4],
}

impl Buffer {
    /// The mapped one that the driver knows by `index`.
    pub fn number(index: u32) -> Self {
        Buffer {
            index,
            buffer_type: VIDEO_CAPTURE,
            memory: MAPPED,
            ..Buffer::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
