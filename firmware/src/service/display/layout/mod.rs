//! How a scene looks on a panel: drawing code for any embedded-graphics target, laid out by the target's size.

mod colour;
mod fit;
mod mono;
mod thumbnail;
mod typeface;

#[cfg(test)]
mod tests;

pub use colour::draw as draw_colour;
pub use mono::draw as draw_mono;

/// How long something lasts, in two or three characters and a unit.
fn lasting(seconds: u64) -> (u64, Unit) {
    match seconds {
        0..60 => (seconds, Unit::Second),
        60..3600 => (seconds / 60, Unit::Minute),
        3600..86_400 => (seconds / 3600, Unit::Hour),
        _ => (seconds / 86_400, Unit::Day),
    }
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

/// Frames a second, as briefly as is still exact.
fn rate(rate: f32) -> String {
    if rate < 10.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}
