//! The text that names a source.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::v4l2::FourCc;

/// Which source, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `v4l2:DEVICE`, `v4l2:DEVICE?format=CODE`: a camera of Linux.
    V4l2 {
        /// A path, an id or the name of the camera.
        device: String,
        /// The pixel format; `None` for the one that costs least.
        format: Option<FourCc>,
    },
    /// A folder of photos, or one photo.
    Folder(PathBuf),
}

impl SourceKind {
    /// Whether a source of this kind that was lost or is not there yet may come back.
    pub fn comes_back(&self) -> bool {
        !matches!(self, SourceKind::Folder(_))
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SourceKind::V4l2 { device, .. } => write!(formatter, "v4l2:{device}"),
            SourceKind::Folder(path) => path.display().fmt(formatter),
        }
    }
}

/// A text that names no source.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceKindError(String);

impl FromStr for SourceKind {
    type Err = SourceKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            _ if text.is_empty() => Err(SourceKindError("no source named".into())),
            Some(("v4l2", "")) => Err(SourceKindError("nothing after the colon".into())),
            Some(("v4l2", camera)) => v4l2(camera),
            _ => Ok(SourceKind::Folder(text.into())),
        }
    }
}

fn v4l2(camera: &str) -> Result<SourceKind, SourceKindError> {
    let (device, format) = match camera.split_once("?format=") {
        Some((device, code)) => (device, Some(code.parse().map_err(SourceKindError)?)),
        None => (camera, None),
    };
    Ok(SourceKind::V4l2 {
        device: device.into(),
        format,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_may_have_its_format_named() {
        let camera = |device: &str, format: Option<&[u8; 4]>| SourceKind::V4l2 {
            device: device.into(),
            format: format.map(|code| FourCc(*code)),
        };
        for (text, kind) in [
            ("v4l2:/dev/video0", camera("/dev/video0", None)),
            (
                "v4l2:/dev/video0?format=NV12",
                camera("/dev/video0", Some(b"NV12")),
            ),
            ("v4l2:My Camera: left", camera("My Camera: left", None)),
        ] {
            assert_eq!(text.parse::<SourceKind>().unwrap(), kind);
        }
        for (text, problem) in [
            ("v4l2:", "nothing after the colon"),
            (
                "v4l2:/dev/video0?format=H264",
                "H264 is not read; RGB3, BGR3, NV12",
            ),
            ("v4l2:/dev/video0?format=", " is not read"),
        ] {
            let error = text.parse::<SourceKind>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
