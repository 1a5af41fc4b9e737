//! What each stage of a stream costs, from the bytes of a camera to what the sinks are given.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use graphtag_models::{Metadata, Preprocessing};
use graphtag_runtime::Network;
use graphtag_runtime::frame::{Frame, Picture};
use graphtag_runtime::preprocess::preprocess;
use graphtag_runtime::presence::{Presence, PresenceOptions};
use graphtag_runtime::source::mjpeg::MjpegSplitter;
use graphtag_runtime::source::{self, Next, SourceKind, SourceOptions};
use graphtag_runtime::stream::{Control, Observation, Present, View};
use image::codecs::jpeg::JpegEncoder;
use serde::Serialize;

use super::timing::{self, Samples, Summary};
use crate::service::lines::{self, Output};
use crate::service::live::Live;

/// Size of the frames, that of a common camera mode.
const SIZE: (u32, u32) = (640, 480);
/// JPEG quality, of 100, near that of webcams.
const QUALITY: u8 = 85;
/// Different frames, which are then repeated.
const FRAMES: usize = 16;
/// Frames before the first that counts.
const WARM_UP: usize = 3;
/// The threshold of every label of a model without any.
const THRESHOLD: f32 = 0.5;
/// Time between frames, for the presence of labels.
const PERIOD: Duration = Duration::from_millis(33);

/// Names of the stages, in the order in which a frame passes them.
const STAGES: [&str; 7] = [
    "split",
    "decode",
    "view",
    "preprocess",
    "inference",
    "presence",
    "publish",
];

/// What a stage of the stream took.
#[derive(Serialize)]
pub struct Stage {
    /// Its name.
    pub stage: &'static str,
    /// What it took for each frame.
    #[serde(flatten)]
    pub summary: Summary,
}

/// CPU time of all but decoding and inference, as a share of that of inference, by the medians.
pub fn overhead(stages: &[Stage]) -> f64 {
    let median = |stage: &Stage| stage.summary.cpu_ms.p50;
    let inference = stages.iter().filter(|stage| stage.stage == "inference");
    let apart = ["decode", "inference"];
    let others = stages.iter().filter(|stage| !apart.contains(&stage.stage));
    others.map(median).sum::<f64>() / inference.map(median).sum::<f64>().max(1e-6)
}

/// Runs `runs` frames of 640 x 480 MJPEG through every stage, one after the other.
///
/// # Errors
/// When the network fails.
pub fn measure(
    network: &Network,
    preprocessing: &Preprocessing,
    runs: usize,
) -> Result<Vec<Stage>> {
    let metadata = Metadata::from_properties(network.properties())?;
    let labels = || {
        (0..network.outputs())
            .map(|label| label.to_string())
            .collect()
    };
    let labels: Arc<[String]> = match &metadata {
        Some(metadata) => metadata.labels.as_slice().into(),
        None => labels(),
    };
    let thresholds: Arc<[f32]> = match metadata {
        Some(metadata) => metadata.thresholds.into(),
        None => vec![THRESHOLD; labels.len()].into(),
    };
    let files = files()?;
    let live = Live::new(Arc::new(Control::default()), "bench".into(), String::new());
    let mut splitter = MjpegSplitter::default();
    let view = View::default();
    let mut presence = Presence::new(labels.len(), PresenceOptions::default());
    let mut samples: [Samples; STAGES.len()] = Default::default();
    let start = Instant::now();
    for run in 0..WARM_UP + runs {
        let (file, split) = timing::time(|| {
            splitter.push(&files[run % files.len()]);
            splitter.next_file()
        });
        let frame = Frame {
            captured: start + PERIOD * run as u32,
            name: None,
            picture: Picture::Encoded(file.context("no whole frame")??),
        };
        let (picture, decode) = timing::time(|| frame.picture.decode());
        let (picture, viewed) = timing::time(|| picture.map(|picture| view.of(picture)));
        let picture = picture?;
        let (image, preprocessed) = timing::time(|| preprocess(&picture, preprocessing));
        let (probabilities, inferred) = timing::time(|| network.run(&image));
        let probabilities = probabilities?;
        let (events, decided) =
            timing::time(|| presence.update(frame.captured, &probabilities, &thresholds));
        let scores = presence.scores();
        let present = presence
            .present()
            .into_iter()
            .map(|(label, since)| Present {
                label,
                score: scores[label],
                since,
            });
        let observation = Arc::new(Observation {
            number: run as u64,
            time: SystemTime::now(),
            size: picture.dimensions(),
            labels: labels.clone(),
            thresholds: thresholds.clone(),
            present: present.collect(),
            scores,
            events,
            problem: None,
            inferred: true,
            decode: decode.wall,
            preprocess: preprocessed.wall,
            inference: inferred.wall,
            frame: Some(Arc::new(frame)),
        });
        let (written, published) = timing::time(|| {
            lines::write_observation(&mut io::sink(), Output::Frames, &observation)?;
            live.publish(observation);
            io::Result::Ok(())
        });
        written?;
        if run >= WARM_UP {
            let took = [
                split,
                decode,
                viewed,
                preprocessed,
                inferred,
                decided,
                published,
            ];
            for (samples, took) in samples.iter_mut().zip(took) {
                samples.push(took);
            }
        }
    }
    let stages = STAGES.iter().zip(&samples);
    let stage = |(&stage, samples): (&&'static str, &Samples)| Stage {
        stage,
        summary: samples.summary(),
    };
    Ok(stages.map(stage).collect())
}

/// Frames of the test card as JPEG files.
fn files() -> Result<Vec<Vec<u8>>> {
    let mut card = source::open(&SourceOptions {
        kind: SourceKind::Test,
        rate: Some(1e6),
        size: Some(SIZE),
        raw: None,
        repeat: false,
    })?;
    let mut files = Vec::new();
    while files.len() < FRAMES {
        let deadline = Instant::now() + PERIOD;
        let frame = match card.next(deadline)? {
            Next::Frame(frame) => frame,
            Next::Pending | Next::Broken => continue,
            Next::End => bail!("the test card has ended"),
        };
        let mut file = Vec::new();
        let picture = frame.picture.decode()?;
        JpegEncoder::new_with_quality(&mut file, QUALITY).encode_image(&picture)?;
        files.push(file);
    }
    Ok(files)
}
