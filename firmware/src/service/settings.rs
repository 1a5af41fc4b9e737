//! What `graphtag run` is told: every key of the configuration file is also an option of the command line.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use argh::FromArgs;
use graphtag_runtime::presence::PresenceOptions;
use graphtag_runtime::source::{MOST_PIXELS, SourceKind, SourceOptions};
use graphtag_runtime::stream::{MotionOptions, Rectangle, StreamOptions, View};
use serde::Deserialize;

use super::mqtt::{self, BrokerAddress, MqttOptions};
use super::web::HttpOptions;
use crate::arguments::{PathArgument, text};

/// The commented configuration that `graphtag config` prints.
pub const DEFAULT: &str = include_str!("default.toml");

/// A still scene is inferred again after this time all the same.
const STILL_REFRESH: Duration = Duration::from_secs(10);
/// The temperature, in degrees Celsius, above which the rate falls; a Raspberry Pi throttles itself at 80.
const HEAT_LIMIT: f32 = 75.0;
/// How long a source may be silent before it is opened anew, in seconds.
const PATIENCE: f64 = 3.0;

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
            options: source rate size raw patience model labels threads max_fps motion heat_limit crop smoothing
                keep appear_after vanish_after output http token_file mqtt mqtt_password_file mqtt_authority mqtt_prefix name;
            switches: r#loop no_auth;
            lists: mask threshold))
    }

    /// The stream that these settings describe.
    ///
    /// # Errors
    /// When a value is missing or out of range.
    pub fn stream(&self) -> Result<StreamOptions> {
        let source = self.source.as_deref().context(
            "no source: say --source test, a folder of photos, or a camera (see graphtag run --help)",
        )?;
        let defaults = PresenceOptions::default();
        let keep = self.keep.unwrap_or(defaults.keep);
        ensure!(
            (0.0..=1.0).contains(&keep),
            "keep: {keep} is not from 0 to 1"
        );
        let motion = self.motion.map(|sensitivity| MotionOptions {
            sensitivity,
            refresh: STILL_REFRESH,
        });
        let crop = self.crop.as_deref().map(|text| rectangle("crop", text));
        let masks = self.mask.iter().map(|text| rectangle("mask", text));
        let limit = self.heat_limit.unwrap_or(HEAT_LIMIT);
        ensure!(limit.is_finite(), "heat_limit: {limit} is no temperature");
        let raw = self.raw.as_deref().map(str::parse).transpose();
        let raw = raw.map_err(anyhow::Error::msg).context("raw")?;
        let kind = source.parse().context("source")?;
        if raw.is_some() {
            ensure!(
                matches!(kind, SourceKind::Exec(_) | SourceKind::StandardInput),
                "raw: only a program (exec:COMMAND) or standard input (-) delivers pictures without heads"
            );
            ensure!(
                self.size.is_some(),
                "raw: the size of the pictures is needed too, --size WIDTHxHEIGHT"
            );
        }
        Ok(StreamOptions {
            source: SourceOptions {
                kind,
                rate: positive("rate", self.rate)?,
                size: self.size.as_deref().map(size).transpose()?,
                raw,
                repeat: self.r#loop,
            },
            patience: seconds("patience", Some(self.patience.unwrap_or(PATIENCE)))?
                .unwrap_or_default(),
            max_rate: positive("max_fps", self.max_fps)?,
            motion,
            heat_limit: limit,
            view: View {
                crop: crop.transpose()?,
                masks: masks.collect::<Result<_>>()?,
            },
            presence: PresenceOptions {
                smoothing: seconds("smoothing", self.smoothing)?.unwrap_or(defaults.smoothing),
                keep,
                appear_after: seconds("appear_after", self.appear_after)?
                    .unwrap_or(defaults.appear_after),
                vanish_after: seconds("vanish_after", self.vanish_after)?
                    .unwrap_or(defaults.vanish_after),
            },
        })
    }

    /// Where to publish by MQTT, if anywhere.
    ///
    /// # Errors
    /// When the address, the name or a file is not usable.
    pub fn mqtt(&self) -> Result<Option<MqttOptions>> {
        let Some(broker) = &self.mqtt else {
            return Ok(None);
        };
        let broker: BrokerAddress = broker.parse().map_err(anyhow::Error::msg)?;
        let password = self.mqtt_password_file.as_ref().map(|path| secret(&path.0));
        let authority = self.mqtt_authority.as_ref().map(|PathArgument(path)| {
            fs::read(path).with_context(|| format!("mqtt_authority: {}", path.display()))
        });
        let name = self.device_name();
        let prefix = self
            .mqtt_prefix
            .clone()
            .unwrap_or_else(|| "graphtag".into());
        for (key, part) in [("name", &name), ("mqtt_prefix", &prefix)] {
            ensure!(
                !part.is_empty() && mqtt::slug(part) == *part,
                "{key}: {part:?} is not of small letters, digits, _ and - alone"
            );
        }
        Ok(Some(MqttOptions {
            broker,
            password: password.transpose()?,
            authority: authority.transpose()?,
            prefix,
            name,
        }))
    }

    /// Where to serve the page and the API, if anywhere.
    ///
    /// # Errors
    /// When the token can't be read, or the address is open to others without one.
    pub fn http(&self) -> Result<Option<HttpOptions>> {
        let Some(address) = self.http else {
            return Ok(None);
        };
        let token = self.token_file.as_ref().map(|path| secret(&path.0));
        let token = token.transpose().context("token_file")?;
        ensure!(
            address.ip().is_loopback() || token.is_some() || self.no_auth,
            "http: others can reach {address}; give a --token-file, or say --no-auth"
        );
        Ok(Some(HttpOptions {
            address,
            token,
            name: self.device_name(),
        }))
    }

    /// The name of this device: the host's, unless told otherwise.
    fn device_name(&self) -> String {
        let host = || mqtt::slug(&rustix::system::uname().nodename().to_string_lossy());
        self.name.clone().unwrap_or_else(host)
    }

    /// The thresholds that are set, by label.
    ///
    /// # Errors
    /// When one is not LABEL=X with X from 0 to 1.
    pub fn thresholds(&self) -> Result<BTreeMap<String, f32>> {
        let one = |text: &String| {
            let (label, number) = text.rsplit_once('=')?;
            let number = number.trim().parse().ok();
            let number = number.filter(|number| (0.0..=1.0).contains(number))?;
            Some((label.trim().to_owned(), number))
        };
        let named = |text| {
            one(text)
                .with_context(|| format!("threshold: {text} is not LABEL=X with X from 0 to 1"))
        };
        self.threshold.iter().map(named).collect()
    }

    /// The model file, if not the embedded model.
    pub fn model_path(&self) -> Option<&Path> {
        self.model.as_ref().map(|path| path.0.as_path())
    }
}

/// Settings of a configuration file.
///
/// # Errors
/// One line that names the key, and for an unknown one the nearest that there is.
pub fn parse(text: &str) -> Result<Settings> {
    let error = match toml::from_str(text) {
        Ok(settings) => return Ok(settings),
        Err(error) => error,
    };
    let line = error
        .span()
        .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
    let message = error.message().to_owned();
    if let Some((key, known)) = unknown_key(&message) {
        let nearest = known
            .iter()
            .max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)))
            .context("no keys")?;
        bail!("line {line}: there is no key {key}; did you mean {nearest}?");
    }
    bail!(
        "line {line}: {}",
        message.split_whitespace().collect::<Vec<_>>().join(" ")
    )
}

/// The key and the known ones of serde's message for an unknown field.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let (key, known) = message.strip_prefix("unknown field `")?.split_once('`')?;
    let known = known.split('`').skip(1).step_by(2).collect();
    Some((key, known))
}

/// The secret that is the first line of the file at `path`.
///
/// # Errors
/// When it can't be read or is empty. The secret is in no message.
pub fn secret(path: &Path) -> Result<String> {
    let named = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(named)?;
    let secret = text.lines().next().unwrap_or_default().trim();
    ensure!(!secret.is_empty(), "{}: no secret in it", named());
    Ok(secret.into())
}

fn positive(key: &str, number: Option<f64>) -> Result<Option<f64>> {
    if let Some(number) = number {
        ensure!(
            number.is_finite() && number > 0.0,
            "{key}: {number} is not above 0"
        );
    }
    Ok(number)
}

fn seconds(key: &str, number: Option<f64>) -> Result<Option<Duration>> {
    let duration = |number| {
        Duration::try_from_secs_f64(number)
            .ok()
            .with_context(|| format!("{key}: {number} is not a time in seconds"))
    };
    number.map(duration).transpose()
}

fn size(text: &str) -> Result<(u32, u32)> {
    let parts = text.split_once('x');
    let parsed =
        parts.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let (width, height): (u32, u32) =
        parsed.with_context(|| format!("size: {text} is not WIDTHxHEIGHT, such as 640x480"))?;
    let pixels = u64::from(width) * u64::from(height);
    ensure!(
        (1..=MOST_PIXELS as u64).contains(&pixels),
        "size: {text} is not of 1 to {MOST_PIXELS} pixels"
    );
    Ok((width, height))
}

fn rectangle(key: &str, text: &str) -> Result<Rectangle> {
    let numbers: Option<Vec<f32>> = text
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect();
    match numbers.as_deref() {
        Some(&[x, y, width, height])
            if (0.0..1.0).contains(&x)
                && (0.0..1.0).contains(&y)
                && width > 0.0
                && height > 0.0
                && x + width <= 1.0001
                && y + height <= 1.0001 =>
        {
            Ok(Rectangle {
                x,
                y,
                width,
                height,
            })
        }
        _ => bail!(
            "{key}: {text} is not X,Y,WIDTH,HEIGHT in shares of the picture, such as 0,0.5,1,0.5"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the commented configuration, whether commented out or not.
    fn keys_of_default() -> Vec<&'static str> {
        let lines = DEFAULT.lines().filter_map(|line| {
            let line = line.strip_prefix('#').unwrap_or(line);
            line.split_once(" = ").map(|(key, _)| key)
        });
        lines.filter(|key| !key.contains(' ')).collect()
    }

    #[test]
    fn the_commented_configuration_names_every_key_once() {
        let error = toml::from_str::<Settings>("nothing = 1").unwrap_err();
        let message = error.message().to_owned();
        let (_, mut known) = unknown_key(&message).unwrap();
        let mut named = keys_of_default();
        known.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn the_commented_configuration_is_valid_with_and_without_its_comment_signs() {
        let bare: String = DEFAULT
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        for text in [DEFAULT, &bare] {
            let settings = parse(text).unwrap();
            settings.stream().unwrap();
            settings.thresholds().unwrap();
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_name() {
        let error = parse("source = \"test\"\nmax_fsp = 3\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: there is no key max_fsp; did you mean max_fps?"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_names_its_line() {
        let error = parse("source = \"test\"\n\nrate = \"fast\"\n")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 3: "), "{error}");
        assert!(!error.contains('\n'));
    }

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

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let refused = |settings: Settings| {
            let settings = Settings {
                source: Some("photos".into()),
                ..settings
            };
            settings.stream().unwrap_err().to_string()
        };
        let rate = Settings {
            rate: Some(0.0),
            ..Settings::default()
        };
        assert_eq!(refused(rate), "rate: 0 is not above 0");
        let crop = Settings {
            crop: Some("0.5,0,0.6,1".into()),
            ..Settings::default()
        };
        assert!(refused(crop).starts_with("crop: 0.5,0,0.6,1 is not"));
        let appear = Settings {
            appear_after: Some(-1.0),
            ..Settings::default()
        };
        assert_eq!(refused(appear), "appear_after: -1 is not a time in seconds");
    }
}
