//! Smooth text on panels of colour, in Roboto Medium.

use ab_glyph::{Font, FontRef, GlyphId, PxScale, PxScaleFont, ScaleFont, point};
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::Point;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};

/// Latin, Greek and Cyrillic letters; its README says how it was made.
const ROBOTO: &[u8] = include_bytes!("../font/Roboto-Medium.ttf");

/// Size and colours of text.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// From the top of the highest letter to the bottom of the lowest, in pixels.
    pub height: f32,
    /// The text's colour.
    pub colour: Rgb888,
    /// What it stands on; letters fade into it.
    pub background: Rgb888,
}

/// The font, parsed.
pub struct Typeface(FontRef<'static>);

impl Typeface {
    /// Parses the embedded font.
    pub fn new() -> Self {
        Typeface(FontRef::try_from_slice(ROBOTO).expect("the embedded font is whole"))
    }

    /// Columns that `text` takes.
    pub fn width(&self, text: &str, height: f32) -> u32 {
        let font = self.scaled(height);
        let advances = text
            .chars()
            .map(|letter| font.h_advance(font.glyph_id(letter)));
        advances.sum::<f32>().ceil() as u32
    }

    /// Draws `text` with its upper left corner at `corner`.
    ///
    /// # Errors
    /// The target's.
    pub fn draw<D>(
        &self,
        text: &str,
        style: Style,
        corner: Point,
        target: &mut D,
    ) -> Result<(), D::Error>
    where
        D: DrawTarget,
        D::Color: From<Rgb888>,
    {
        let font = self.scaled(style.height);
        let mut pen = point(corner.x as f32, (corner.y as f32 + font.ascent()).round());
        for letter in text.chars() {
            let glyph: GlyphId = font.glyph_id(letter);
            let placed = glyph.with_scale_and_position(style.height, pen);
            pen.x += font.h_advance(glyph);
            let Some(outline) = self.0.outline_glyph(placed) else {
                continue;
            };
            let at = outline.px_bounds().min;
            let mut pixels = Vec::new();
            outline.draw(|x, y, coverage| {
                if coverage > 0.0 {
                    let at = Point::new(at.x as i32 + x as i32, at.y as i32 + y as i32);
                    let colour = blend(style.background, style.colour, coverage.min(1.0));
                    pixels.push(Pixel(at, colour.into()));
                }
            });
            target.draw_iter(pixels)?;
        }
        Ok(())
    }

    fn scaled(&self, height: f32) -> PxScaleFont<&FontRef<'static>> {
        self.0.as_scaled(PxScale::from(height))
    }
}

/// From `below` at a coverage of 0 to `above` at 1.
fn blend(below: Rgb888, above: Rgb888, coverage: f32) -> Rgb888 {
    let mix = |below: u8, above: u8| {
        let (below, above) = (f32::from(below), f32::from(above));
        (below + (above - below) * coverage).round() as u8
    };
    Rgb888::new(
        mix(below.r(), above.r()),
        mix(below.g(), above.g()),
        mix(below.b(), above.b()),
    )
}
