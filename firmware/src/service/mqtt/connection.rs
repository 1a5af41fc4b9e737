//! Keeps the connection, and notes what the broker has to say.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rumqttc::{ConnectionError, Event, EventLoop, Outgoing, Packet, Publish};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{HOME_ASSISTANT_STATUS, MqttOptions, discovery};

/// The wait before a broker that is away is tried again, at first.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// A connection that lasts so long holds. It is more than [`LONGEST_WAIT`]: two clients of one name take each
/// other's place after every wait, and neither's connection holds.
const HOLDS: Duration = Duration::from_secs(6);
/// So many connections that were lost since one held are no accident.
const SUSPICIOUS: u32 = 4;

/// What was heard since the start.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// How often a connection was made.
    pub connections: u64,
    /// How often Home Assistant said that it has started.
    pub births: u64,
    /// How often somebody said that the service is offline.
    pub denials: u64,
    /// The sensors of the discovery document that the broker had when this connection was made.
    pub kept: BTreeSet<String>,
}

impl Heard {
    /// Notes `message`. What was retained is no news; the discovery document is there to be found.
    fn note(&mut self, message: &Publish, options: &MqttOptions) {
        let topic = &message.topic;
        if message.retain {
            if *topic == options.discovery_topic() {
                self.kept = discovery::listed(&message.payload);
            }
        } else if topic == HOME_ASSISTANT_STATUS && message.payload == "online" {
            self.births += 1;
        } else if *topic == options.topic("availability") && message.payload == "offline" {
            self.denials += 1;
        }
    }
}

/// Connects, again and again, and notes in `heard` what is heard. Returns once it was told to disconnect.
pub async fn keep_connected(
    mut events: EventLoop,
    options: &MqttOptions,
    heard: &watch::Sender<Heard>,
) {
    let mut connection = Connection::new(options);
    loop {
        let event = events.poll().await;
        connection.look();
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                connection.made = Some(Instant::now());
                heard.send_modify(|heard| {
                    heard.connections += 1;
                    heard.kept.clear();
                });
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                heard.send_modify(|heard| heard.note(&message, options));
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(error) => {
                connection.lose(&error);
                sleep(connection.wait).await;
                connection.wait = (connection.wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// How the connection fares, as far as it is worth a line.
struct Connection<'a> {
    options: &'a MqttOptions,
    /// When the present connection was made.
    made: Option<Instant>,
    /// Whether it was said that the broker is away.
    away: bool,
    /// How many connections were lost since one held.
    lost: u32,
    wait: Duration,
}

impl<'a> Connection<'a> {
    fn new(options: &'a MqttOptions) -> Self {
        Connection {
            options,
            made: None,
            away: false,
            lost: 0,
            wait: SHORTEST_WAIT,
        }
    }

    /// Notes when the connection holds. The pings make that there is something to look at in time.
    fn look(&mut self) {
        if self.made.is_none_or(|made| made.elapsed() < HOLDS) {
            return;
        }
        if self.away {
            eprintln!("graphtag: MQTT broker {} is back", self.options.broker);
        }
        self.away = false;
        self.lost = 0;
        self.wait = SHORTEST_WAIT;
    }

    fn lose(&mut self, error: &ConnectionError) {
        let broker = &self.options.broker;
        if !self.away {
            let cause = cause(error);
            eprintln!("graphtag: MQTT broker {broker}: {cause}; trying again");
            self.away = true;
        }
        if self.made.take().is_some() {
            self.lost += 1;
            if self.lost == SUSPICIOUS {
                eprintln!(
                    "graphtag: MQTT broker {broker}: every connection is lost again at once; another client may \
                     be called {}: give each graphtag its own --name",
                    self.options.client_id()
                );
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
