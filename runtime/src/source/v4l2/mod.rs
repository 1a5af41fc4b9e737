//! Cameras of Linux: `v4l2:DEVICE`.

mod cameras;
mod device;
mod driver;
mod formats;
mod pixels;
mod structures;

use std::io;
use std::time::Instant;

use rustix::io::Errno;

pub use cameras::{Camera, cameras};
pub use formats::{Choice, Format, FourCc, Rates, Sizes, choose};

use super::{Next, Source, SourceError, SourceOptions};
use crate::frame::Frame;
use device::{Device, Negotiated};
use driver::Stream;
use pixels::Layout;

/// Columns or rows of the largest picture, as in a JPEG.
const LARGEST_SIDE: u32 = 65_535;

/// A camera whose pictures come.
pub(super) struct V4l2 {
    name: String,
    stream: Stream,
    format: Negotiated,
    layout: Layout,
}

impl V4l2 {
    /// Opens the camera that `name` means now, see [`cameras::find`], for pictures of `format`.
    pub fn open(
        name: &str,
        format: Option<FourCc>,
        options: &SourceOptions,
    ) -> Result<Self, SourceError> {
        let path = cameras::find(name)?;
        let failed = |error| failed(name, error);
        let device = Device::open(&path).map_err(failed)?;
        device.capabilities().map_err(failed)?;
        let mut formats = device.formats();
        formats.retain(|offered| format.is_none_or(|code| offered.code == code));
        let choice = choose(&formats, options.size, options.rate).ok_or_else(|| {
            let problem = match format {
                Some(code) => format!("does not offer {code}; graphtag cameras says what it does"),
                None => "offers nothing that is read; graphtag cameras says more".into(),
            };
            content(name, problem)
        })?;
        let given = device
            .set_format(choice.code, choice.size)
            .map_err(failed)?;
        let layout = given.code.layout().ok_or_else(|| {
            content(
                name,
                format!("gives {} when asked for {}", given.code, choice.code),
            )
        })?;
        if given.width.max(given.height) > LARGEST_SIDE {
            let problem = format!("gives pictures of {} x {}", given.width, given.height);
            return Err(content(name, problem));
        }
        device.set_rate(choice.rate);
        Ok(V4l2 {
            name: name.into(),
            stream: device.start().map_err(failed)?,
            format: given,
            layout,
        })
    }
}

impl Source for V4l2 {
    fn next(&mut self, deadline: Instant) -> Result<Next, SourceError> {
        let taken = self.stream.next(deadline, |bytes| match bytes {
            Some(bytes) => pixels::picture(bytes, self.layout, &self.format),
            None => pixels::damaged(),
        });
        match taken.map_err(|error| failed(&self.name, error))? {
            Some(picture) => Ok(Next::Frame(Frame {
                captured: Instant::now(),
                name: None,
                picture,
            })),
            None => Ok(Next::Pending),
        }
    }
}

fn content(name: &str, problem: String) -> SourceError {
    SourceError::Content {
        name: name.into(),
        problem,
    }
}

fn failed(name: &str, cause: io::Error) -> SourceError {
    match remedy(&cause) {
        Some(remedy) => content(name, format!("{cause}: {remedy}")),
        None => SourceError::system(name)(cause),
    }
}

/// What a refusal of a device means, or what to do about it.
fn remedy(error: &io::Error) -> Option<&'static str> {
    Some(match Errno::from_io_error(error)? {
        Errno::ACCESS | Errno::PERM => {
            "the user must be in the group video (sudo usermod -aG video USER, then log in again)"
        }
        Errno::BUSY => "another program uses the camera; stop it first",
        Errno::NOENT => "no such camera; graphtag cameras lists those that are there",
        Errno::NODEV | Errno::NXIO => "the camera is gone",
        Errno::NOTTY => "not a video device",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceKind, open};

    fn refused(source: &str) -> String {
        let options = SourceOptions {
            kind: source.parse::<SourceKind>().unwrap(),
            rate: None,
            size: None,
            raw: None,
            repeat: false,
        };
        match open(&options) {
            Ok(_) => panic!("{source} was opened"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_no_camera_is_refused_with_the_remedy() {
        let missing = refused("v4l2:/dev/v4l/by-id/none");
        assert!(missing.starts_with("/dev/v4l/by-id/none: "), "{missing}");
        assert!(missing.contains("graphtag cameras lists"), "{missing}");
        let nameless = refused("v4l2:None Such Camera");
        assert!(nameless.contains("graphtag cameras lists"), "{nameless}");
        let other = refused("v4l2:/dev/null");
        assert!(other.contains("not a video device"), "{other}");
    }
}
