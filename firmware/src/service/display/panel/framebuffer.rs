//! The kernel's framebuffers, such as `/dev/fb0` for HDMI, written like a file.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::raw::RawU16;
use embedded_graphics::pixelcolor::{Rgb565, Rgb888, RgbColor};
use embedded_graphics::prelude::RawData;

use super::{Panel, Unusable};
use crate::service::display::canvas::Canvas;
use crate::service::display::layout;
use crate::service::display::scene::{Condition, Scene};

/// Where the kernel describes its framebuffers.
const DESCRIPTIONS: &str = "/sys/class/graphics";
/// The largest side that is believed.
const LARGEST: u32 = 8192;

/// How pixels lie in the memory, the lowest byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// 5 bits of blue, 6 of green, 5 of red.
    Bits16,
    /// Blue, green, red.
    Bits24,
    /// Blue, green, red, nothing.
    Bits32,
}

impl Format {
    fn bytes(self) -> usize {
        match self {
            Format::Bits16 => 2,
            Format::Bits24 => 3,
            Format::Bits32 => 4,
        }
    }

    fn push(self, pixel: Rgb888, bytes: &mut Vec<u8>) {
        let (red, green, blue) = (pixel.r(), pixel.g(), pixel.b());
        match self {
            Format::Bits16 => {
                let raw = RawU16::from(Rgb565::from(pixel)).into_inner();
                bytes.extend(raw.to_le_bytes());
            }
            Format::Bits24 => bytes.extend([blue, green, red]),
            Format::Bits32 => bytes.extend([blue, green, red, 0]),
        }
    }
}

/// An open framebuffer.
pub struct Framebuffer {
    path: PathBuf,
    file: File,
    size: Size,
    format: Format,
    /// Bytes from row to row.
    stride: usize,
    shown: Option<Canvas<Rgb888>>,
}

/// Opens `device`.
///
/// # Errors
/// When it is not there yet, may not be used, or has a format that is not known.
pub fn open(device: &Path) -> Result<Framebuffer, Unusable> {
    let path = fs::canonicalize(device).unwrap_or_else(|_| device.into());
    let name = path.file_name().unwrap_or_default();
    open_described(device, &Path::new(DESCRIPTIONS).join(name))
}

/// Opens `device`, which the files in `description` describe.
fn open_described(device: &Path, description: &Path) -> Result<Framebuffer, Unusable> {
    let named = device.display();
    let file = OpenOptions::new().write(true).open(device);
    let file = file.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            Unusable::Misconfigured(anyhow!("{named}: {error}; add the user to the group video"))
        }
        _ => Unusable::Away(anyhow!("{named}: {error}; is a screen plugged in?")),
    })?;
    describe(file, device, description).map_err(|error| {
        Unusable::Misconfigured(
            error.context(format!("{named}: not a framebuffer that can be used")),
        )
    })
}

fn describe(file: File, device: &Path, description: &Path) -> Result<Framebuffer> {
    let read = |name: &str| {
        let path = description.join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let number = |name: &str| -> Result<u32> {
        let text = read(name)?;
        let number = text.trim().parse().ok();
        number.with_context(|| format!("{name}: {} is no number", text.trim()))
    };
    let sides = read("virtual_size")?;
    let size = visible(sides.trim(), read("modes").ok().as_deref())
        .with_context(|| format!("virtual_size: {} is no size", sides.trim()))?;
    let format = match number("bits_per_pixel")? {
        16 => Format::Bits16,
        24 => Format::Bits24,
        32 => Format::Bits32,
        bits => return Err(anyhow!("{bits} bits a pixel, neither 16, 24 nor 32")),
    };
    let stride = number("stride")? as usize;
    ensure!(
        stride >= size.width as usize * format.bytes(),
        "stride: {stride} bytes do not hold {} pixels",
        size.width
    );
    Ok(Framebuffer {
        path: device.into(),
        file,
        size,
        format,
        stride,
        shown: None,
    })
}

/// The part of a framebuffer of `sides` (`WIDTH,HEIGHT`) that the screen shows. A framebuffer may hold several
/// screens above each other; `modes` then has the height of one, as in `U:1920x1080p-0`.
fn visible(sides: &str, modes: Option<&str>) -> Option<Size> {
    let pair = |text: &str, between: char| {
        let (width, height) = text.split_once(between)?;
        Some((width.parse().ok()?, height.parse().ok()?))
    };
    let (width, height): (u32, u32) = pair(sides, ',')?;
    let mode = modes.and_then(|modes| {
        let (_, mode) = modes.lines().next()?.split_once(':')?;
        let end = mode.find(|letter: char| !letter.is_ascii_digit() && letter != 'x');
        pair(&mode[..end.unwrap_or(mode.len())], 'x')
    });
    let (shown_width, shown_height) = mode.unwrap_or((width, height));
    let size = Size::new(width.min(shown_width), height.min(shown_height));
    let sane = |side: u32| (1..=LARGEST).contains(&side);
    (sane(size.width) && sane(size.height)).then_some(size)
}

impl Framebuffer {
    fn write(&mut self, canvas: &Canvas<Rgb888>) -> std::io::Result<()> {
        for run in canvas.changed_rows(self.shown.as_ref()) {
            let begin = run.start as usize * self.stride;
            let mut bytes = Vec::with_capacity(run.len() * self.stride);
            for row in run {
                for &pixel in canvas.rows(row..row + 1) {
                    self.format.push(pixel, &mut bytes);
                }
                bytes.resize(bytes.len().next_multiple_of(self.stride), 0);
            }
            self.file.seek(SeekFrom::Start(begin as u64))?;
            self.file.write_all(&bytes)?;
        }
        Ok(())
    }
}

impl Panel for Framebuffer {
    fn show(&mut self, scene: &Scene) -> Result<()> {
        let mut canvas = Canvas::new(self.size, Rgb888::BLACK);
        let Ok(()) = layout::draw_colour(scene, &mut canvas);
        let written = self.write(&canvas);
        written.with_context(|| self.path.display().to_string())?;
        self.shown = Some(canvas);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.show(&Scene::bare(Condition::Stopped))
    }
}

#[cfg(test)]
mod tests {
    use embedded_graphics::Pixel;
    use embedded_graphics::draw_target::DrawTarget;
    use embedded_graphics::geometry::Point;
    use tempfile::TempDir;

    use super::*;

    /// A framebuffer of 4 x 3 pixels, with some bytes of padding after each row.
    fn framebuffer(bits: u32, stride: usize) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("virtual_size", "4,6\n".to_owned()),
            ("modes", "U:4x3p-60\n".to_owned()),
            ("bits_per_pixel", format!("{bits}\n")),
            ("stride", format!("{stride}\n")),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let device = folder.path().join("fb");
        fs::write(&device, vec![0xee; 6 * stride]).unwrap();
        (folder, device)
    }

    /// What a frame with one orange pixel at (1, 2) leaves in the memory.
    fn written(bits: u32, stride: usize) -> Vec<u8> {
        let (folder, device) = framebuffer(bits, stride);
        let mut framebuffer = open_described(&device, folder.path()).unwrap();
        assert_eq!(framebuffer.size, Size::new(4, 3));
        let mut canvas = Canvas::new(framebuffer.size, Rgb888::BLACK);
        framebuffer.write(&canvas).unwrap();
        framebuffer.shown = Some(canvas.clone());
        let orange = Pixel(Point::new(1, 2), Rgb888::new(255, 128, 8));
        canvas.draw_iter([orange]).unwrap();
        framebuffer.write(&canvas).unwrap();
        fs::read(&device).unwrap()
    }

    #[test]
    fn pixels_stand_in_the_memory_as_each_depth_has_them() {
        for (bits, stride, pixel) in [
            (16, 10, &[0x01, 0xfc][..]),
            (24, 12, &[8, 128, 255]),
            (32, 16, &[8, 128, 255, 0]),
        ] {
            let memory = written(bits, stride);
            let at = 2 * stride + pixel.len();
            assert_eq!(&memory[at..at + pixel.len()], pixel, "{bits} bits");
            assert!(memory[..at].iter().all(|&byte| byte == 0));
            assert!(
                memory[3 * stride..].iter().all(|&byte| byte == 0xee),
                "beyond the screen"
            );
            assert_eq!(memory.len(), 6 * stride);
        }
    }

    #[test]
    fn rows_that_have_not_changed_are_not_written() {
        let (folder, device) = framebuffer(32, 16);
        let mut framebuffer = open_described(&device, folder.path()).unwrap();
        let scene = Scene::bare(Condition::Starting);
        framebuffer.show(&scene).unwrap();
        fs::write(&device, [0xee; 96]).unwrap();
        framebuffer.show(&scene).unwrap();
        assert_eq!(fs::read(&device).unwrap(), [0xee; 96]);
    }

    #[test]
    fn a_format_that_is_not_known_is_refused_by_name() {
        for (bits, stride, named) in [
            (8, 16, "8 bits a pixel, neither 16, 24 nor 32"),
            (32, 15, "stride: 15 bytes do not hold 4 pixels"),
        ] {
            let (folder, device) = framebuffer(bits, stride);
            let Err(Unusable::Misconfigured(error)) = open_described(&device, folder.path()) else {
                panic!("it is refused");
            };
            assert!(format!("{error:#}").ends_with(named), "{error:#}");
        }
    }
}
