//! A PNG file that is written anew whenever it would look different.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb888, RgbColor};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::Panel;
use crate::service::display::canvas::Canvas;
use crate::service::display::layout;
use crate::service::display::scene::Scene;

/// A picture file of a panel's size.
pub struct PngFile {
    path: PathBuf,
    size: Size,
    mono: bool,
    shown: Vec<u8>,
}

impl PngFile {
    /// Draws to `path`, in black and white if `mono`.
    ///
    /// # Errors
    /// When it is a folder, or in one that can't be written to.
    pub fn open(path: &Path, size: Size, mono: bool) -> Result<Self> {
        ensure!(!path.is_dir(), "{}: it is a folder", path.display());
        let file = PngFile {
            path: path.into(),
            size,
            mono,
            shown: Vec::new(),
        };
        let beside = file.beside();
        let probed = fs::write(&beside, []).and_then(|()| fs::remove_file(&beside));
        probed.with_context(|| path.display().to_string())?;
        Ok(file)
    }

    /// The file that takes the place of the old one once it is whole.
    fn beside(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".new");
        self.path.with_file_name(name)
    }

    /// The bytes of the pixels.
    fn draw(&self, scene: &Scene) -> Vec<u8> {
        let rows = 0..self.size.height;
        if self.mono {
            let mut canvas = Canvas::new(self.size, BinaryColor::Off);
            let Ok(()) = layout::draw_mono(scene, &mut canvas);
            let pixels = canvas.rows(rows).iter();
            pixels
                .map(|pixel| if pixel.is_on() { 255 } else { 0 })
                .collect()
        } else {
            let mut canvas = Canvas::new(self.size, Rgb888::BLACK);
            let Ok(()) = layout::draw_colour(scene, &mut canvas);
            let pixels = canvas.rows(rows).iter();
            pixels
                .flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()])
                .collect()
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        let kind = if self.mono {
            ExtendedColorType::L8
        } else {
            ExtendedColorType::Rgb8
        };
        let mut png = Vec::new();
        PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
            .write_image(bytes, self.size.width, self.size.height, kind)?;
        let beside = self.beside();
        let written = fs::File::create(&beside)
            .and_then(|mut file| file.write_all(&png))
            .and_then(|()| fs::rename(&beside, &self.path));
        written.with_context(|| self.path.display().to_string())
    }
}

impl Panel for PngFile {
    fn show(&mut self, scene: &Scene) -> Result<()> {
        let bytes = self.draw(scene);
        if bytes != self.shown {
            self.write(&bytes)?;
            self.shown = bytes;
        }
        Ok(())
    }

    /// The last picture stays, to be looked at.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
