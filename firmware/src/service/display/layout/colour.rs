//! Panels of colour of any size: the picture, and the tags beside it or, on narrow panels, below.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{
    Circle, Line, PrimitiveStyle, PrimitiveStyleBuilder, Rectangle, RoundedRectangle,
    StrokeAlignment,
};
use graphtag_runtime::stream::heat::Heat;

use super::fit::{shorten, wrap};
use super::thumbnail::thumbnail;
use super::typeface::{Style, Typeface};
use super::{Unit, lasting, rate};
use crate::service::display::scene::{Condition, Scene, Tag};

const BACKGROUND: Rgb888 = Rgb888::new(11, 14, 20);
const TRACK: Rgb888 = Rgb888::new(38, 46, 60);
const TEXT: Rgb888 = Rgb888::new(240, 244, 250);
const FAINT: Rgb888 = Rgb888::new(146, 158, 178);
const BAR: Rgb888 = Rgb888::new(45, 212, 191);
const WARNING: Rgb888 = Rgb888::new(251, 176, 52);

/// Panels at least so much wider than high have the picture at the left.
const WIDE: f32 = 1.25;
/// The picture's share of the width of a wide panel, and of the height of any other.
const BESIDE: f32 = 0.6;
const ABOVE: f32 = 0.5;
/// Units around text.
const MARGIN: f32 = 8.0;

/// Draws `scene` on the whole of `target`.
///
/// # Errors
/// The target's.
pub fn draw<D>(scene: &Scene, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    target.clear(BACKGROUND.into())?;
    let whole = target.bounding_box();
    let mut sheet = Sheet::new(target);
    match &scene.condition {
        Condition::Starting => sheet.notice("graphtag", "Waiting for the first frame", whole),
        Condition::Stopped => sheet.notice("graphtag", "Stopped", whole),
        Condition::Watching => {
            let (picture, tags) = places(whole);
            let picture = sheet.picture(scene, picture)?;
            sheet.status(scene, picture.top_left)?;
            sheet.tags(&scene.tags, tags)
        }
        Condition::Trouble { title, cause } => {
            let (picture, tags) = places(whole);
            if scene.tags.is_empty() {
                return sheet.trouble(title, cause, whole);
            }
            sheet.trouble(title, cause, picture)?;
            sheet.tags(&scene.tags, tags)
        }
    }
}

/// Where the picture and the tags stand.
fn places(whole: Rectangle) -> (Rectangle, Rectangle) {
    let Size { width, height } = whole.size;
    let share = |side: u32, share: f32| (side as f32 * share) as u32;
    if width as f32 >= height as f32 * WIDE {
        let left = share(width, BESIDE);
        (
            Rectangle::new(whole.top_left, Size::new(left, height)),
            Rectangle::new(Point::new(left as i32, 0), Size::new(width - left, height)),
        )
    } else {
        let top = share(height, ABOVE);
        (
            Rectangle::new(whole.top_left, Size::new(width, top)),
            Rectangle::new(Point::new(0, top as i32), Size::new(width, height - top)),
        )
    }
}

/// A target and the scale of what is drawn on it.
struct Sheet<'a, D> {
    target: &'a mut D,
    typeface: Typeface,
    /// Pixels of a unit: 1 on a panel of 240 rows, and less than proportionally more on larger ones, which are
    /// seen from farther but hold more as well.
    unit: f32,
}

impl<'a, D> Sheet<'a, D>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    fn new(target: &'a mut D) -> Self {
        let Size { width, height } = target.bounding_box().size;
        Sheet {
            unit: (width.min(height) as f32 / 240.0).powf(0.75),
            target,
            typeface: Typeface::new(),
        }
    }

    /// The picture in the middle of `place`; gives what it covers.
    fn picture(&mut self, scene: &Scene, place: Rectangle) -> Result<Rectangle, D::Error> {
        let shot = scene.picture.as_ref();
        let Some(picture) = shot.and_then(|shot| shot.frame.picture.decode().ok()) else {
            return Ok(place);
        };
        let picture = thumbnail(&picture, place.size.width, place.size.height);
        let size = Size::new(picture.width(), picture.height());
        let area = Rectangle::with_center(place.center(), size);
        let colours = picture
            .pixels()
            .map(|pixel| Rgb888::new(pixel[0], pixel[1], pixel[2]).into());
        self.target.fill_contiguous(&area, colours)?;
        Ok(area)
    }

    /// Rate and temperature on a small plate in the corner of the picture.
    fn status(&mut self, scene: &Scene, corner: Point) -> Result<(), D::Error> {
        let hot = scene.heat.throttled == Some(true);
        let parts = [
            scene.rate.map(|fps| (format!("{} fps", rate(fps)), TEXT)),
            heat(scene.heat).map(|text| (text, if hot { WARNING } else { TEXT })),
        ];
        let parts: Vec<(String, Rgb888)> = parts.into_iter().flatten().collect();
        let (height, gap) = (12.0 * self.unit, self.pixels(7.0));
        let widths = parts
            .iter()
            .map(|(text, _)| self.typeface.width(text, height) as i32 + gap);
        let width: i32 = widths.sum();
        if parts.is_empty() {
            return Ok(());
        }
        let corner = corner + Point::new_equal(self.pixels(6.0));
        let size = Size::new((width + gap) as u32, self.pixels(18.0) as u32);
        self.pill(Rectangle::new(corner, size), BACKGROUND)?;
        let mut at = corner + Point::new(gap, self.pixels(3.0));
        for (text, colour) in parts {
            self.text(&text, height, colour, at)?;
            at.x += self.typeface.width(&text, height) as i32 + gap;
        }
        Ok(())
    }

    /// As many tags as `place` holds, and how many there are besides.
    fn tags(&mut self, tags: &[Tag], place: Rectangle) -> Result<(), D::Error> {
        let (margin, pitch) = (self.pixels(MARGIN), self.pixels(27.0));
        let inner = place
            .size
            .saturating_sub(Size::new_equal(2 * margin as u32));
        let corner = place.top_left + Point::new_equal(margin);
        if tags.is_empty() {
            return self.text("No tags", 16.0 * self.unit, FAINT, corner);
        }
        // The last row needs no gap below it.
        let rows = ((inner.height as i32 + self.pixels(5.0)) / pitch).max(1) as usize;
        let shown = if tags.len() > rows {
            rows - 1
        } else {
            tags.len()
        };
        let row = |index: usize| corner + Point::new(0, pitch * index as i32);
        for (index, tag) in tags[..shown].iter().enumerate() {
            self.tag(tag, row(index), inner.width)?;
        }
        if tags.len() > shown {
            let more = format!("+{} more", tags.len() - shown);
            self.text(&more, 14.0 * self.unit, FAINT, row(shown))?;
        }
        Ok(())
    }

    /// A label, how long it has been there, and its score as a bar below them.
    fn tag(&mut self, tag: &Tag, corner: Point, width: u32) -> Result<(), D::Error> {
        let (large, small) = (16.0 * self.unit, 12.0 * self.unit);
        let time = match lasting(tag.seconds) {
            (number, Unit::Second) => format!("{number} s"),
            (number, Unit::Minute) => format!("{number} min"),
            (number, Unit::Hour) => format!("{number} h"),
            (number, Unit::Day) => format!("{number} d"),
        };
        let right = self.typeface.width(&time, small);
        let room = width.saturating_sub(right + self.pixels(6.0) as u32);
        let label = shorten(&tag.label, "…", |text| {
            self.typeface.width(text, large) <= room
        });
        self.text(&label, large, TEXT, corner)?;
        let beside = Point::new((width - right.min(width)) as i32, self.pixels(3.0));
        self.text(&time, small, FAINT, corner + beside)?;
        let bar = corner + Point::new(0, self.pixels(18.0));
        let size = Size::new(width, self.pixels(4.0) as u32);
        self.pill(Rectangle::new(bar, size), TRACK)?;
        let filled = Size::new((width as f32 * tag.score).round() as u32, size.height);
        // Less than a dot would not be round.
        if filled.width >= filled.height {
            self.pill(Rectangle::new(bar, filled), BAR)?;
        }
        Ok(())
    }

    /// A crossed-out camera, a title and the cause, in the middle of `place`.
    fn trouble(&mut self, title: &str, cause: &str, place: Rectangle) -> Result<(), D::Error> {
        let (large, small) = (19.0 * self.unit, 13.0 * self.unit);
        let (line, room) = (self.pixels(16.0), self.room(place));
        let lines = wrap(cause, "…", 4, |text| {
            self.typeface.width(text, small) <= room
        });
        let icon = self.pixels(34.0);
        let height = icon + self.pixels(10.0) + self.pixels(23.0) + line * lines.len() as i32;
        let mut top = place.center().y - height / 2;
        self.crossed_camera(Point::new(place.center().x, top + icon / 2))?;
        top += icon + self.pixels(10.0);
        self.centred(title, large, WARNING, place, top)?;
        top += self.pixels(23.0);
        for (index, text) in lines.iter().enumerate() {
            self.centred(text, small, FAINT, place, top + line * index as i32)?;
        }
        Ok(())
    }

    /// Two lines in the middle of `place`.
    fn notice(&mut self, title: &str, text: &str, place: Rectangle) -> Result<(), D::Error> {
        let (large, small) = (26.0 * self.unit, 14.0 * self.unit);
        let top = place.center().y - self.pixels(26.0);
        self.centred(title, large, TEXT, place, top)?;
        self.centred(text, small, FAINT, place, top + self.pixels(32.0))
    }

    fn crossed_camera(&mut self, centre: Point) -> Result<(), D::Error> {
        let stroke = self.pixels(2.5) as u32;
        let outline = PrimitiveStyleBuilder::new()
            .stroke_color(WARNING.into())
            .stroke_width(stroke)
            .stroke_alignment(StrokeAlignment::Inside)
            .build();
        let size = Size::new(self.pixels(44.0) as u32, self.pixels(30.0) as u32);
        let corners = Size::new_equal(self.pixels(6.0) as u32);
        let body = Rectangle::with_center(centre, size);
        RoundedRectangle::with_equal_corners(body, corners)
            .into_styled(outline)
            .draw(self.target)?;
        Circle::with_center(centre, self.pixels(15.0) as u32)
            .into_styled(outline)
            .draw(self.target)?;
        let reach = Point::new(self.pixels(22.0), -self.pixels(20.0));
        for (width, colour) in [(stroke * 3, BACKGROUND), (stroke, WARNING)] {
            Line::new(centre - reach, centre + reach)
                .into_styled(PrimitiveStyle::with_stroke(colour.into(), width))
                .draw(self.target)?;
        }
        Ok(())
    }

    /// A line of text in the middle of the columns of `place`.
    fn centred(
        &mut self,
        text: &str,
        height: f32,
        colour: Rgb888,
        place: Rectangle,
        top: i32,
    ) -> Result<(), D::Error> {
        let room = self.room(place);
        let text = shorten(text, "…", |text| {
            self.typeface.width(text, height) <= room
        });
        let width = self.typeface.width(&text, height) as i32;
        let left = place.center().x - width / 2;
        self.text(&text, height, colour, Point::new(left, top))
    }

    fn text(&mut self, text: &str, height: f32, colour: Rgb888, at: Point) -> Result<(), D::Error> {
        let style = Style {
            height,
            colour,
            background: BACKGROUND,
        };
        self.typeface.draw(text, style, at, self.target)
    }

    /// A bar with round ends.
    fn pill(&mut self, area: Rectangle, colour: Rgb888) -> Result<(), D::Error> {
        let corners = Size::new_equal(area.size.height / 2);
        RoundedRectangle::with_equal_corners(area, corners)
            .into_styled(PrimitiveStyle::with_fill(colour.into()))
            .draw(self.target)
    }

    /// Columns of `place` between its margins.
    fn room(&self, place: Rectangle) -> u32 {
        place
            .size
            .width
            .saturating_sub(2 * self.pixels(MARGIN) as u32)
    }

    fn pixels(&self, units: f32) -> i32 {
        ((units * self.unit).round() as i32).max(1)
    }
}

fn heat(heat: Heat) -> Option<String> {
    let throttled = if heat.throttled == Some(true) {
        " throttled"
    } else {
        ""
    };
    match heat.celsius {
        Some(celsius) => Some(format!("{celsius:.0} °C{throttled}")),
        None if throttled.is_empty() => None,
        None => Some("throttled".into()),
    }
}
