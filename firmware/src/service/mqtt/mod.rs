//! Publishes to an MQTT broker, and tells Home Assistant of it.
//!
//! Under `PREFIX/NAME/`: `availability` (`online`, `offline`), `state` (what is present, as JSON) and
//! `tags/LABEL` (`ON`, `OFF`) are retained; `events` are not. A broker that was away is told everything anew.

mod address;
mod discovery;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use graphtag_runtime::stream::Observation;
use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, LastWill, Outgoing, Packet, QoS,
    TlsConfiguration, Transport,
};
use tokio::sync::{broadcast, watch};
use tokio::time::{sleep, timeout};

use super::ends_within;
use super::live::Live;
use super::report;
pub use address::BrokerAddress;
pub use discovery::slug;

/// The Will is published when nothing was heard for one and a half times this.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The longest wait before a broker that is away is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// The state is published this often even if nothing but scores has changed.
const STATE_PERIOD: Duration = Duration::from_secs(10);
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
            let (connected, connections) = watch::channel(0);
            let publishing = Publishing {
                base: format!("{}/{}", options.prefix, options.name),
                name: options.name,
                client,
                live,
            };
            runtime.block_on(async {
                tokio::select! {
                    () = keep_connected(events, &options.broker, &connected) => {}
                    () = publishing.run(connections, stopped) => {}
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
    let id = format!("{}-{}", options.prefix, options.name);
    let mut connection = rumqttc::MqttOptions::new(id, &broker.host, broker.port);
    connection.set_keep_alive(KEEP_ALIVE);
    connection.set_max_packet_size(LARGEST, LARGEST);
    let availability = format!("{}/{}/availability", options.prefix, options.name);
    connection.set_last_will(LastWill::new(
        availability,
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

/// Counts connections in `connected`, and every restart of Home Assistant as one. Returns once
/// it was told to disconnect.
async fn keep_connected(
    mut events: EventLoop,
    broker: &BrokerAddress,
    connected: &watch::Sender<u64>,
) {
    let mut wait = Duration::from_millis(250);
    let mut away = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if away {
                    eprintln!("graphtag: MQTT broker {broker} is back");
                }
                away = false;
                wait = Duration::from_millis(250);
                connected.send_modify(|count| *count += 1);
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(Event::Incoming(Packet::Publish(message))) if message.payload == "online" => {
                connected.send_modify(|count| *count += 1);
            }
            Ok(_) => {}
            Err(error) => {
                if !away {
                    eprintln!(
                        "graphtag: MQTT broker {broker}: {}; trying again",
                        cause(&error)
                    );
                }
                away = true;
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

fn cause(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Io(error) => error.to_string(),
        ConnectionError::ConnectionRefused(code) => format!("it refused the connection: {code:?}"),
        ConnectionError::NetworkTimeout => "no answer".into(),
        ConnectionError::MqttState(_) => "the connection was lost".into(),
        error => error.to_string(),
    }
}

struct Publishing {
    base: String,
    name: String,
    client: AsyncClient,
    live: Arc<Live>,
}

impl Publishing {
    async fn run(&self, mut connections: watch::Receiver<u64>, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            _ = self.publish(&mut connections) => {}
            _ = stopped.wait_for(|&stop| stop) => {}
        }
        if *connections.borrow() > 0 {
            // The Will says it as well, later.
            let _ = timeout(FAREWELL, self.leave()).await;
        }
    }

    /// Fails only when the connection's side is gone.
    async fn publish(&self, connections: &mut watch::Receiver<u64>) -> Result<(), ClientError> {
        let mut latest = self.live.latest();
        let mut events = self.live.events();
        let mut published: Option<Published> = None;
        loop {
            tokio::select! {
                Ok(()) = connections.changed() => {
                    self.client.subscribe(HOME_ASSISTANT_STATUS, QoS::AtMostOnce).await?;
                    published = None;
                }
                Ok(()) = latest.changed() => {}
                event = events.recv() => match event {
                    Ok(event) if *connections.borrow() > 0 => {
                        self.send("events", false, to_json(&event)).await?;
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                else => return Ok(()),
            }
            if *connections.borrow() == 0 {
                continue;
            }
            let observation = latest.borrow_and_update().clone();
            if let Some(observation) = observation {
                self.update(&mut published, &observation).await?;
            }
        }
    }

    /// Publishes what `published` does not tell yet.
    async fn update(
        &self,
        published: &mut Option<Published>,
        observation: &Observation,
    ) -> Result<(), ClientError> {
        let present: Vec<bool> = presence(observation);
        let before = published
            .as_ref()
            .filter(|p| Arc::ptr_eq(&p.labels, &observation.labels));
        if before.is_none() {
            let document = discovery::document(&self.name, &self.base, &observation.labels);
            let topic = format!("homeassistant/device/graphtag_{}/config", self.name);
            let retained = QoS::AtLeastOnce;
            self.client
                .publish(topic, retained, true, document.to_string())
                .await?;
        }
        for (index, &now) in present.iter().enumerate() {
            if before.is_none_or(|before| before.present[index] != now) {
                let topic = format!("tags/{}", discovery::slug(&observation.labels[index]));
                let payload = if now { "ON" } else { "OFF" };
                self.send(&topic, true, payload.into()).await?;
            }
        }
        if before.is_none() {
            self.send("availability", true, "online".into()).await?;
        }
        let changed = before.is_none_or(|before| before.present != present);
        if changed || before.is_some_and(|before| before.at.elapsed() > STATE_PERIOD) {
            let state = serde_json::json!({"tags": report::present(observation)});
            self.send("state", true, state.to_string()).await?;
            *published = Some(Published {
                labels: observation.labels.clone(),
                present,
                at: Instant::now(),
            });
        }
        Ok(())
    }

    async fn leave(&self) -> Result<(), ClientError> {
        self.send("availability", true, "offline".into()).await?;
        self.client.disconnect().await?;
        // The connection's side returns once the message is out, and this ends with it.
        std::future::pending().await
    }

    async fn send(&self, topic: &str, retain: bool, payload: String) -> Result<(), ClientError> {
        let topic = format!("{}/{topic}", self.base);
        self.client
            .publish(topic, QoS::AtLeastOnce, retain, payload)
            .await
    }
}

/// What the broker was last told.
struct Published {
    labels: Arc<[String]>,
    present: Vec<bool>,
    at: Instant,
}

fn presence(observation: &Observation) -> Vec<bool> {
    let mut present = vec![false; observation.labels.len()];
    for label in &observation.present {
        present[label.label] = true;
    }
    present
}

fn to_json(document: &impl serde::Serialize) -> String {
    serde_json::to_string(document).unwrap_or_default()
}
