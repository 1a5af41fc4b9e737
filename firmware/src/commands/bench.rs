//! `graphtag bench`: what a model costs on this machine.

pub mod machine;
mod pipeline;
mod report;
mod timing;

use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use argh::FromArgs;
use graphtag_runtime::network::{self, Engine};
use graphtag_runtime::preprocess::Preprocessor;
use graphtag_runtime::{Network, model};
use image::RgbImage;

use super::Outcome;
use super::inspect::{Format, find_or_default};
use crate::arguments::PathArgument;
use report::Report;
use timing::Samples;

/// Runs before the first that counts.
const WARM_UP: usize = 3;
/// Size of the frame that is preprocessed, that of a common camera mode.
const FRAME: (u32, u32) = (640, 480);

/// Measure what a model costs on this machine.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub struct Bench {
    /// a model file or the name of an embedded model; the default model if not given
    #[argh(option)]
    model: Option<PathArgument>,
    /// threads of the engine (default 1)
    #[argh(option, default = "NonZeroUsize::MIN")]
    threads: NonZeroUsize,
    /// how often to run (default 50)
    #[argh(option, default = "50")]
    runs: usize,
    /// graphtag (default) or tract, to run quantised parts without the int8 engine
    #[argh(option, default = "EngineName(Engine::Graphtag)")]
    engine: EngineName,
    /// also the time of each step of the int8 engine
    #[argh(switch)]
    profile: bool,
    /// also the time of each stage of a stream of 640x480 MJPEG
    #[argh(switch)]
    pipeline: bool,
    /// text (default) or json
    #[argh(option, default = "Format::Text")]
    format: Format,
}

struct EngineName(Engine);

impl FromStr for EngineName {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "graphtag" => Ok(EngineName(Engine::Graphtag)),
            "tract" => Ok(EngineName(Engine::Tract)),
            _ => Err("neither graphtag nor tract"),
        }
    }
}

/// Measures and prints.
///
/// # Errors
/// A model that can't be loaded or run, or output that can't be written.
pub fn run(options: &Bench) -> Result<Outcome> {
    ensure!(options.runs > 0, "--runs 0: at least one run is needed");
    let (name, file) = find_or_default(options.model.as_ref())?;
    let report = measure(options, &name, &file).with_context(|| name.clone())?;
    let mut to = BufWriter::new(io::stdout().lock());
    match options.format {
        Format::Text => report.write_text(&mut to)?,
        Format::Json => {
            serde_json::to_writer(&mut to, &report).map_err(io::Error::from)?;
            writeln!(to)?;
        }
    }
    to.flush()?;
    Ok(Outcome::AllWell)
}

fn measure(options: &Bench, name: &str, file: &[u8]) -> Result<Report> {
    let start = Instant::now();
    let network = Network::from_bytes_for(file, options.engine.0)?.with_threads(options.threads)?;
    let load = start.elapsed();
    let preprocessing = model::preprocessing(&network)?;
    let frame = frame();
    let (mut preprocess, mut inference) = (Samples::default(), Samples::default());
    let mut preprocessor = Preprocessor::new(&network, &preprocessing);
    for run in 0..WARM_UP + options.runs {
        let (input, took) = timing::time(|| preprocessor.input(&frame));
        let (outputs, inferred) = timing::time(|| network.run_on(input));
        outputs?;
        if run >= WARM_UP {
            preprocess.push(took);
            inference.push(inferred);
        }
    }
    let profile = if options.profile {
        network.profile(preprocessor.input(&frame), options.runs)?
    } else {
        vec![]
    };
    let pipeline = if options.pipeline {
        pipeline::measure(&network, &preprocessing, options.runs)?
    } else {
        vec![]
    };
    let macs = network::costs(file)?.iter().map(|node| node.macs).sum();
    Ok(Report::new(report::Measured {
        name,
        engine: options.engine.0,
        threads: options.threads.get(),
        load,
        preprocess: preprocess.summary(),
        inference: inference.summary(),
        macs,
        peak: timing::peak(),
        working_set: network.working_set(),
        fusion: network.fusion(),
        profile,
        pipeline,
    }))
}

/// A frame with an edge every few pixels.
fn frame() -> RgbImage {
    RgbImage::from_fn(FRAME.0, FRAME.1, |x, y| {
        image::Rgb([(x * 7 + y) as u8, (y * 5) as u8, (x ^ y) as u8])
    })
}
