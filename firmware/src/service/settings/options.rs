//! What settings mean to each part of the service.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use graphtag_runtime::presence::PresenceOptions;
use graphtag_runtime::source::{SourceKind, SourceOptions};
use graphtag_runtime::stream::{MotionOptions, StreamOptions, View};

use super::Settings;
use super::values::{positive, rectangle, seconds, secret, size};
use crate::arguments::PathArgument;
use crate::service::display::DisplayAddress;
use crate::service::lines::Output;
use crate::service::mqtt::{self, BrokerAddress, MqttOptions};
use crate::service::snapshots::SnapshotOptions;
use crate::service::web::HttpOptions;
use crate::service::webhook::WebhookOptions;

/// A still scene is inferred again after this time all the same.
const STILL_REFRESH: Duration = Duration::from_secs(10);
/// The temperature, in degrees Celsius, above which the rate falls; a Raspberry Pi throttles itself at 80.
const HEAT_LIMIT: f32 = 75.0;
/// The limits that make sense: rooms are cooler, and processors switch themselves off.
const HEAT_LIMITS: RangeInclusive<f32> = 20.0..=110.0;
/// How long a source may be silent before it is opened anew.
const PATIENCE: Duration = Duration::from_secs(3);
/// Megabytes of snapshots: thousands of them, on the smallest cards that are sold.
const SNAPSHOT_QUOTA: f64 = 500.0;
/// Seconds between two snapshots for the same label.
const SNAPSHOT_PERIOD: f64 = 10.0;

impl Settings {
    /// The stream that these settings describe.
    ///
    /// # Errors
    /// When a value is missing or out of range.
    pub fn stream(&self) -> Result<StreamOptions> {
        let source = self.source.as_deref().context(
            "no source: say --source test, a folder of photos, or a camera (see graphtag run --help)",
        )?;
        let kind = source.parse().context("source")?;
        let defaults = match kind {
            SourceKind::Folder(_) => PresenceOptions::EACH_FRAME,
            _ => PresenceOptions::default(),
        };
        let keep = self.keep.unwrap_or(defaults.keep);
        ensure!(
            (0.0..=1.0).contains(&keep),
            "keep: {keep} is not from 0 to 1"
        );
        if let Some(motion) = self.motion {
            ensure!(
                (0.0..=255.0).contains(&motion),
                "motion: {motion} is not from 0 to 255"
            );
        }
        let motion = self.motion.map(|sensitivity| MotionOptions {
            sensitivity,
            refresh: STILL_REFRESH,
        });
        let crop = self.crop.as_deref().map(|text| rectangle("crop", text));
        let masks = self.mask.iter().map(|text| rectangle("mask", text));
        let limit = self.heat_limit.unwrap_or(HEAT_LIMIT);
        ensure!(
            HEAT_LIMITS.contains(&limit),
            "heat_limit: {limit} is not from {} to {} degrees Celsius",
            HEAT_LIMITS.start(),
            HEAT_LIMITS.end()
        );
        let raw = self.raw.as_deref().map(str::parse).transpose();
        let raw = raw.map_err(anyhow::Error::msg).context("raw")?;
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
            patience: seconds("patience", positive("patience", self.patience)?)?
                .unwrap_or(PATIENCE),
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

    /// Which lines go to standard output.
    ///
    /// # Errors
    /// When there is no output of that name.
    pub fn output(&self) -> Result<Output> {
        let output = self.output.as_deref().map(str::parse).transpose();
        Ok(output.map_err(anyhow::Error::msg)?.unwrap_or_default())
    }

    /// Whether a service could start with these settings, as far as they tell.
    ///
    /// # Errors
    /// The first of those of the settings' parts.
    pub fn check(&self) -> Result<()> {
        self.stream()?;
        self.thresholds()?;
        self.output()?;
        self.http()?;
        self.mqtt()?;
        self.webhook()?;
        self.snapshots()?;
        self.display()?;
        Ok(())
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
        let password = self.mqtt_password_file.as_ref();
        let password = password.map(|path| secret(&path.0).context("mqtt_password_file"));
        let authority = self.mqtt_authority.as_ref().map(|PathArgument(path)| {
            fs::read(path).with_context(|| format!("mqtt_authority: {}", path.display()))
        });
        let prefix = self
            .mqtt_prefix
            .clone()
            .unwrap_or_else(|| "graphtag".into());
        check_slug("mqtt_prefix", &prefix)?;
        let options = MqttOptions {
            broker,
            password: password.transpose()?,
            authority: authority.transpose()?,
            prefix,
            name: self.device_name()?,
        };
        options.check()?;
        Ok(Some(options))
    }

    /// Where to serve the page and the API, if anywhere.
    ///
    /// # Errors
    /// When the token can't be read, or the address is open to others without one.
    pub fn http(&self) -> Result<Option<HttpOptions>> {
        let Some(address) = &self.http else {
            return Ok(None);
        };
        let number = address.replace("localhost:", "127.0.0.1:");
        let address: SocketAddr = number.parse().ok().with_context(|| {
            format!("http: {address} is not an address of this machine and a port, such as 127.0.0.1:8080")
        })?;
        let token = self.token_file.as_ref().map(|path| secret(&path.0));
        let token = token.transpose().context("token_file")?;
        ensure!(
            address.ip().is_loopback() || token.is_some() || self.no_auth,
            "http: others can reach {address}; give a --token-file, or say --no-auth"
        );
        Ok(Some(HttpOptions {
            address,
            token,
            name: self.device_name()?,
        }))
    }

    /// Where to post events, if anywhere.
    ///
    /// # Errors
    /// When the address or a file is not usable.
    pub fn webhook(&self) -> Result<Option<WebhookOptions>> {
        let Some(address) = &self.webhook else {
            return Ok(None);
        };
        let read = |key: &'static str, file: &Option<PathArgument>| {
            let secret = file.as_ref().map(|path| secret(&path.0).context(key));
            secret.transpose()
        };
        let authority = self.webhook_authority.as_ref().map(|PathArgument(path)| {
            fs::read(path).with_context(|| format!("webhook_authority: {}", path.display()))
        });
        Ok(Some(WebhookOptions {
            address: address.parse().map_err(anyhow::Error::msg)?,
            secret: read("webhook_secret_file", &self.webhook_secret_file)?,
            token: read("webhook_token_file", &self.webhook_token_file)?,
            authority: authority.transpose()?,
        }))
    }

    /// Which pictures to keep, if any.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn snapshots(&self) -> Result<Option<SnapshotOptions>> {
        let Some(PathArgument(folder)) = &self.snapshots else {
            return Ok(None);
        };
        let megabytes = positive("snapshot_quota", self.snapshot_quota)?;
        let period = Some(self.snapshot_period.unwrap_or(SNAPSHOT_PERIOD));
        Ok(Some(SnapshotOptions {
            folder: folder.clone(),
            labels: self.snapshot_on.clone(),
            quota: (megabytes.unwrap_or(SNAPSHOT_QUOTA) * 1e6) as u64,
            period: seconds("snapshot_period", period)?.unwrap_or_default(),
            name: self.device_name()?,
        }))
    }

    /// What to show it on, if anything.
    ///
    /// # Errors
    /// When it is no address of a display.
    pub fn display(&self) -> Result<Option<DisplayAddress>> {
        let address = self.display.as_ref().map(|address| address.parse());
        address.transpose().map_err(anyhow::Error::msg)
    }

    /// The name of this device: the host's, unless told otherwise.
    fn device_name(&self) -> Result<String> {
        let host = || mqtt::slug(&rustix::system::uname().nodename().to_string_lossy());
        let name = self.name.clone().unwrap_or_else(host);
        check_slug("name", &name)?;
        Ok(name)
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
        let mut thresholds = BTreeMap::new();
        for (label, threshold) in self
            .threshold
            .iter()
            .map(named)
            .collect::<Result<Vec<_>>>()?
        {
            let before = thresholds.insert(label.clone(), threshold);
            ensure!(before.is_none(), "threshold: {label} has two of them");
        }
        Ok(thresholds)
    }

    /// The model file, if not the embedded model.
    pub fn model_path(&self) -> Option<&Path> {
        self.model.as_ref().map(|path| path.0.as_path())
    }
}

/// Names stand in topics and in names of files.
fn check_slug(key: &str, name: &str) -> Result<()> {
    ensure!(
        !name.is_empty() && mqtt::slug(name) == name,
        "{key}: {name:?} is not of small letters, digits, _ and - alone"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
