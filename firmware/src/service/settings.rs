//! What `graphtag run` is told: every key of the configuration file is also an option of the command line.

mod file;
mod options;
mod values;

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, Result};
use argh::{ArgsInfo, FromArgs};
use graphtag_runtime::source::SourceKind;
use serde::{Deserialize, Serialize};

use crate::arguments::{PathArgument, text};
pub use file::parse;

/// The commented configuration that `graphtag config` prints.
pub const DEFAULT: &str = include_str!("default.toml");

/// The keys that a running service takes up when it reads its configuration again.
const RELOADED: [&str; 13] = [
    "model",
    "labels",
    "threads",
    "max_fps",
    "motion",
    "heat_limit",
    "crop",
    "mask",
    "threshold",
    "smoothing",
    "keep",
    "appear_after",
    "vanish_after",
];

/// Watch a camera and publish what it shows.
///
/// Sources: test (a moving test card), v4l2:DEVICE (see graphtag cameras), rpicam, jetson-csi,
/// rtsp://ADDRESS, http://ADDRESS (MJPEG), video:FILE, exec:COMMAND (a program that writes MJPEG or
/// Y4M), - (the same on standard input), a folder or a photo. Without --http, --mqtt and the like, tags go to
/// standard output only. SIGHUP reads the configuration file again; SIGTERM ends the run.
#[derive(ArgsInfo, Clone, Debug, Default, FromArgs, Deserialize, Serialize)]
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
    /// time constant of the smoothing of scores, in seconds (default 0.3; photos of a folder: 0)
    #[argh(option)]
    pub smoothing: Option<f64>,
    /// share of its threshold below which a present label begins to vanish (default 0.7; photos: 1)
    #[argh(option)]
    pub keep: Option<f32>,
    /// seconds at its threshold before a label appears (default 0)
    #[argh(option)]
    pub appear_after: Option<f64>,
    /// seconds below what keeps it before a label vanishes (default 1; photos: 0)
    #[argh(option)]
    pub vanish_after: Option<f64>,
    /// lines of JSON on standard output: events (default), frames, or none
    #[argh(option)]
    pub output: Option<String>,
    /// address of the live page and the API, such as 127.0.0.1:8080
    #[argh(option)]
    pub http: Option<String>,
    /// file with the token that the page and the API ask for
    #[argh(option)]
    pub token_file: Option<PathArgument>,
    /// serve an address other than loopback without a token
    #[argh(switch)]
    pub no_auth: bool,
    /// broker to publish to, mqtt://USER@HOST:PORT, the user and the port optional; mqtts:// for TLS
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
    /// address to post every event to as JSON, http://HOST/PATH or https://HOST/PATH
    #[argh(option)]
    pub webhook: Option<String>,
    /// file with the secret that signs what is posted (X-Hub-Signature-256)
    #[argh(option)]
    pub webhook_secret_file: Option<PathArgument>,
    /// file with the bearer token that is posted with every event
    #[argh(option)]
    pub webhook_token_file: Option<PathArgument>,
    /// certificate authority of the webhook (PEM); those of the system if not given
    #[argh(option)]
    pub webhook_authority: Option<PathArgument>,
    /// folder for the pictures in which labels appear
    #[argh(option)]
    pub snapshots: Option<PathArgument>,
    /// label whose appearance is kept as a picture (default all); may be repeated
    #[argh(option)]
    pub snapshot_on: Vec<String>,
    /// megabytes that the pictures may take, beyond which the oldest go (default 500)
    #[argh(option)]
    pub snapshot_quota: Option<f64>,
    /// least seconds between two pictures for the same label (default 10)
    #[argh(option)]
    pub snapshot_period: Option<f64>,
    /// panel to show what is present on: fb:/dev/fb0, st7789:SPIDEV,DC,RESET, ili9341:SPIDEV,DC,RESET,
    /// ssd1306:/dev/i2c-1, or a picture file, png:FILE,WIDTHxHEIGHT
    #[argh(option, from_str_fn(text))]
    pub display: Option<String>,
    /// name of this device, in MQTT topics, Home Assistant and names of pictures (default the host's name)
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
            &mut file.webhook_secret_file,
            &mut file.webhook_token_file,
            &mut file.webhook_authority,
            &mut file.snapshots,
        ];
        for PathArgument(path) in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        let place = |path: &Path| folder.join(path).display().to_string();
        file.source = file.source.map(|source| match source.parse() {
            Ok(SourceKind::Folder(path)) => place(&path),
            Ok(SourceKind::Video(path)) => format!("video:{}", place(&path)),
            _ => source,
        });
        file.display = file.display.map(|panel| match panel.strip_prefix("png:") {
            Some(picture) => format!("png:{}", place(Path::new(picture))),
            None => panel,
        });
        Ok(overlay!(self.clone(), file;
            options:
                source rate size raw patience
                model labels threads
                max_fps motion heat_limit crop
                smoothing keep appear_after vanish_after
                output
                http token_file
                mqtt mqtt_password_file mqtt_authority mqtt_prefix
                webhook webhook_secret_file webhook_token_file webhook_authority
                snapshots snapshot_quota snapshot_period
                display
                name;
            switches: r#loop no_auth;
            lists: mask threshold snapshot_on))
    }

    /// Says where these settings, taken from the command line, show a secret to every user of the machine.
    pub fn warn_of_secrets(&self) {
        let source = self.source.as_deref().unwrap_or_default();
        if has_password(source) {
            eprintln!(
                "graphtag: source: every user of this machine can read the password in it; put the source into a \
                 configuration file that only graphtag can read, and give that with --config"
            );
        }
    }

    /// The files that hold secrets, by their keys.
    pub fn secret_files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = [
            ("token_file", &self.token_file),
            ("mqtt_password_file", &self.mqtt_password_file),
            ("webhook_secret_file", &self.webhook_secret_file),
            ("webhook_token_file", &self.webhook_token_file),
        ];
        let files = files.into_iter();
        files.filter_map(|(key, path)| Some((key, path.as_ref()?.0.as_path())))
    }

    /// The keys whose values in `new` a running service can't take up.
    pub fn kept_until_restart(&self, new: &Settings) -> Vec<String> {
        // Paths that are no text can't be compared so; they come from the command line, which does not change.
        let value = |settings| serde_json::to_value(settings).unwrap_or_default();
        let (old, new) = (value(self), value(new));
        let keys = old.as_object().into_iter().flatten();
        let changed = keys.filter(|(key, value)| new.get(key) != Some(value));
        let kept = changed.filter(|(key, _)| !RELOADED.contains(&key.as_str()));
        let mut kept: Vec<String> = kept.map(|(key, _)| key.clone()).collect();
        kept.sort();
        kept
    }
}

/// Whether `text` is or has an address with USER:PASSWORD@.
fn has_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', ' ']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'))
    })
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
            "source = \"photos\"\nrate = 2\nkeep = 0.5\nmodel = \"m.onnx\"\ndisplay = \"png:x.png,64x64\"\n",
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
        let beside = |name| folder.path().join(name);
        assert_eq!(settings.model_path(), Some(beside("m.onnx").as_path()));
        assert_eq!(settings.source.as_deref(), beside("photos").to_str());
        let display = format!("png:{}", beside("x.png,64x64").display());
        assert_eq!(settings.display, Some(display));
    }

    #[test]
    fn what_a_running_service_can_not_take_up_is_told() {
        let old = Settings {
            source: Some("test".into()),
            rate: Some(5.0),
            ..Settings::default()
        };
        let new = Settings {
            source: Some("photos".into()),
            keep: Some(0.5),
            threshold: vec!["cat=0.5".into()],
            no_auth: true,
            ..old.clone()
        };
        assert_eq!(old.kept_until_restart(&new), ["no_auth", "source"]);
        assert!(new.kept_until_restart(&new).is_empty());
    }

    #[test]
    fn every_key_that_is_taken_up_is_a_key() {
        let keys = serde_json::to_value(Settings::default()).unwrap();
        for key in RELOADED {
            assert!(keys.get(key).is_some(), "{key}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_noticed() {
        assert!(has_password("rtsp://pi:secret@camera/stream"));
        assert!(has_password(
            "exec:ffmpeg -i rtsp://pi:a@b@camera:554/1 -f mjpeg -"
        ));
        assert!(!has_password("rtsp://pi@camera/stream:1"));
        assert!(!has_password("http://camera:80/video?time=1:2@3"));
        assert!(!has_password("photos"));
    }
}
