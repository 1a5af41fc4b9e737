//! Where frames come from.

mod exec;
mod folder;
mod http;
mod kind;
pub mod mjpeg;
pub mod multipart;
pub mod pictures;
mod pipe;
mod preset;
mod test_card;
mod transport;
pub mod v4l2;
pub mod y4m;

use std::io;
use std::time::{Duration, Instant};

pub use kind::{SourceKind, SourceKindError, has_wrong_port};

use crate::frame::Frame;
use pictures::{PictureStream, RawFormat};

/// No source has larger pictures: 8192 x 4320, that of the largest video.
pub const MOST_PIXELS: usize = 8192 * 4320;

/// What a source has.
#[derive(Debug)]
pub enum Next {
    /// A frame.
    Frame(Frame),
    /// A frame that broke off or was damaged on its way, of which nothing is left but that it is counted.
    Broken,
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
    /// How raw pictures are laid out, from a program or standard input, which then are of `size`.
    pub raw: Option<RawFormat>,
    /// Begin a folder or a film anew when it ends.
    pub repeat: bool,
}

impl SourceOptions {
    /// As [`Source::is_live`], before the source is opened.
    pub fn is_live(&self) -> bool {
        match self.kind {
            SourceKind::Folder(_) => self.rate.is_some() || self.repeat,
            _ => true,
        }
    }

    /// Whether the source, when it is lost or not there yet, may come back.
    pub fn comes_back(&self) -> bool {
        match self.kind {
            SourceKind::Folder(_) | SourceKind::StandardInput => false,
            SourceKind::Video(_) => self.repeat,
            _ => true,
        }
    }

    /// What becomes of the bytes of a pipe.
    fn picture_stream(&self) -> Result<PictureStream, SourceError> {
        let stream = match self.raw.zip(self.size) {
            None => Some(PictureStream::recognised()),
            Some((format, size)) => PictureStream::raw(format, size),
        };
        stream.ok_or_else(|| SourceError::Content {
            name: self.kind.to_string(),
            problem: format!("raw pictures have 1 to {MOST_PIXELS} pixels"),
        })
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
        SourceKind::Test => Ok(Box::new(test_card::TestCard::open(options))),
        SourceKind::StandardInput => Ok(Box::new(pipe::StandardInput::open(options)?)),
        SourceKind::Folder(path) => Ok(Box::new(folder::Folder::open(path, options)?)),
        SourceKind::Http(address) => Ok(Box::new(http::Http::open(address, options)?)),
        SourceKind::Exec(_)
        | SourceKind::Rpicam
        | SourceKind::JetsonCsi
        | SourceKind::Rtsp(_)
        | SourceKind::Video(_) => Ok(Box::new(exec::Exec::open(options)?)),
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
