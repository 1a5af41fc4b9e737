//! What goes on until the client leaves: server-sent events and the moving picture.
//!
//! A slow client misses observations; it never holds anything up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use graphtag_runtime::stream::{Observation, Signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{Instant, sleep_until};

use super::routes::Service;
use super::state::FrameEvent;
use crate::service::report::EventReport;

/// The least time between two observations, or two pictures, for one client.
const PERIOD: Duration = Duration::from_millis(66);

/// The time between two reports of health, unless the signal comes or goes.
const HEALTH_PERIOD: Duration = Duration::from_secs(1);

/// Server-sent events: `health` once a second and when the signal comes or goes, `labels` at first and when the model
/// changes, `frame` for an observation, `change` for a label that appeared or vanished, `missed` with the number of
/// changes that a slow client missed.
pub fn events(service: Arc<Service>, place: OwnedSemaphorePermit) -> Response {
    let mut observations = service.live.latest();
    observations.mark_changed();
    let events = Events {
        observations,
        changes: service.live.events(),
        stopped: service.stopped.clone(),
        labels: None,
        signal: None,
        health_due: Instant::now(),
        due: Instant::now(),
        service,
        _place: place,
    };
    let events = stream::unfold(events, |mut events| async {
        let event = events.next().await?;
        Some((Ok::<_, Infallible>(event), events))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

struct Events {
    observations: watch::Receiver<Option<Arc<Observation>>>,
    changes: broadcast::Receiver<EventReport>,
    stopped: watch::Receiver<bool>,
    labels: Option<Arc<[String]>>,
    signal: Option<Signal>,
    health_due: Instant,
    due: Instant,
    service: Arc<Service>,
    _place: OwnedSemaphorePermit,
}

impl Events {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let observing = async {
                sleep_until(self.due).await;
                self.observations.changed().await
            };
            let observed = tokio::select! {
                biased;
                _ = self.stopped.wait_for(|&stop| stop) => return None,
                change = self.changes.recv() => return match change {
                    Ok(change) => event("change", &change),
                    Err(RecvError::Lagged(missed)) => event("missed", &missed),
                    Err(RecvError::Closed) => None,
                },
                () = sleep_until(self.health_due) => false,
                observed = observing => { observed.ok()?; true }
            };
            let signal = self.service.live.control.signal();
            if !observed || self.signal.as_ref() != Some(&signal) {
                if observed {
                    self.observations.mark_changed();
                }
                self.signal = Some(signal);
                self.health_due = Instant::now() + HEALTH_PERIOD;
                return event("health", &self.service.live.health());
            }
            let latest = self.observations.borrow_and_update().clone();
            let Some(observation) = latest else { continue };
            let known = self.labels.as_ref();
            if known.is_none_or(|labels| !Arc::ptr_eq(labels, &observation.labels)) {
                self.labels = Some(observation.labels.clone());
                self.observations.mark_changed();
                return event("labels", &*observation.labels);
            }
            self.due = Instant::now() + PERIOD;
            return event("frame", &FrameEvent::of(&observation));
        }
    }
}

fn event(name: &str, document: &(impl serde::Serialize + ?Sized)) -> Option<Event> {
    Event::default().event(name).json_data(document).ok()
}

/// The moving picture, as browsers and video programs read it from network cameras.
pub fn pictures(service: Arc<Service>, place: OwnedSemaphorePermit) -> Response {
    let mut observations = service.live.latest();
    observations.mark_changed();
    let pictures = Pictures {
        observations,
        stopped: service.stopped.clone(),
        due: Instant::now(),
        begun: false,
        service,
        _place: place,
    };
    let parts = stream::unfold(pictures, |mut pictures| async {
        let part = pictures.next().await?;
        Some((Ok::<_, Infallible>(part), pictures))
    });
    let kind = [(CONTENT_TYPE, "multipart/x-mixed-replace; boundary=frame")];
    (kind, Body::from_stream(parts)).into_response()
}

struct Pictures {
    observations: watch::Receiver<Option<Arc<Observation>>>,
    stopped: watch::Receiver<bool>,
    due: Instant,
    begun: bool,
    service: Arc<Service>,
    _place: OwnedSemaphorePermit,
}

impl Pictures {
    /// A part and the boundary after it, by which a reader knows at once that it is whole.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let observed = async {
                sleep_until(self.due).await;
                self.observations.changed().await
            };
            tokio::select! {
                biased;
                _ = self.stopped.wait_for(|&stop| stop) => return None,
                observed = observed => observed.ok()?,
            }
            let latest = self.observations.borrow_and_update().clone();
            let Some(observation) = latest else { continue };
            let Some(jpeg) = self.service.preview.of(&observation).await else {
                continue;
            };
            let mut part = Vec::with_capacity(jpeg.len() + 128);
            if !self.begun {
                part.extend_from_slice(b"--frame\r\n");
            }
            let length = jpeg.len();
            part.extend_from_slice(
                format!("Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
            );
            part.extend_from_slice(&jpeg);
            part.extend_from_slice(b"\r\n--frame\r\n");
            self.begun = true;
            self.due = Instant::now() + PERIOD;
            return Some(part.into());
        }
    }
}
