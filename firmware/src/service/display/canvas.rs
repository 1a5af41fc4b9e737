//! A picture in memory that layouts are drawn on, before a panel is sent what changed.

use std::convert::Infallible;
use std::ops::Range;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::PixelColor;
use embedded_graphics::primitives::Rectangle;

/// Pixels row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas<C> {
    size: Size,
    pixels: Vec<C>,
}

impl<C: PixelColor> Canvas<C> {
    /// All pixels of one colour.
    pub fn new(size: Size, colour: C) -> Self {
        Canvas {
            size,
            pixels: vec![colour; size.width as usize * size.height as usize],
        }
    }

    /// The pixels of some rows.
    pub fn rows(&self, rows: Range<u32>) -> &[C] {
        let width = self.size.width as usize;
        &self.pixels[rows.start as usize * width..rows.end as usize * width]
    }

    /// The runs of rows that are not as in `shown`, which is of the same size; all rows if `None`.
    pub fn changed_rows(&self, shown: Option<&Canvas<C>>) -> Vec<Range<u32>> {
        let height = self.size.height;
        let Some(shown) = shown else {
            return std::iter::once(0..height).collect();
        };
        let mut runs: Vec<Range<u32>> = Vec::new();
        for row in 0..height {
            if self.rows(row..row + 1) == shown.rows(row..row + 1) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == row => run.end += 1,
                _ => runs.push(row..row + 1),
            }
        }
        runs
    }
}

impl<C> OriginDimensions for Canvas<C> {
    fn size(&self) -> Size {
        self.size
    }
}

impl<C: PixelColor> DrawTarget for Canvas<C> {
    type Color = C;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        for Pixel(at, colour) in pixels {
            // What is left of or above the picture wraps to beyond its end.
            let (x, y) = (at.x as usize, at.y as usize);
            if x < width && y < height {
                self.pixels[y * width + x] = colour;
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: C) -> Result<(), Infallible> {
        let whole = Rectangle::new(Default::default(), self.size);
        let area = area.intersection(&whole);
        let (left, top) = (area.top_left.x as usize, area.top_left.y as usize);
        let rows = self
            .pixels
            .chunks_exact_mut(whole.size.width.max(1) as usize);
        for row in rows.skip(top).take(area.size.height as usize) {
            row[left..left + area.size.width as usize].fill(colour);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embedded_graphics::geometry::Point;
    use embedded_graphics::pixelcolor::BinaryColor::{self, Off, On};

    use super::*;

    fn canvas(on: &[(i32, i32)]) -> Canvas<BinaryColor> {
        let mut canvas = Canvas::new(Size::new(4, 5), Off);
        let pixels = on.iter().map(|&(x, y)| Pixel(Point::new(x, y), On));
        canvas.draw_iter(pixels).unwrap();
        canvas
    }

    #[test]
    fn rows_that_changed_come_in_runs() {
        let shown = canvas(&[(0, 0)]);
        let canvas = canvas(&[(0, 0), (1, 1), (3, 2), (2, 4)]);
        assert_eq!(canvas.changed_rows(Some(&shown)), [1..3, 4..5]);
        assert_eq!(canvas.changed_rows(Some(&canvas)), []);
        assert_eq!(canvas.changed_rows(None).len(), 1);
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut drawn = canvas(&[(-1, 0), (4, 0), (0, -1), (0, 5)]);
        assert_eq!(drawn, canvas(&[]));
        let area = Rectangle::new(Point::new(-2, 3), Size::new(3, 9));
        drawn.fill_solid(&area, On).unwrap();
        assert_eq!(drawn, canvas(&[(0, 3), (0, 4)]));
    }
}
