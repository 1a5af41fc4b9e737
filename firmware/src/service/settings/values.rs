//! Values of keys, as people write them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use graphtag_runtime::source::MOST_PIXELS;
use graphtag_runtime::stream::Rectangle;

/// The secret that is the first line of the file at `path`.
///
/// # Errors
/// When it can't be read or is empty. The secret is in no message.
pub fn secret(path: &Path) -> Result<String> {
    let named = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(named)?;
    let secret = text.lines().next().unwrap_or_default().trim();
    ensure!(!secret.is_empty(), "{}: no secret in it", named());
    Ok(secret.into())
}

/// `number`, if it is above 0.
///
/// # Errors
/// When it is not. The message begins with `key`.
pub fn positive(key: &str, number: Option<f64>) -> Result<Option<f64>> {
    if let Some(number) = number {
        ensure!(
            number.is_finite() && number > 0.0,
            "{key}: {number} is not above 0"
        );
    }
    Ok(number)
}

/// A time of `number` seconds.
///
/// # Errors
/// When it is negative or not finite. The message begins with `key`.
pub fn seconds(key: &str, number: Option<f64>) -> Result<Option<Duration>> {
    let duration = |number| {
        Duration::try_from_secs_f64(number)
            .ok()
            .with_context(|| format!("{key}: {number} is not a time in seconds"))
    };
    number.map(duration).transpose()
}

/// Columns and rows of `WIDTHxHEIGHT`.
///
/// # Errors
/// When it is anything else. The message begins with `size`.
pub fn size(text: &str) -> Result<(u32, u32)> {
    let parts = text.split_once('x');
    let parsed =
        parts.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let (width, height): (u32, u32) =
        parsed.with_context(|| format!("size: {text} is not WIDTHxHEIGHT, such as 640x480"))?;
    let pixels = u64::from(width) * u64::from(height);
    ensure!(
        (1..=MOST_PIXELS as u64).contains(&pixels),
        "size: {text} is not of 1 to {MOST_PIXELS} pixels"
    );
    Ok((width, height))
}

/// A part of the picture, from `X,Y,WIDTH,HEIGHT` in shares of it.
///
/// # Errors
/// When it is anything else, or outside of the picture. The message begins with `key`.
pub fn rectangle(key: &str, text: &str) -> Result<Rectangle> {
    let numbers: Option<Vec<f32>> = text
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect();
    match numbers.as_deref() {
        Some(&[x, y, width, height])
            if (0.0..1.0).contains(&x)
                && (0.0..1.0).contains(&y)
                && width > 0.0
                && height > 0.0
                && x + width <= 1.0001
                && y + height <= 1.0001 =>
        {
            Ok(Rectangle {
                x,
                y,
                width,
                height,
            })
        }
        _ => bail!(
            "{key}: {text} is not X,Y,WIDTH,HEIGHT in shares of the picture, such as 0,0.5,1,0.5"
        ),
    }
}
