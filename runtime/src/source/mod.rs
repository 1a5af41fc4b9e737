//! Where frames come from.

mod folder;
mod kind;
pub mod v4l2;

use std::io;
use std::time::{Duration, Instant};

pub use kind::{SourceKind, SourceKindError};

use crate::frame::Frame;

/// What a source has.
#[derive(Debug)]
pub enum Next {
    /// A frame.
    Frame(Frame),
    /// None within the time it was given.
    Pending,
    /// No more, ever.
    End,
}

/// Something that delivers frames. Dropping it gives everything back: devices, sockets, child processes.
pub trait Source: Send {
    /// The next frame, waited for until `deadline` at most.
    ///
    /// # Errors
    /// When the source is lost, and only opening it anew can help.
    fn next(&mut self, deadline: Instant) -> Result<Next, SourceError>;

    /// Whether frames come by themselves, so that those which nobody takes in time are passed over.
    fn is_live(&self) -> bool {
        true
    }
}

/// How a source is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceOptions {
    /// Which source.
    pub kind: SourceKind,
    /// Frames a second: asked of a camera, kept by a folder or the test card. `None` leaves it to the source.
    pub rate: Option<f64>,
    /// Columns and rows, asked of a camera.
    pub size: Option<(u32, u32)>,
    /// Begin a folder anew when it ends.
    pub repeat: bool,
}

impl SourceOptions {
    /// As [`Source::is_live`], before the source is opened.
    pub fn is_live(&self) -> bool {
        match self.kind {
            SourceKind::Folder(_) => self.rate.is_some() || self.repeat,
            SourceKind::V4l2 { .. } => true,
        }
    }
}

/// A source that can't be opened or was lost. One line with the cause and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system refused.
    #[error("{name}: {cause}")]
    System {
        /// The file, device or command.
        name: String,
        /// What the system says.
        cause: io::Error,
    },
    /// What came is not what was asked for.
    #[error("{name}: {problem}")]
    Content {
        /// The file, device or command.
        name: String,
        /// What is wrong, in one line.
        problem: String,
    },
}

impl SourceError {
    pub(crate) fn system(name: &str) -> impl Fn(io::Error) -> Self {
        move |cause| SourceError::System {
            name: name.into(),
            cause,
        }
    }
}

/// Opens the source that `options` describe.
///
/// # Errors
/// When it is not there or refuses.
pub fn open(options: &SourceOptions) -> Result<Box<dyn Source>, SourceError> {
    match &options.kind {
        SourceKind::V4l2 { device, format } => {
            Ok(Box::new(v4l2::V4l2::open(device, *format, options)?))
        }
        SourceKind::Folder(path) => Ok(Box::new(folder::Folder::open(path, options)?)),
    }
}

/// Waits until `due`, but not beyond `deadline`; whether `due` has come.
pub(crate) fn wait_until(due: Instant, deadline: Instant) -> bool {
    let until = due.min(deadline);
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    due <= Instant::now()
}

/// The time between frames at `rate` a second.
pub(crate) fn period(rate: f64) -> Duration {
    Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX)
}
