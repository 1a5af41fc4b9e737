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
    path: PathBuf,
    photos: Vec<PathBuf>,
    next: usize,
    repeat: bool,
    period: Option<Duration>,
    due: Instant,
}

impl Folder {
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        let photos = photos_of(path).map_err(SourceError::system(&name))?;
        if photos.is_empty() {
            let problem = "no photos in this folder".into();
            return Err(SourceError::Content { name, problem });
        }
        let repeated = options.repeat.then_some(REPEATED_PERIOD);
        Ok(Folder {
            path: path.into(),
            photos,
            next: 0,
            repeat: options.repeat,
            period: options.rate.map(period).or(repeated),
            due: Instant::now(),
        })
    }

    /// Begins with the first photo, of those that there are by now, or of the old ones if there are none.
    fn begin_anew(&mut self) {
        self.next = 0;
        match photos_of(&self.path) {
            Ok(photos) if !photos.is_empty() => self.photos = photos,
            _ => {}
        }
    }
}

/// The photos below a folder, sorted by path, or the one photo that `path` is.
fn photos_of(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut photos = Vec::new();
    collect(path, &mut photos)?;
    photos.sort();
    Ok(photos)
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
        if self.next == self.photos.len() {
            if !self.repeat {
                return Ok(Next::End);
            }
            self.begin_anew();
        }
        if self.period.is_some() && !wait_until(self.due, deadline) {
            return Ok(Next::Pending);
        }
        let path = &self.photos[self.next];
        let name = path.display().to_string();
        self.next += 1;
        let now = Instant::now();
        if let Some(period) = self.period {
            // A late photo does not make the following ones hurry.
            self.due = (self.due + period).max(now);
        }
        let picture = match photo::read_bytes(path) {
            Ok(bytes) => Picture::Encoded(bytes),
            Err(error) => Picture::Missing(error.to_string()),
        };
        Ok(Next::Frame(Frame {
            captured: now,
            name: Some(name),
            picture,
        }))
    }

    fn is_live(&self) -> bool {
        self.period.is_some()
    }
}
