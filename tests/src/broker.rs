//! A real MQTT broker, Debian's mosquitto, and who listens to it.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::service::{Service, Signal, wait_for};

/// A broker of one test, which keeps nothing on disk.
pub struct Broker {
    /// Its port of 127.0.0.1.
    pub port: u16,
    config: PathBuf,
    process: Option<Service>,
    _folder: TempDir,
}

impl Broker {
    /// Starts a broker that lets everybody in.
    pub fn start() -> Self {
        Broker::with("allow_anonymous true")
    }

    /// Starts a broker with further lines of configuration.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn with(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("mosquitto.conf");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        // Started by root it would become another user, who may not read the folder.
        let user = rustix::process::geteuid().is_root().then_some("user root");
        let user = user.unwrap_or_default();
        let text = format!("listener {port} 127.0.0.1\npersistence false\n{user}\n{lines}\n");
        std::fs::write(&config, text).unwrap();
        let mut broker = Broker {
            port,
            config,
            process: None,
            _folder: folder,
        };
        broker.come_back();
        broker
    }

    /// Starts it again, without any memory.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn come_back(&mut self) {
        let mut command = Command::new(mosquitto());
        command.arg("-c").arg(&self.config);
        self.process = Some(Service::spawn(&mut command));
        wait_for("the broker", || {
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// Ends it at once.
    pub fn die(&mut self) {
        self.process = None;
    }

    /// Stops its process, which keeps its connections and answers nothing.
    ///
    /// # Panics
    /// When it is not there.
    pub fn hang(&self) {
        self.process.as_ref().unwrap().signal(Signal::STOP);
    }

    /// Its address for `graphtag run --mqtt`.
    pub fn address(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Publishes a message that is not retained.
    pub fn publish(&self, topic: &str, message: &str) {
        self.publish_with(&["-t", topic, "-m", message]);
    }

    /// Publishes a message that is retained.
    pub fn retain(&self, topic: &str, message: &str) {
        self.publish_with(&["-r", "-t", topic, "-m", message]);
    }

    fn publish_with(&self, arguments: &[&str]) {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        let status = command.args(arguments).status();
        assert!(status.unwrap().success());
    }

    /// Listens to everything, what is retained first.
    pub fn listen(&self) -> Listener {
        self.listen_with(&[])
    }

    /// As [`Broker::listen`], with further arguments of `mosquitto_sub`.
    pub fn listen_with(&self, arguments: &[&str]) -> Listener {
        let mut command = Command::new("mosquitto_sub");
        command
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-t", "#", "-q", "1", "-F", "%j"])
            .args(arguments);
        Listener(Service::spawn(&mut command))
    }
}

fn mosquitto() -> &'static Path {
    let installed = Path::new("/usr/sbin/mosquitto");
    if installed.exists() {
        installed
    } else {
        Path::new("mosquitto")
    }
}

/// A message as it arrived.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: String,
    /// Whether it was retained before the listener came.
    pub retained: bool,
}

impl Message {
    /// The payload as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|e| panic!("{e}: {}", self.payload))
    }
}

/// A `mosquitto_sub`.
pub struct Listener(Service);

impl Listener {
    /// All messages so far.
    ///
    /// # Panics
    /// When one is ill-formed.
    pub fn messages(&self) -> Vec<Message> {
        let message = |line: Value| Message {
            topic: line["topic"].as_str().unwrap().into(),
            payload: line["payload"].as_str().unwrap_or_default().into(),
            retained: line["retain"] == 1,
        };
        self.0.lines().into_iter().map(message).collect()
    }

    /// The last message of a topic, if any.
    pub fn last(&self, topic: &str) -> Option<Message> {
        self.messages().into_iter().rfind(|m| m.topic == topic)
    }

    /// Waits until the last message of `topic` is `payload`.
    pub fn hears(&self, topic: &str, payload: &str) {
        wait_for(&format!("{topic} {payload}"), || {
            (self.last(topic)?.payload == payload).then_some(())
        });
    }
}
