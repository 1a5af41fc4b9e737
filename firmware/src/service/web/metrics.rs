//! `/metrics` in Prometheus' text format.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use graphtag_runtime::stream::{Observation, Signal};
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use super::state::HeatReport;
use crate::service::live::Live;

/// The metrics of this moment.
///
/// # Errors
/// When a metric is ill-formed.
pub fn text(live: &Live) -> prometheus::Result<String> {
    let registry = Registry::new();
    count_frames(&registry, live)?;
    count_dropped(&registry, live)?;
    let health = live.health();
    gauge(
        &registry,
        "graphtag_uptime_seconds",
        "Time since the start.",
        health.uptime_s,
    )?;
    let present = live.control.signal() == Signal::Present;
    gauge(
        &registry,
        "graphtag_source_up",
        "Whether the source delivers frames.",
        f64::from(u8::from(present)),
    )?;
    if let Some(progress) = health.progress_s {
        let help = "Time since the stream last made progress.";
        gauge(&registry, "graphtag_progress_age_seconds", help, progress)?;
    }
    let heat = HeatReport::read();
    if let Some(celsius) = heat.celsius {
        let help = "The hottest thermal zone.";
        gauge(
            &registry,
            "graphtag_temperature_celsius",
            help,
            celsius.into(),
        )?;
    }
    if let Some(throttled) = heat.throttled {
        let help = "Whether the processor is throttled or under-powered.";
        gauge(
            &registry,
            "graphtag_throttled",
            help,
            f64::from(u8::from(throttled)),
        )?;
    }
    let latest = live.latest().borrow().clone();
    if let Some(observation) = latest {
        describe(&registry, &observation)?;
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}

fn count_frames(registry: &Registry, live: &Live) -> prometheus::Result<()> {
    let counts = live.control.counts();
    let help = "Frames that the source delivered.";
    let captured = IntCounter::new("graphtag_frames_captured_total", help)?;
    captured.inc_by(counts.captured);
    registry.register(Box::new(captured))?;
    let options = Opts::new("graphtag_frames_total", "Frames, by what became of them.");
    let frames = IntCounterVec::new(options, &["outcome"])?;
    let outcomes = [
        ("dropped", counts.dropped),
        ("failed", counts.failed),
        ("inferred", counts.inferred),
        ("still", counts.still),
    ];
    for (outcome, count) in outcomes {
        frames.with_label_values(&[outcome]).inc_by(count);
    }
    registry.register(Box::new(frames))?;
    let lost = IntCounter::new(
        "graphtag_source_lost_total",
        "Times that the source was lost.",
    )?;
    lost.inc_by(counts.lost);
    registry.register(Box::new(lost))
}

fn count_dropped(registry: &Registry, live: &Live) -> prometheus::Result<()> {
    let options = Opts::new(
        "graphtag_sink_dropped_total",
        "Events or pictures that a sink left out.",
    );
    let dropped = IntCounterVec::new(options, &["sink"])?;
    for (sink, count) in [
        ("webhook", &live.dropped.webhook),
        ("snapshots", &live.dropped.snapshots),
    ] {
        let count = count.load(Ordering::Relaxed);
        dropped.with_label_values(&[sink]).inc_by(count);
    }
    registry.register(Box::new(dropped))
}

fn describe(registry: &Registry, observation: &Arc<Observation>) -> prometheus::Result<()> {
    let options = Opts::new(
        "graphtag_stage_seconds",
        "Time that the latest frame took, by stage.",
    );
    let stages = GaugeVec::new(options, &["stage"])?;
    for (stage, time) in [
        ("decode", observation.decode),
        ("preprocess", observation.preprocess),
        ("inference", observation.inference),
    ] {
        stages.with_label_values(&[stage]).set(time.as_secs_f64());
    }
    registry.register(Box::new(stages))?;
    let scores = GaugeVec::new(
        Opts::new("graphtag_tag_score", "Smoothed score of a label."),
        &["label"],
    )?;
    let present = GaugeVec::new(
        Opts::new("graphtag_tag_present", "Whether a label is present."),
        &["label"],
    )?;
    for (label, &score) in observation.labels.iter().zip(&observation.scores) {
        scores.with_label_values(&[label]).set(score.into());
        present.with_label_values(&[label]).set(0.0);
    }
    for tag in &observation.present {
        let label = &observation.labels[tag.label];
        present.with_label_values(&[label]).set(1.0);
    }
    registry.register(Box::new(scores))?;
    registry.register(Box::new(present))
}

fn gauge(registry: &Registry, name: &str, help: &str, value: f64) -> prometheus::Result<()> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    registry.register(Box::new(gauge))
}
