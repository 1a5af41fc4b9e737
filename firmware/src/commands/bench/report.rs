//! The report of `graphtag bench`. Its JSON keys are stable.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use graphtag_runtime::engine::{Fusion, StepTime};
use graphtag_runtime::network::Engine;
use serde::Serialize;

use super::machine::{self, Cpu};
use super::pipeline::{self, Stage};
use super::timing::{Percentiles, Summary, milliseconds};

/// What was measured.
pub struct Measured<'a> {
    pub name: &'a str,
    pub engine: Engine,
    pub threads: usize,
    pub load: Duration,
    pub preprocess: Summary,
    pub inference: Summary,
    pub macs: u64,
    /// Multiply-accumulates that one core could do in a second, if that is known.
    pub peak: Option<f64>,
    pub working_set: usize,
    pub fusion: &'a Fusion,
    pub profile: Vec<StepTime>,
    pub pipeline: Vec<Stage>,
}

/// What a model costs on this machine.
#[derive(Serialize)]
pub struct Report {
    model: String,
    engine: &'static str,
    threads: usize,
    load_ms: f64,
    preprocess: Summary,
    inference: Summary,
    macs: u64,
    /// By the median of the wall-clock time.
    gmacs_per_s: f64,
    /// Of int8 on one core, as its instructions give on registers alone.
    peak_gmacs_per_s: Option<f64>,
    /// Of what as many cores as threads could do.
    share_of_peak: Option<f64>,
    peak_rss_kb: Option<u64>,
    /// Bytes of the int8 engine's feature maps.
    working_set_bytes: usize,
    /// Nodes that run in the int8 engine.
    fused_ops: usize,
    /// Quantised convolutions that run on tract.
    unfused_ops: usize,
    cpu: Cpu,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profile: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<Pipeline>,
}

#[derive(Serialize)]
struct Pipeline {
    stages: Vec<Stage>,
    /// CPU time of all but decoding and inference, as a share of that of inference.
    overhead: f64,
}

#[derive(Serialize)]
struct Step {
    name: String,
    ms: f64,
    macs: u64,
    gmacs_per_s: f64,
    share_of_peak: Option<f64>,
}

impl Report {
    /// Adds what is known of the machine.
    pub fn new(measured: Measured) -> Self {
        let Measured { macs, .. } = measured;
        let peak = measured.peak.map(|peak| peak / 1e9);
        let share = |rate: f64| Some(rounded(rate / (peak? * measured.threads as f64), 1e4));
        let gmacs_per_s = rate(macs, measured.inference.wall_ms.p50);
        let step = |step: StepTime| {
            let ms = milliseconds(step.median);
            let gmacs_per_s = rate(step.macs, ms);
            Step {
                name: step.name,
                ms,
                macs: step.macs,
                gmacs_per_s,
                share_of_peak: share(gmacs_per_s),
            }
        };
        let name = Path::new(measured.name);
        Report {
            model: name
                .file_stem()
                .unwrap_or(name.as_os_str())
                .to_string_lossy()
                .into_owned(),
            engine: match measured.engine {
                Engine::Graphtag => "graphtag",
                Engine::Tract => "tract",
            },
            threads: measured.threads,
            load_ms: milliseconds(measured.load),
            preprocess: measured.preprocess,
            inference: measured.inference,
            macs,
            gmacs_per_s,
            peak_gmacs_per_s: peak.map(|peak| rounded(peak, 1e2)),
            share_of_peak: share(gmacs_per_s),
            peak_rss_kb: machine::peak_rss_kb(),
            working_set_bytes: measured.working_set,
            fused_ops: measured.fusion.fused.len(),
            unfused_ops: measured.fusion.unfused.len(),
            cpu: Cpu::here(),
            profile: measured.profile.into_iter().map(step).collect(),
            pipeline: (!measured.pipeline.is_empty()).then(|| Pipeline {
                overhead: pipeline::overhead(&measured.pipeline),
                stages: measured.pipeline,
            }),
        }
    }

    /// Writes the report for people.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn write_text(&self, to: &mut impl Write) -> io::Result<()> {
        let Cpu {
            model,
            instruction_set,
            ..
        } = &self.cpu;
        let threads = if self.threads == 1 {
            "thread"
        } else {
            "threads"
        };
        writeln!(
            to,
            "{}  engine {}, {} {threads}, {instruction_set} on {}",
            self.model,
            self.engine,
            self.threads,
            model.as_deref().unwrap_or("an unknown processor")
        )?;
        writeln!(to, "  load        {:9.3} ms", self.load_ms)?;
        writeln!(to, "                    p50       p90       p99   CPU p50")?;
        write_summary(to, "preprocess", self.preprocess)?;
        write_summary(to, "inference", self.inference)?;
        writeln!(
            to,
            "  {:.1} million MACs, {:.1} GMAC/s; {} nodes in the int8 engine, {} quantised left to tract",
            self.macs as f64 / 1e6,
            self.gmacs_per_s,
            self.fused_ops,
            self.unfused_ops
        )?;
        if let (Some(peak), Some(share)) = (self.peak_gmacs_per_s, self.share_of_peak) {
            writeln!(
                to,
                "  {:.1} % of the int8 peak, {peak:.1} GMAC/s a core",
                share * 100.0
            )?;
        }
        if let Some(kilobytes) = self.peak_rss_kb {
            let maps = self.working_set_bytes as f64 / 1e6;
            let peak = kilobytes as f64 / 1e3;
            writeln!(
                to,
                "  peak memory {peak:.1} MB, of which int8 feature maps {maps:.2} MB"
            )?;
        }
        if let Some(pipeline) = &self.pipeline {
            pipeline.write_text(to)?;
        }
        for step in &self.profile {
            let Step {
                name,
                ms,
                gmacs_per_s,
                share_of_peak,
                ..
            } = step;
            write!(to, "  {ms:9.3} ms  {gmacs_per_s:6.1} GMAC/s  ")?;
            if let Some(share) = share_of_peak {
                write!(to, "{:5.1} %  ", share * 100.0)?;
            }
            writeln!(to, "{name}")?;
        }
        Ok(())
    }
}

impl Pipeline {
    fn write_text(&self, to: &mut impl Write) -> io::Result<()> {
        writeln!(to, "  stages of a stream of 640x480 MJPEG")?;
        for stage in &self.stages {
            write_summary(to, stage.stage, stage.summary)?;
        }
        let percent = self.overhead * 100.0;
        writeln!(
            to,
            "  all but decode and inference: {percent:.1} % of the CPU time of inference"
        )
    }
}

fn write_summary(to: &mut impl Write, title: &str, summary: Summary) -> io::Result<()> {
    let Percentiles { p50, p90, p99 } = summary.wall_ms;
    let cpu = summary.cpu_ms.p50;
    writeln!(
        to,
        "  {title:11} {p50:9.3} {p90:9.3} {p99:9.3} {cpu:9.3} ms"
    )
}

/// 10^9 a second, rounded to hundredths.
fn rate(macs: u64, milliseconds: f64) -> f64 {
    rounded(macs as f64 / 1e6 / milliseconds.max(1e-6), 1e2)
}

/// Rounded to whole parts, of which `parts` make one.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
