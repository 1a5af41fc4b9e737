//! Panels of two colours, such as OLEDs of 128 x 64: a row for each tag, and the status below.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::mono_font::iso_8859_1::{FONT_6X9, FONT_6X12, FONT_7X13_BOLD};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor::{self, Off, On};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};

use super::fit::{shorten, wrap};
use super::{Unit, lasting, rate};
use crate::service::display::scene::{Condition, Scene, Tag};

/// Rows from tag to tag.
const PITCH: i32 = 13;
/// Rows of the status, and how many a panel must have to show it.
const STATUS: i32 = 10;
const STATUS_FROM: u32 = 48;
/// Columns for how long a tag has been there: three characters.
const TIME: i32 = 19;
/// Rows of a bar.
const BAR: u32 = 8;

/// Draws `scene` on the whole of `target`.
///
/// # Errors
/// The target's.
pub fn draw<D>(scene: &Scene, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget<Color = BinaryColor>,
{
    target.clear(Off)?;
    match &scene.condition {
        Condition::Starting => notice("graphtag", "starting", target),
        Condition::Stopped => notice("graphtag", "stopped", target),
        Condition::Trouble { title, cause } => trouble(title, cause, target),
        Condition::Watching => watching(scene, target),
    }
}

fn watching<D>(scene: &Scene, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget<Color = BinaryColor>,
{
    let Size { width, height } = target.bounding_box().size;
    let with_status = height >= STATUS_FROM;
    let rows = (height as i32 - if with_status { STATUS } else { 0 }) / PITCH;
    let shown = scene.tags.len().min(rows.max(1) as usize);
    for (index, tag) in scene.tags[..shown].iter().enumerate() {
        self::tag(tag, index as i32 * PITCH, width as i32, target)?;
    }
    if scene.tags.is_empty() {
        let middle = Point::new(width as i32 / 2, rows * PITCH / 2);
        text(
            "no tags",
            &FONT_6X12,
            On,
            (Alignment::Center, Baseline::Middle),
            middle,
            target,
        )?;
    }
    if with_status {
        status(scene, scene.tags.len() - shown, target)?;
    }
    Ok(())
}

/// A label, its score as a bar, and how long it has been there.
fn tag<D>(tag: &Tag, top: i32, width: i32, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget<Color = BinaryColor>,
{
    let bar_width = width / 4 - 1;
    let bar_left = width - TIME - bar_width - 2;
    let letters = (bar_left - 3) / FONT_6X12.character_size.width as i32;
    let label = shorten(&tag.label, "..", |text| {
        text.chars().count() as i32 <= letters
    });
    let left = (Alignment::Left, Baseline::Top);
    text(&label, &FONT_6X12, On, left, Point::new(0, top), target)?;

    let bar = Rectangle::new(
        Point::new(bar_left, top + 2),
        Size::new(bar_width.max(0) as u32, BAR),
    );
    bar.into_styled(PrimitiveStyle::with_stroke(On, 1))
        .draw(target)?;
    let room = bar.size.saturating_sub(Size::new_equal(4));
    let filled = Size::new((room.width as f32 * tag.score).round() as u32, room.height);
    let filled = Rectangle::new(bar.top_left + Point::new_equal(2), filled);
    filled
        .into_styled(PrimitiveStyle::with_fill(On))
        .draw(target)?;

    let (number, unit) = lasting(tag.seconds);
    let unit = match unit {
        Unit::Second => 's',
        Unit::Minute => 'm',
        Unit::Hour => 'h',
        Unit::Day => 'd',
    };
    let right = (Alignment::Right, Baseline::Top);
    let at = Point::new(width - 1, top + 1);
    text(&format!("{number}{unit}"), &FONT_6X9, On, right, at, target)
}

/// How many tags there are besides, the temperature and the rate.
fn status<D>(scene: &Scene, more: usize, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget<Color = BinaryColor>,
{
    let Size { width, height } = target.bounding_box().size;
    let (width, top) = (width as i32, height as i32 - 9);
    let mut parts = Vec::new();
    if scene.heat.throttled == Some(true) {
        parts.push("hot!".to_owned());
    }
    parts.extend(
        scene
            .heat
            .celsius
            .map(|celsius| format!("{celsius:.0}\u{b0}C")),
    );
    parts.extend(scene.rate.map(|fps| format!("{} fps", rate(fps))));
    let right = (Alignment::Right, Baseline::Top);
    text(
        &parts.join(" "),
        &FONT_6X9,
        On,
        right,
        Point::new(width - 1, top),
        target,
    )?;
    if more > 0 {
        let left = (Alignment::Left, Baseline::Top);
        text(
            &format!("+{more}"),
            &FONT_6X9,
            On,
            left,
            Point::new(0, top),
            target,
        )?;
    }
    Ok(())
}

/// A title on a bar of light, and the cause below.
fn trouble<D>(title: &str, cause: &str, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget<Color = BinaryColor>,
{
    let Size { width, height } = target.bounding_box().size;
    let middle = width as i32 / 2;
    let bar = Rectangle::new(Point::zero(), Size::new(width, 15));
    bar.into_styled(PrimitiveStyle::with_fill(On))
        .draw(target)?;
    let centre = (Alignment::Center, Baseline::Top);
    text(
        title,
        &FONT_7X13_BOLD,
        Off,
        centre,
        Point::new(middle, 1),
        target,
    )?;
    let letters = (width / FONT_6X9.character_size.width) as usize;
    let most = (height.saturating_sub(18) / 11).max(1) as usize;
    let lines = wrap(cause, "..", most, |text| text.chars().count() <= letters);
    for (index, line) in lines.iter().enumerate() {
        let at = Point::new(middle, 19 + 11 * index as i32);
        text(line, &FONT_6X9, On, centre, at, target)?;
    }
    Ok(())
}

/// Two lines in the middle.
fn notice<D>(title: &str, line: &str, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget<Color = BinaryColor>,
{
    let middle = target.bounding_box().center();
    let above = (Alignment::Center, Baseline::Bottom);
    text(title, &FONT_7X13_BOLD, On, above, middle, target)?;
    let below = (Alignment::Center, Baseline::Top);
    text(
        line,
        &FONT_6X12,
        On,
        below,
        middle + Point::new(0, 2),
        target,
    )
}

fn text<D>(
    text: &str,
    font: &MonoFont,
    colour: BinaryColor,
    (alignment, baseline): (Alignment, Baseline),
    at: Point,
    target: &mut D,
) -> Result<(), D::Error>
where
    D: DrawTarget<Color = BinaryColor>,
{
    let place = TextStyleBuilder::new()
        .alignment(alignment)
        .baseline(baseline)
        .build();
    let style = MonoTextStyle::new(font, colour);
    Text::with_text_style(text, at, style, place).draw(target)?;
    Ok(())
}
