//! Photos of a folder, one after the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Next, Source, SourceError, SourceOptions, period, wait_until};
use crate::frame::{Frame, Picture};
use crate::photo;

/// How long each photo of a repeated folder shows, unless a rate is given.
const REPEATED_PERIOD: Duration = Duration::from_secs(2);

/// The photos below a folder, sorted by path, at a rate or as fast as they are taken.
pub(super) struct Folder {
    photos: Vec<PathBuf>,
    next: usize,
    repeat: bool,
    period: Option<Duration>,
    due: Instant,
}

impl Folder {
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        let mut photos = Vec::new();
        let metadata = fs::metadata(path).map_err(SourceError::system(&name))?;
        if metadata.is_dir() {
            collect(path, &mut photos).map_err(SourceError::system(&name))?;
            photos.sort();
        } else {
            photos.push(path.into());
        }
        if photos.is_empty() {
            let problem = "no photos in this folder".into();
            return Err(SourceError::Content { name, problem });
        }
        let repeated = options.repeat.then_some(REPEATED_PERIOD);
        Ok(Folder {
            photos,
            next: 0,
            repeat: options.repeat,
            period: options.rate.map(period).or(repeated),
            due: Instant::now(),
        })
    }
}

fn collect(folder: &Path, photos: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, photos)?;
        } else if photo::has_photo_extension(&path) {
            photos.push(path);
        }
    }
    Ok(())
}

impl Source for Folder {
    fn next(&mut self, deadline: Instant) -> Result<Next, SourceError> {
        if self.next == self.photos.len() && !self.repeat {
            return Ok(Next::End);
        }
        if self.period.is_some() && !wait_until(self.due, deadline) {
            return Ok(Next::Pending);
        }
        let path = &self.photos[self.next % self.photos.len()];
        let name = path.display().to_string();
        self.next = self.next % self.photos.len() + 1;
        let now = Instant::now();
        if let Some(period) = self.period {
            // A late photo does not make the following ones hurry.
            self.due = (self.due + period).max(now);
        }
        // A photo that can't be read is a frame that can't be decoded: counted and passed over.
        let bytes = photo::read_bytes(path).unwrap_or_default();
        Ok(Next::Frame(Frame {
            captured: now,
            name: Some(name),
            picture: Picture::Encoded(bytes),
        }))
    }

    fn is_live(&self) -> bool {
        self.period.is_some()
    }
}
