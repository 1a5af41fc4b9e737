//! All that settings may ask for beside standard output.

use std::sync::Arc;

use anyhow::Result;
use graphtag_runtime::stream::Observation;

use super::display::Display;
use super::live::Live;
use super::mqtt::Mqtt;
use super::settings::Settings;
use super::snapshots::Snapshots;
use super::web::Web;
use super::webhook::Webhook;

/// The running sinks. Where frames come by themselves, none of them makes the stream wait.
pub struct Sinks {
    web: Option<Web>,
    mqtt: Option<Mqtt>,
    webhook: Option<Webhook>,
    snapshots: Option<Snapshots>,
    display: Option<Display>,
}

impl Sinks {
    /// Starts what `settings` ask for. Where `lossless`, every event is posted, however long that takes.
    ///
    /// # Errors
    /// When a setting is wrong or an address can't be had.
    pub fn start(settings: &Settings, lossless: bool, live: &Arc<Live>) -> Result<Self> {
        let snapshots = settings.snapshots()?;
        let webhook = settings.webhook()?;
        let mqtt = settings.mqtt()?;
        let web = settings.http()?;
        let display = settings.display()?;
        let web = web.map(|options| Web::start(&options, live.clone()));
        let mqtt = mqtt.map(|options| Mqtt::start(options, live.clone()));
        let webhook = webhook.map(|options| Webhook::start(options, lossless, live.clone()));
        let display = display.map(|address| Display::start(address, live.clone()));
        Ok(Sinks {
            web: web.transpose()?,
            mqtt: mqtt.transpose()?,
            webhook: webhook.transpose()?,
            display: display.transpose()?,
            snapshots: snapshots.map(|options| Snapshots::start(options, live.clone())),
        })
    }

    /// Hands `observation` to those sinks that do not look for themselves.
    pub fn publish(&mut self, observation: &Observation) {
        if let Some(webhook) = &self.webhook {
            webhook.publish(observation);
        }
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.publish(observation);
        }
    }

    /// Lets each come to its end, within a moment.
    pub fn finish(self) {
        if let Some(mqtt) = self.mqtt {
            mqtt.finish();
        }
        if let Some(webhook) = self.webhook {
            webhook.finish();
        }
        if let Some(snapshots) = self.snapshots {
            snapshots.finish();
        }
        if let Some(display) = self.display {
            display.finish();
        }
        if let Some(web) = self.web {
            web.finish();
        }
    }
}
