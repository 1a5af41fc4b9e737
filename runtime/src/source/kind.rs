//! The text that names a source.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::Authority;

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
    /// `test`: a moving test card.
    Test,
    /// `-`: MJPEG, Y4M or raw pictures on standard input.
    StandardInput,
    /// `exec:COMMAND`: what a shell command writes to its standard output.
    Exec(String),
    /// `rpicam`: the camera of a Raspberry Pi, by rpicam-vid.
    Rpicam,
    /// `jetson-csi`: the camera of a Jetson, by GStreamer.
    JetsonCsi,
    /// `rtsp://...`: a network camera, by ffmpeg.
    Rtsp(String),
    /// `http://...` or `https://...`: a network camera that sends JPEGs, in a multipart answer or bare.
    Http(Uri),
    /// `video:FILE`: a film in its own time, by ffmpeg.
    Video(PathBuf),
    /// A folder of photos, or one photo.
    Folder(PathBuf),
}

impl SourceKind {
    /// The least time that the source may take to its first frame, which a film or a network camera shows from
    /// the next key frame on.
    pub(crate) fn start_time(&self) -> Duration {
        match self {
            SourceKind::Rpicam
            | SourceKind::JetsonCsi
            | SourceKind::Rtsp(_)
            | SourceKind::Video(_) => Duration::from_secs(10),
            _ => Duration::ZERO,
        }
    }

    /// Whether silence shows that something is wrong. Who writes to standard input may pause.
    pub(crate) fn is_steady(&self) -> bool {
        !matches!(self, SourceKind::Folder(_) | SourceKind::StandardInput)
    }
}

/// Without the credentials of a network camera.
impl fmt::Display for SourceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SourceKind::V4l2 { device, .. } => write!(formatter, "v4l2:{device}"),
            SourceKind::Test => formatter.write_str("test"),
            SourceKind::StandardInput => formatter.write_str("standard input"),
            SourceKind::Exec(command) => {
                // Without what is set for it, and without its arguments.
                let mut words = command.split_whitespace();
                let program = words.find(|word| *word != "exec" && !word.contains('='));
                let program = program.unwrap_or_default();
                write!(formatter, "exec:{program}")
            }
            SourceKind::Rpicam => formatter.write_str("rpicam"),
            SourceKind::JetsonCsi => formatter.write_str("jetson-csi"),
            SourceKind::Rtsp(address) => formatter.write_str(&without_credentials(address)),
            SourceKind::Http(address) => {
                formatter.write_str(&without_credentials(&address.to_string()))
            }
            SourceKind::Video(path) => write!(formatter, "video:{}", path.display()),
            SourceKind::Folder(path) => path.display().fmt(formatter),
        }
    }
}

/// `text`, which may hold addresses, without the credentials in them and without their queries.
pub(super) fn without_credentials(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once("://") {
        Some((scheme, rest)) => {
            // A password may contain any character, if carelessly written.
            let place = rest.rsplit('@').next().unwrap_or_default();
            let place = place.split('?').next().unwrap_or_default();
            format!("{scheme}://{place}").into()
        }
        None => Cow::Borrowed(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether something follows the colon after the host that is no port. [`Authority::port_u16`] tells that as if
/// there were no colon.
pub fn has_wrong_port(authority: &Authority) -> bool {
    authority.port_u16().is_none() && !authority.as_str().ends_with(authority.host())
}

/// A text that names no source.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceKindError(String);

impl FromStr for SourceKind {
    type Err = SourceKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |problem: &str| Err(SourceKindError(problem.into()));
        match text {
            "" => return refused("no source named"),
            "test" => return Ok(SourceKind::Test),
            "-" => return Ok(SourceKind::StandardInput),
            "rpicam" => return Ok(SourceKind::Rpicam),
            "jetson-csi" => return Ok(SourceKind::JetsonCsi),
            _ => {}
        }
        match text.split_once(':') {
            Some(("v4l2" | "exec" | "video", "")) => refused("nothing after the colon"),
            Some(("v4l2", camera)) => v4l2(camera),
            Some(("exec", command)) => Ok(SourceKind::Exec(command.into())),
            Some(("video", path)) => Ok(SourceKind::Video(path.into())),
            Some(("rtsp" | "rtsps", rest)) if rest.starts_with("//") => match &rest[2..] {
                "" => refused("no host after the slashes"),
                _ => Ok(SourceKind::Rtsp(text.into())),
            },
            Some(("http" | "https", rest)) if rest.starts_with("//") => match text.parse::<Uri>() {
                Ok(address) if address.authority().is_some_and(has_wrong_port) => {
                    refused("the port is not a number up to 65535")
                }
                Ok(address) => Ok(SourceKind::Http(address)),
                Err(_) => refused("no address that can be asked for; write odd characters as %XX"),
            },
            Some((scheme, rest)) if rest.starts_with("//") => refused(&format!(
                "{scheme}:// is not supported; exec:ffmpeg -i ADDRESS -f mjpeg - may be"
            )),
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

    #[test]
    fn credentials_are_never_shown() {
        for (address, shown) in [
            (
                "rtsp://me:secret@10.0.0.2:554/a/b?key=secret",
                "rtsp://10.0.0.2:554/a/b",
            ),
            ("rtsp://me:sec@ret@host", "rtsp://host"),
            (
                "https://me:s%20t@host/live.mjpg?token=x",
                "https://host/live.mjpg",
            ),
            ("rtsp://me:sec/r?et@host/path", "rtsp://host/path"),
        ] {
            let kind: SourceKind = address.parse().unwrap();
            assert_eq!(kind.to_string(), shown);
        }
        let kind: SourceKind =
            "exec:PASSWORD=secret exec ffmpeg -i rtsp://me:secret@host -f mjpeg -"
                .parse()
                .unwrap();
        assert_eq!(kind.to_string(), "exec:ffmpeg");
        assert_eq!(
            without_credentials("[in#0] Error opening rtsp://me:secret@host/x: refused"),
            "[in#0] Error opening rtsp://host/x: refused"
        );
    }

    #[test]
    fn a_text_names_its_kind() {
        for (text, kind) in [
            ("test", SourceKind::Test),
            ("-", SourceKind::StandardInput),
            ("exec:a b:c", SourceKind::Exec("a b:c".into())),
            ("video:a b.mp4", SourceKind::Video("a b.mp4".into())),
            ("photos:2024", SourceKind::Folder("photos:2024".into())),
        ] {
            assert_eq!(text.parse::<SourceKind>().unwrap(), kind);
        }
        for text in ["", "exec:", "ftp://host/x", "http://", "http://a b/"] {
            assert!(text.parse::<SourceKind>().is_err(), "{text}");
        }
    }
}
