//! What the running service knows, for sinks that look when they like.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use graphtag_runtime::stream::{Control, Observation, Signal};
use tokio::sync::{broadcast, watch};

use super::report::{self, EventReport, HealthReport};

/// Events that a slow listener may be behind before it misses some.
const EVENTS: usize = 256;
/// Events that are remembered.
const HISTORY: usize = 100;
/// The stream counts as stuck after this time without progress.
pub const STUCK: Duration = Duration::from_secs(10);

/// The latest observation, the events as they happen, and the handle of the stream.
pub struct Live {
    /// The handle of the stream.
    pub control: Arc<Control>,
    /// When the service started.
    pub started: Instant,
    /// How the source is called, without credentials.
    pub source: String,
    /// What sinks left out.
    pub dropped: Dropped,
    latest: watch::Sender<Option<Arc<Observation>>>,
    events: broadcast::Sender<EventReport>,
    history: Mutex<VecDeque<EventReport>>,
    model: Mutex<String>,
}

/// How much each sink had to leave out since the start, because something was too slow or away.
#[derive(Debug, Default)]
pub struct Dropped {
    /// Events that were not posted.
    pub webhook: AtomicU64,
    /// Pictures that were not written.
    pub snapshots: AtomicU64,
}

impl Live {
    /// A service that has not observed anything yet.
    pub fn new(control: Arc<Control>, source: String, model: String) -> Self {
        Live {
            control,
            started: Instant::now(),
            source,
            dropped: Dropped::default(),
            latest: watch::Sender::new(None),
            events: broadcast::Sender::new(EVENTS),
            history: Mutex::default(),
            model: Mutex::new(model),
        }
    }

    /// Makes `observation` the latest; never waits.
    pub fn publish(&self, observation: Arc<Observation>) {
        for event in report::events(&observation) {
            let mut history = self.remembered();
            if history.len() == HISTORY {
                history.pop_front();
            }
            history.push_back(event.clone());
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

    /// The latest events, the oldest first.
    pub fn history(&self) -> Vec<EventReport> {
        self.remembered().iter().cloned().collect()
    }

    /// How the model is called.
    pub fn model(&self) -> String {
        self.model
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says how the model is called from now on.
    pub fn set_model(&self, name: &str) {
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = name.into();
    }

    /// Why the service does not do what it is there for, if so.
    pub fn unhealthy(&self) -> Option<String> {
        if let Signal::Lost(cause) = self.control.signal() {
            return Some(format!("no frames: {cause}"));
        }
        if let Some((since, problem)) = self.control.failing()
            && since.elapsed() > STUCK
        {
            let time = since.elapsed().as_secs();
            return Some(format!("no good frame for {time} s: {problem}"));
        }
        let idle = self.control.progress().unwrap_or(self.started).elapsed();
        (idle > STUCK).then(|| format!("no progress for {} s", idle.as_secs()))
    }

    fn remembered(&self) -> MutexGuard<'_, VecDeque<EventReport>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
