//! What the running service knows, for sinks that look when they like.

use std::sync::Arc;
use std::time::Instant;

use graphtag_runtime::stream::{Control, Observation};
use tokio::sync::{broadcast, watch};

use super::report::{self, EventReport, HealthReport};

/// Events that a slow listener may be behind before it misses some.
const EVENTS: usize = 256;

/// The latest observation, the events as they happen, and the handle of the stream.
pub struct Live {
    /// The handle of the stream.
    pub control: Arc<Control>,
    /// When the service started.
    pub started: Instant,
    /// How the source is called, without credentials.
    pub source: String,
    /// How the model is called.
    pub model: String,
    latest: watch::Sender<Option<Arc<Observation>>>,
    events: broadcast::Sender<EventReport>,
}

impl Live {
    /// A service that has not observed anything yet.
    pub fn new(control: Arc<Control>, source: String, model: String) -> Self {
        Live {
            control,
            started: Instant::now(),
            source,
            model,
            latest: watch::Sender::new(None),
            events: broadcast::Sender::new(EVENTS),
        }
    }

    /// Makes `observation` the latest; never waits.
    pub fn publish(&self, observation: Arc<Observation>) {
        for event in report::events(&observation) {
            // Nobody may be listening.
            let _ = self.events.send(event);
        }
        self.latest.send_replace(Some(observation));
    }

    /// The latest observation, and a way to wait for the next.
    pub fn latest(&self) -> watch::Receiver<Option<Arc<Observation>>> {
        self.latest.subscribe()
    }

    /// The events from now on. A listener who falls behind is told how many it missed.
    pub fn events(&self) -> broadcast::Receiver<EventReport> {
        self.events.subscribe()
    }

    /// How the service fares.
    pub fn health(&self) -> HealthReport {
        report::health(&self.control, self.started)
    }
}
