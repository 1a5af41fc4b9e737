//! What `graphtag run` is told: every key of the configuration file is also an option of the command line.

mod file;
mod options;
mod values;

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, Result};
use argh::FromArgs;
use serde::Deserialize;

use crate::arguments::{PathArgument, text};
pub use file::parse;

/// The commented configuration that `graphtag config` prints.
pub const DEFAULT: &str = include_str!("default.toml");

/// Watch a camera and publish what it shows.
///
/// Sources: test (a moving test card), v4l2:DEVICE (see graphtag cameras), rpicam, jetson-csi,
/// rtsp://ADDRESS, http://ADDRESS (MJPEG), video:FILE, exec:COMMAND (a program that writes MJPEG or
/// Y4M), - (the same on standard input), a folder or a photo. Without --http and --mqtt, tags go to
/// standard output only. SIGHUP reads the configuration file again; SIGTERM ends the run.
#[derive(Clone, Debug, Default, FromArgs, Deserialize)]
#[argh(subcommand, name = "run")]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// configuration file; options of the command line go before it
    #[argh(option)]
    #[serde(skip)]
    pub config: Option<PathArgument>,
    /// where frames come from
    #[argh(option, from_str_fn(text))]
    pub source: Option<String>,
    /// frames a second that are asked of the source
    #[argh(option)]
    pub rate: Option<f64>,
    /// size that is asked of a camera, WIDTHxHEIGHT
    #[argh(option)]
    pub size: Option<String>,
    /// pictures without heads, from a program or standard input: rgb, yuyv, nv12 or i420, of that size
    #[argh(option)]
    pub raw: Option<String>,
    /// begin a folder or a film anew when it ends
    #[argh(switch)]
    pub r#loop: bool,
    /// seconds without a frame after which the source is opened anew (default 3)
    #[argh(option)]
    pub patience: Option<f64>,
    /// model file; the embedded one if not given
    #[argh(option)]
    pub model: Option<PathArgument>,
    /// labels of the model's outputs, one a line, for a model that has none
    #[argh(option)]
    pub labels: Option<PathArgument>,
    /// threads to run the model on (default 1)
    #[argh(option)]
    pub threads: Option<NonZeroUsize>,
    /// the most inferences a second
    #[argh(option)]
    pub max_fps: Option<f64>,
    /// skip inference while no part of the picture changes by more than this, of 255
    #[argh(option)]
    pub motion: Option<f32>,
    /// degrees Celsius above which the rate falls (default 75)
    #[argh(option)]
    pub heat_limit: Option<f32>,
    /// the part of the picture that the model sees, X,Y,WIDTH,HEIGHT in shares of it
    #[argh(option)]
    pub crop: Option<String>,
    /// a part that the model does not see, X,Y,WIDTH,HEIGHT in shares; may be repeated
    #[argh(option)]
    pub mask: Vec<String>,
    /// threshold of a label instead of its calibrated one, LABEL=X; may be repeated
    #[argh(option)]
    pub threshold: Vec<String>,
    /// time constant of the smoothing of scores, in seconds (default 0.3)
    #[argh(option)]
    pub smoothing: Option<f64>,
    /// share of its threshold below which a present label begins to vanish (default 0.7)
    #[argh(option)]
    pub keep: Option<f32>,
    /// seconds at its threshold before a label appears (default 0)
    #[argh(option)]
    pub appear_after: Option<f64>,
    /// seconds below what keeps it before a label vanishes (default 1)
    #[argh(option)]
    pub vanish_after: Option<f64>,
    /// lines of JSON on standard output: events (default), frames, or none
    #[argh(option)]
    pub output: Option<String>,
    /// address of the live page and the API, such as 127.0.0.1:8080
    #[argh(option)]
    pub http: Option<SocketAddr>,
    /// file with the token that the page and the API ask for
    #[argh(option)]
    pub token_file: Option<PathArgument>,
    /// serve an address other than loopback without a token
    #[argh(switch)]
    pub no_auth: bool,
    /// broker to publish to, mqtt://[USER@]HOST[:PORT], or mqtts:// for TLS
    #[argh(option)]
    pub mqtt: Option<String>,
    /// file with the broker's password
    #[argh(option)]
    pub mqtt_password_file: Option<PathArgument>,
    /// certificate authority of the broker (PEM); those of the system if not given
    #[argh(option)]
    pub mqtt_authority: Option<PathArgument>,
    /// first part of every MQTT topic (default graphtag)
    #[argh(option)]
    pub mqtt_prefix: Option<String>,
    /// name of this device, in MQTT topics and in Home Assistant (default the host's name)
    #[argh(option)]
    pub name: Option<String>,
}

/// Keys of `file` wherever `flags` says nothing; both structs are of the same type.
macro_rules! overlay {
    ($flags:expr, $file:expr; options: $($option:ident)*; switches: $($switch:ident)*; lists: $($list:ident)*) => {{
        // Named in full, so that a new key can't be forgotten.
        let Settings { config: _, $($option,)* $($switch,)* $($list,)* } = $file;
        let flags = $flags;
        Settings {
            config: flags.config,
            $($option: flags.$option.or($option),)*
            $($switch: flags.$switch || $switch,)*
            $($list: if flags.$list.is_empty() { $list } else { flags.$list },)*
        }
    }};
}

impl Settings {
    /// These settings, taken from the command line, with those of the configuration file below them.
    ///
    /// # Errors
    /// When the file can't be read or has an unknown key or a wrong value.
    pub fn with_file(&self) -> Result<Settings> {
        let Some(PathArgument(path)) = &self.config else {
            return Ok(self.clone());
        };
        let named = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(named)?;
        let mut file = parse(&text).with_context(named)?;
        // Paths in the file are relative to its folder, so that a service may start anywhere.
        let folder = path.parent().unwrap_or(Path::new(""));
        let paths = [
            &mut file.model,
            &mut file.labels,
            &mut file.token_file,
            &mut file.mqtt_password_file,
            &mut file.mqtt_authority,
        ];
        for PathArgument(path) in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        Ok(overlay!(self.clone(), file;
            options:
                source rate size raw patience
                model labels threads
                max_fps motion heat_limit crop
                smoothing keep appear_after vanish_after
                output
                http token_file
                mqtt mqtt_password_file mqtt_authority mqtt_prefix
                name;
            switches: r#loop no_auth;
            lists: mask threshold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graphtag.toml");
        fs::write(
            &path,
            "source = \"photos\"\nrate = 2\nkeep = 0.5\nmodel = \"m.onnx\"\n",
        )
        .unwrap();
        let flags = Settings {
            config: Some(PathArgument(path)),
            rate: Some(5.0),
            ..Settings::default()
        };
        let settings = flags.with_file().unwrap();
        assert_eq!(settings.rate, Some(5.0));
        assert_eq!(settings.keep, Some(0.5));
        assert_eq!(
            settings.model_path(),
            Some(folder.path().join("m.onnx").as_path())
        );
    }
}
