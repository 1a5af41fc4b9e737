//! What a camera offers, and which of it to ask for.

use std::fmt;
use std::str::FromStr;

use super::pixels::Layout;
use crate::frame::YuvLayout;

/// The size that is asked for when the user names none: at least what any of our models sees, and known to every camera.
const USUAL_SIZE: (u32, u32) = (640, 480);
/// Frames a second that are asked for when the user names none.
const USUAL_RATE: f64 = 30.0;
/// Frames a second for which no dearer format is worth its cost: more than a small device can infer.
const ENOUGH: f64 = 15.0;

/// What can be read, the cheapest first: bytes that are copied, that are converted, that are decoded. Without
/// colours comes last, since a model was trained on coloured photos.
const READABLE: [(FourCc, Layout); 10] = [
    (FourCc(*b"RGB3"), Layout::Rgb),
    (FourCc(*b"BGR3"), Layout::Bgr),
    (FourCc(*b"NV12"), Layout::Yuv(YuvLayout::Nv12)),
    (FourCc(*b"YU12"), planar(2)),
    (FourCc(*b"YUYV"), Layout::Yuv(YuvLayout::Yuyv)),
    (FourCc(*b"UYVY"), Layout::Uyvy),
    (FourCc(*b"422P"), planar(1)),
    (FourCc(*b"MJPG"), Layout::Jpeg),
    (FourCc(*b"JPEG"), Layout::Jpeg),
    (FourCc(*b"GREY"), Layout::Yuv(YuvLayout::Grey)),
];

const fn planar(rows: usize) -> Layout {
    Layout::Yuv(YuvLayout::Planar { columns: 2, rows })
}

/// The four characters by which Video4Linux2 names a pixel format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let text: String = self.0.iter().map(|&byte| char::from(byte & 0x7f)).collect();
        formatter.write_str(&text.trim_end().escape_default().to_string())
    }
}

/// Of those that can be read.
impl FromStr for FourCc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut codes = READABLE.iter().map(|(code, _)| code);
        let found = codes.find(|code| code.to_string().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| {
            let codes = READABLE.map(|(code, _)| code.to_string());
            format!("the format {text} is not read; {} are", codes.join(", "))
        })
    }
}

impl FourCc {
    /// Whether frames of this format can be read.
    pub fn is_readable(self) -> bool {
        self.layout().is_some()
    }

    pub(super) fn layout(self) -> Option<Layout> {
        self.rank().map(|rank| READABLE[rank].1)
    }

    fn rank(self) -> Option<usize> {
        READABLE.iter().position(|(code, _)| *code == self)
    }
}

/// A pixel format that a camera offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    /// Its name.
    pub code: FourCc,
    /// Its sizes; none when the driver does not list them.
    pub sizes: Vec<Sizes>,
}

/// A size, or a range of sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// Columns and rows.
    pub smallest: (u32, u32),
    /// Columns and rows.
    pub largest: (u32, u32),
    /// Between neighbouring sizes of the range.
    pub step: (u32, u32),
    /// Rates of the usual one of these sizes; none when the driver does not list them.
    pub rates: Vec<Rates>,
}

/// A rate, or a range of rates, in frames a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The lowest.
    pub slowest: f64,
    /// The highest.
    pub fastest: f64,
}

/// What to ask a camera for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The pixel format.
    pub code: FourCc,
    /// Columns and rows.
    pub size: (u32, u32),
    /// Frames a second.
    pub rate: f64,
}

impl Sizes {
    /// A single size.
    pub fn one(size: (u32, u32)) -> Self {
        Sizes {
            smallest: size,
            largest: size,
            step: (1, 1),
            rates: Vec::new(),
        }
    }

    /// The one of these sizes that is asked for when the user names none.
    pub(super) fn usual(&self) -> (u32, u32) {
        self.nearest(USUAL_SIZE)
    }

    fn nearest(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let nearest = |wanted: u32, smallest: u32, largest: u32, step: u32| {
            let above = wanted.clamp(smallest, largest.max(smallest)) - smallest;
            smallest + above - above % step.max(1)
        };
        (
            nearest(width, self.smallest.0, self.largest.0, self.step.0),
            nearest(height, self.smallest.1, self.largest.1, self.step.1),
        )
    }

    fn nearest_rate(&self, wanted: f64) -> f64 {
        let distance = |rate: &f64| (rate - wanted).abs();
        let rates = self
            .rates
            .iter()
            .map(|rates| wanted.max(rates.slowest).min(rates.fastest));
        rates
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .unwrap_or(wanted)
    }
}

/// What to ask for: the size nearest to the wanted one, there a rate as high as the wanted one, and of what
/// then is left, the format that costs least to read. `None` when none can be read.
pub fn choose(formats: &[Format], size: Option<(u32, u32)>, rate: Option<f64>) -> Option<Choice> {
    let wanted_size = size.unwrap_or(USUAL_SIZE);
    let enough = rate.unwrap_or(ENOUGH);
    // Where a driver lists no sizes, it may have any.
    let unknown = [Sizes::one(wanted_size)];
    let offers = formats.iter().filter_map(|format| {
        let rank = format.code.rank()?;
        let known = !format.sizes.is_empty();
        let sizes = if known { &format.sizes[..] } else { &unknown };
        Some(sizes.iter().map(move |sizes| (format.code, rank, sizes)))
    });
    let choice = offers.flatten().min_by_key(|(_, rank, sizes)| {
        let (width, height) = sizes.nearest(wanted_size);
        let columns = u64::from(width.abs_diff(wanted_size.0));
        let rows = u64::from(height.abs_diff(wanted_size.1));
        // In hundredths, so that 29.97 is not less than 30.
        let missing = (1.0 - sizes.nearest_rate(enough) / enough).max(0.0);
        (columns + rows, (missing * 100.0) as u64, *rank)
    });
    choice.map(|(code, _, sizes)| Choice {
        code,
        size: sizes.nearest(wanted_size),
        rate: sizes.nearest_rate(rate.unwrap_or(USUAL_RATE)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(size: (u32, u32), rates: &[f64]) -> Sizes {
        let rate = |&rate: &f64| Rates {
            slowest: rate,
            fastest: rate,
        };
        Sizes {
            rates: rates.iter().map(rate).collect(),
            ..Sizes::one(size)
        }
    }

    fn format(code: &[u8; 4], sizes: Vec<Sizes>) -> Format {
        Format {
            code: FourCc(*code),
            sizes,
        }
    }

    /// As a Logitech C920 lists it, shortened: raw pictures of large sizes are slow over USB 2.
    fn webcam() -> [Format; 3] {
        [
            format(
                b"YUYV",
                vec![
                    sizes((640, 480), &[30.0, 24.0, 15.0, 5.0]),
                    sizes((1280, 720), &[10.0, 5.0]),
                    sizes((320, 240), &[30.0, 15.0]),
                ],
            ),
            format(b"H264", vec![sizes((640, 480), &[30.0])]),
            format(
                b"MJPG",
                vec![
                    sizes((640, 480), &[60.0, 30.0, 15.0]),
                    sizes((1280, 720), &[30.0, 29.97]),
                    sizes((1920, 1080), &[30.0]),
                ],
            ),
        ]
    }

    fn chosen(
        formats: &[Format],
        size: Option<(u32, u32)>,
        rate: Option<f64>,
    ) -> (String, (u32, u32), f64) {
        let choice = choose(formats, size, rate).unwrap();
        (choice.code.to_string(), choice.size, choice.rate)
    }

    #[test]
    fn the_cheapest_format_that_is_fast_enough_at_the_wanted_size_is_chosen() {
        let webcam = webcam();
        for (size, rate, code, given, given_rate) in [
            (None, None, "YUYV", (640, 480), 30.0),
            (None, Some(24.0), "YUYV", (640, 480), 24.0),
            (None, Some(50.0), "MJPG", (640, 480), 60.0),
            (Some((1280, 720)), None, "MJPG", (1280, 720), 30.0),
            (Some((1280, 720)), Some(10.0), "YUYV", (1280, 720), 10.0),
            (Some((4000, 3000)), None, "MJPG", (1920, 1080), 30.0),
            (Some((300, 200)), Some(1.0), "YUYV", (320, 240), 15.0),
        ] {
            assert_eq!(
                chosen(&webcam, size, rate),
                (code.into(), given, given_rate),
                "{size:?} {rate:?}"
            );
        }
    }

    #[test]
    fn a_range_of_sizes_gives_the_nearest_of_its_steps() {
        let range = Sizes {
            smallest: (32, 32),
            largest: (2592, 1944),
            step: (16, 2),
            rates: vec![Rates {
                slowest: 1.0,
                fastest: 90.0,
            }],
        };
        let camera = [format(b"YU12", vec![range])];
        let choice = chosen(&camera, Some((333, 251)), Some(12.5));
        assert_eq!(choice, ("YU12".into(), (320, 250), 12.5));
        assert_eq!(chosen(&camera, Some((1, 9999)), None).1, (32, 1944));
    }

    #[test]
    fn a_driver_that_lists_no_sizes_is_asked_for_the_wanted_one() {
        let camera = [format(b"MJPG", vec![]), format(b"UYVY", vec![])];
        assert_eq!(
            chosen(&camera, Some((800, 600)), Some(20.0)),
            ("UYVY".into(), (800, 600), 20.0)
        );
    }

    #[test]
    fn colours_are_worth_decoding_a_jpeg() {
        let one = || vec![sizes((640, 480), &[30.0])];
        let camera = [format(b"GREY", one()), format(b"MJPG", one())];
        assert_eq!(chosen(&camera, None, None).0, "MJPG");
        assert_eq!(chosen(&camera[..1], None, None).0, "GREY");
        assert_eq!(choose(&[format(b"H264", one())], None, None), None);
        assert_eq!(choose(&[], None, None), None);
    }

    #[test]
    fn nonsense_of_a_driver_is_no_panic() {
        let nonsense = Sizes {
            smallest: (640, 480),
            largest: (0, 0),
            step: (0, 0),
            rates: vec![Rates {
                slowest: 0.0,
                fastest: f64::INFINITY,
            }],
        };
        let camera = [format(b"YUYV", vec![nonsense])];
        assert_eq!(chosen(&camera, Some((1, 1)), Some(1e9)).1, (640, 480));
        assert_eq!(FourCc(*b"Y\x00\x1b\xff").to_string(), r"Y\u{0}\u{1b}\u{7f}");
        assert_eq!(FourCc(*b"Y8  ").to_string(), "Y8");
    }
}
