//! Publishes to an MQTT broker, and tells Home Assistant of it.
//!
//! Under `PREFIX/NAME/`: `availability` (`online`, `offline`), `state` (what is present, as JSON) and `tags/ID`
//! (`ON`, `OFF`, for each label's id) are retained; `events` are not. A broker that was away is told everything anew,
//! and what it kept of labels that are no more is removed.

mod address;
mod connection;
mod discovery;
mod publishing;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rumqttc::{AsyncClient, LastWill, QoS, TlsConfiguration, Transport};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;

use super::ends_within;
use super::live::Live;
pub use address::BrokerAddress;
use connection::{Heard, keep_connected};
pub use discovery::slug;
use publishing::Publishing;

/// The Will is published when nothing was heard for one and a half times this.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long the last messages may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// Messages that may wait for the broker.
const QUEUE: usize = 256;
/// The largest message, in bytes: the discovery document of a thousand labels.
const LARGEST: usize = 1 << 20;
/// Where Home Assistant says that it has started.
const HOME_ASSISTANT_STATUS: &str = "homeassistant/status";

/// What to publish where.
#[derive(Clone, Debug)]
pub struct MqttOptions {
    /// The broker.
    pub broker: BrokerAddress,
    /// The password, where the broker asks for one.
    pub password: Option<String>,
    /// A certificate authority's PEM file; the system's authorities if `None`.
    pub authority: Option<Vec<u8>>,
    /// The first part of every topic.
    pub prefix: String,
    /// The name of this device, its topics' second part.
    pub name: String,
}

impl MqttOptions {
    /// Checks what the options tell before there is a connection.
    ///
    /// # Errors
    /// When there is a password for nobody, or the authority is none.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.password.is_none() || self.broker.user.is_some(),
            "mqtt_password_file: the address names nobody whose password it is; say mqtt://USER@HOST"
        );
        if let Some(pem) = &self.authority {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let certificates = certificates.map_err(|error| anyhow!("mqtt_authority: {error}"))?;
            let (usable, _) = RootCertStore::empty().add_parsable_certificates(certificates);
            ensure!(usable > 0, "mqtt_authority: no certificate in it");
        }
        Ok(())
    }

    fn client_id(&self) -> String {
        format!("{}-{}", self.prefix, self.name)
    }

    /// What every topic of this device begins with.
    fn base(&self) -> String {
        format!("{}/{}", self.prefix, self.name)
    }

    fn topic(&self, below: &str) -> String {
        format!("{}/{below}", self.base())
    }

    fn discovery_topic(&self) -> String {
        format!("homeassistant/device/graphtag_{}/config", self.name)
    }
}

/// The running connection.
pub struct Mqtt {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Mqtt {
    /// Connects in a thread of its own, now and whenever the broker comes back.
    ///
    /// # Errors
    /// When the thread can't be made.
    pub fn start(options: MqttOptions, live: Arc<Live>) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("MQTT")?;
        let running = thread::spawn(move || {
            let (client, events) = AsyncClient::new(connection_options(&options), QUEUE);
            let (hearing, heard) = watch::channel(Heard::default());
            let publishing = Publishing::new(&options, client, live);
            runtime.block_on(async {
                tokio::select! {
                    () = keep_connected(events, &options, &hearing) => {}
                    () = publishing.run(heard, stopped) => {}
                }
            });
        });
        Ok(Mqtt { stop, running })
    }

    /// Says `offline` and leaves, or gives up after a moment.
    pub fn finish(self) {
        self.stop.send_replace(true);
        ends_within(&self.running, 2 * FAREWELL);
    }
}

fn connection_options(options: &MqttOptions) -> rumqttc::MqttOptions {
    let broker = &options.broker;
    let mut connection = rumqttc::MqttOptions::new(options.client_id(), &broker.host, broker.port);
    connection.set_keep_alive(KEEP_ALIVE);
    connection.set_max_packet_size(LARGEST, LARGEST);
    connection.set_last_will(LastWill::new(
        options.topic("availability"),
        "offline",
        QoS::AtLeastOnce,
        true,
    ));
    if let Some(user) = &broker.user {
        connection.set_credentials(user, options.password.as_deref().unwrap_or_default());
    }
    if broker.tls {
        // It fails when there is one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = match &options.authority {
            Some(pem) => TlsConfiguration::Simple {
                ca: pem.clone(),
                alpn: None,
                client_auth: None,
            },
            None => TlsConfiguration::default(),
        };
        connection.set_transport(Transport::tls_with_config(tls));
    }
    connection
}
