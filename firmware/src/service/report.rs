//! What the service says of a stream, as documents: one form for JSON lines, MQTT and HTTP.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use graphtag_runtime::presence::{Change, Event};
use graphtag_runtime::stream::{Counts, Observation, Signal};
use serde::Serialize;

/// One observed frame.
#[derive(Clone, Debug, Serialize)]
pub struct FrameReport {
    /// Counts observations, from 1.
    pub frame: u64,
    /// When it was captured, in seconds since 1970.
    pub time: f64,
    /// The file, for sources of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The labels that are present, the likeliest first.
    pub tags: Vec<PresentReport>,
    /// Why the frame could not be decoded or inferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the model saw this frame; if not, the scene was still or the frame bad.
    pub inferred: bool,
    /// Time from capture to this report.
    pub age_ms: f64,
    /// Time to decode the frame.
    pub decode_ms: f64,
    /// Time to resize and normalise it.
    pub preprocess_ms: f64,
    /// Time to run the network.
    pub inference_ms: f64,
}

/// A label that is present.
#[derive(Clone, Debug, Serialize)]
pub struct PresentReport {
    /// The label.
    pub label: String,
    /// Its smoothed score.
    pub score: f64,
    /// For so many seconds.
    pub seconds: f64,
}

/// A label that appeared or vanished.
#[derive(Clone, Debug, Serialize)]
pub struct EventReport {
    /// `appeared` or `vanished`.
    pub event: &'static str,
    /// The label.
    pub label: String,
    /// Its smoothed score.
    pub score: f64,
    /// Seconds since 1970.
    pub time: f64,
    /// How long it was present, for a label that vanished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// How the service fares.
#[derive(Clone, Debug, Serialize)]
pub struct HealthReport {
    /// `opening`, `present`, `lost` or `ended`.
    pub signal: &'static str,
    /// Why the source is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_because: Option<String>,
    /// The last frame's problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Seconds since the start.
    pub uptime_s: f64,
    /// Seconds since the stream last made progress.
    pub progress_s: Option<f64>,
    /// How many frames went where.
    pub frames: FrameCounts,
}

/// How many frames went where, since the start.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FrameCounts {
    /// Delivered by the source.
    pub captured: u64,
    /// Replaced by a newer one before they could be inferred.
    pub dropped: u64,
    /// Could not be decoded or inferred.
    pub failed: u64,
    /// Seen by the model.
    pub inferred: u64,
    /// Of a still scene, not inferred.
    pub still: u64,
    /// Times that the source was lost.
    pub source_lost: u64,
}

impl FrameReport {
    /// The report of an observation that has a frame.
    pub fn of(observation: &Observation) -> Option<Self> {
        let frame = observation.frame.as_ref()?;
        Some(FrameReport {
            frame: observation.number,
            time: since_1970(observation.time),
            path: frame.name.clone(),
            width: observation.size.0,
            height: observation.size.1,
            tags: present(observation),
            error: observation.problem.clone(),
            inferred: observation.inferred,
            age_ms: milliseconds(frame.captured.elapsed()),
            decode_ms: milliseconds(observation.decode),
            preprocess_ms: milliseconds(observation.preprocess),
            inference_ms: milliseconds(observation.inference),
        })
    }
}

/// The labels that are present in `observation`, the likeliest first.
pub fn present(observation: &Observation) -> Vec<PresentReport> {
    let present = observation.present.iter();
    present
        .map(|present| PresentReport {
            label: observation.labels[present.label].clone(),
            score: rounded(present.score),
            seconds: seconds(present.since.elapsed()),
        })
        .collect()
}

/// The events of `observation`.
pub fn events(observation: &Observation) -> Vec<EventReport> {
    let report = |event: &Event| {
        let (name, lasted) = match event.change {
            Change::Appeared => ("appeared", None),
            Change::Vanished(lasted) => ("vanished", Some(seconds(lasted))),
        };
        EventReport {
            event: name,
            label: observation.labels[event.label].clone(),
            score: rounded(event.score),
            time: since_1970(observation.time),
            seconds: lasted,
        }
    };
    observation.events.iter().map(report).collect()
}

/// How the stream of `control` fares, which was started at `started`.
pub fn health(control: &graphtag_runtime::stream::Control, started: Instant) -> HealthReport {
    let (signal, lost_because) = match control.signal() {
        Signal::Opening => ("opening", None),
        Signal::Present => ("present", None),
        Signal::Lost(cause) => ("lost", Some(cause)),
        Signal::Ended => ("ended", None),
    };
    let Counts {
        captured,
        dropped,
        failed,
        inferred,
        still,
        lost,
    } = control.counts();
    HealthReport {
        signal,
        lost_because,
        problem: control.problem(),
        uptime_s: seconds(started.elapsed()),
        progress_s: control.progress().map(|at| seconds(at.elapsed())),
        frames: FrameCounts {
            captured,
            dropped,
            failed,
            inferred,
            still,
            source_lost: lost,
        },
    }
}

fn since_1970(time: SystemTime) -> f64 {
    seconds(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1000.0
}

fn rounded(score: f32) -> f64 {
    (f64::from(score) * 1e4).round() / 1e4
}
