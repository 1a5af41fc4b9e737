//! The documents that only HTTP has.

use graphtag_runtime::stream::{Observation, heat};
use serde::Serialize;

use crate::service::live::Live;
use crate::service::report::{EventReport, FrameReport, HealthReport};

/// All there is to know at once.
#[derive(Serialize)]
pub struct StateReport {
    name: String,
    version: &'static str,
    source: String,
    model: String,
    health: HealthReport,
    heat: HeatReport,
    frame: Option<FrameReport>,
    labels: Vec<LabelReport>,
    history: Vec<EventReport>,
}

/// A label of the model, present or not.
#[derive(Serialize)]
struct LabelReport {
    label: String,
    score: f32,
    threshold: f32,
    present: bool,
}

/// What the sensors say; `null` where there is none.
#[derive(Serialize)]
pub struct HeatReport {
    /// The hottest zone, in degrees Celsius.
    pub celsius: Option<f32>,
    /// Under-voltage or throttling at present.
    pub throttled: Option<bool>,
}

impl HeatReport {
    /// Reads the sensors.
    pub fn read() -> Self {
        let heat = heat::read();
        HeatReport {
            celsius: heat.celsius,
            throttled: heat.throttled,
        }
    }
}

/// One observation, for the page: scores and thresholds in the order of the labels.
#[derive(Serialize)]
pub struct FrameEvent {
    frame: Option<FrameReport>,
    scores: Vec<f32>,
    thresholds: Vec<f32>,
}

impl FrameEvent {
    /// The document of `observation`.
    pub fn of(observation: &Observation) -> Self {
        FrameEvent {
            frame: FrameReport::of(observation),
            scores: observation.scores.iter().copied().map(short).collect(),
            thresholds: observation.thresholds.iter().copied().map(short).collect(),
        }
    }
}

/// What the device `name` knows at this moment.
pub fn state(name: &str, live: &Live) -> StateReport {
    let latest = live.latest().borrow().clone();
    StateReport {
        name: name.into(),
        version: env!("CARGO_PKG_VERSION"),
        source: live.source.clone(),
        model: live.model(),
        health: live.health(),
        heat: HeatReport::read(),
        frame: latest.as_deref().and_then(FrameReport::of),
        labels: latest.as_deref().map(labels).unwrap_or_default(),
        history: live.history(),
    }
}

fn labels(observation: &Observation) -> Vec<LabelReport> {
    let scores = observation.scores.iter().zip(&*observation.thresholds);
    let labels = observation.labels.iter().zip(scores).enumerate();
    labels
        .map(|(index, (label, (&score, &threshold)))| LabelReport {
            label: label.clone(),
            score: short(score),
            threshold: short(threshold),
            present: observation
                .present
                .iter()
                .any(|present| present.label == index),
        })
        .collect()
}

/// Four digits say all that a score has to say.
fn short(score: f32) -> f32 {
    (score * 1e4).round() / 1e4
}
