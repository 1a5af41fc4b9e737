//! Whether a model says here what it said where it was made.

use std::io::Cursor;

use graphtag_models::Golden;
use image::{ImageFormat, ImageReader, Rgb, RgbImage};

use crate::model::Model;
use crate::network::RunError;
use crate::photo::{self, PhotoError};

/// The most that a probability may differ from the golden one.
///
/// Sums of floats and filters of photos differ between processors in their last digits only; another model, or
/// damaged weights, by far more.
pub const TOLERANCE: f32 = 0.02;
/// The most pixels of a golden photo, so that decoding one takes no more than 4 MB.
const MAX_PIXELS: u64 = 1 << 20;
/// The grey of the plain picture.
const GREY: u8 = 128;

/// What a check found well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// The probabilities of the golden photo are as they must be, but for this difference at most.
    Golden {
        /// Of the probability that differs most.
        difference: f32,
    },
    /// There is no golden photo; the probabilities of a plain picture are probabilities.
    Plain,
}

/// Why a model is not to be relied on. The messages are one line and do not name the model.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The golden photo can't be decoded.
    #[error("its golden photo: {0}")]
    Photo(PhotoError),
    /// A golden photo of too many pixels.
    #[error("its golden photo has more than {MAX_PIXELS} pixels")]
    Size,
    /// The network fails.
    #[error(transparent)]
    Run(RunError),
    /// Another probability than where the model was made.
    #[error(
        "it does not say what it said where it was made: {label:?} in its golden photo is {found:.3} instead of \
         {expected:.3}; the file is damaged, or this graphtag runs it wrongly"
    )]
    Differs {
        /// The label whose probability differs most.
        label: String,
        /// What it is here.
        found: f32,
        /// What it was there.
        expected: f32,
    },
    /// A number that is no probability.
    #[error("it gives {0} for {1:?}, which is no probability")]
    NoProbability(f32, String),
}

/// Runs `model` on its golden photo, or on a plain picture if it has none.
///
/// # Errors
/// When it fails, or gives something else than it must.
pub fn check(model: &Model) -> Result<Check, CheckError> {
    let Some(golden) = &model.metadata().golden else {
        let plain = RgbImage::from_pixel(64, 64, Rgb([GREY; 3]));
        probabilities(model, &plain)?;
        return Ok(Check::Plain);
    };
    let found = probabilities(model, &decode(&golden.photo)?)?;
    let differences = found.iter().zip(&golden.probabilities);
    let differences = differences.map(|(found, expected)| (found - expected).abs());
    let (label, difference) = differences
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .unwrap_or_default();
    if difference > TOLERANCE {
        return Err(CheckError::Differs {
            label: model.metadata().labels[label].clone(),
            found: found[label],
            expected: golden.probabilities[label],
        });
    }
    Ok(Check::Golden { difference })
}

/// `photo`, a JPEG file, with what `model` says of it.
///
/// # Errors
/// When the photo is not usable, or the model fails on it.
pub fn record(model: &Model, photo: Vec<u8>) -> Result<Golden, CheckError> {
    let probabilities = probabilities(model, &decode(&photo)?)?;
    Ok(Golden {
        photo,
        probabilities,
    })
}

fn decode(photo: &[u8]) -> Result<RgbImage, CheckError> {
    let header = ImageReader::with_format(Cursor::new(photo), ImageFormat::Jpeg);
    if let Ok((width, height)) = header.into_dimensions()
        && u64::from(width) * u64::from(height) > MAX_PIXELS
    {
        return Err(CheckError::Size);
    }
    photo::decode(photo).map_err(CheckError::Photo)
}

fn probabilities(model: &Model, photo: &RgbImage) -> Result<Vec<f32>, CheckError> {
    let prediction = model.predict(photo).map_err(CheckError::Run)?;
    let probabilities = prediction.probabilities;
    let wrong = probabilities.iter().position(|p| !(0.0..=1.0).contains(p));
    match wrong {
        Some(label) => Err(CheckError::NoProbability(
            probabilities[label],
            model.metadata().labels[label].clone(),
        )),
        None => Ok(probabilities),
    }
}
