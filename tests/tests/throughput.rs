//! How old frames are when they reach a sink, and what all but inference costs.

use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use graphtag_tests::service::{Service, Signal, has, wait_for};
use graphtag_tests::{graphtag, repository, run};
use serde_json::Value;

/// Held by the test that measures: each would tell of the other.
static ALONE: Mutex<()> = Mutex::new(());

/// Frames that are looked at.
const FRAMES: usize = 150;

fn number(line: &Value, key: &str) -> f64 {
    line[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} in {line}"))
}

/// The value that this share of `values` does not exceed.
fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1]
}

#[test]
fn no_frame_of_a_camera_is_older_than_two_inferences() {
    if !has("ffmpeg") {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let camera = "exec:ffmpeg -v error -re -loop 1 -framerate 30 -i tests/photos/duck.jpg \
         -vf scale=640:480,format=yuvj420p -c:v mjpeg -q:v 4 -f mjpeg -";
    let mut command = graphtag();
    command
        .args(["run", "--output=frames", "--threads=1", "--source", camera])
        .current_dir(repository())
        .stdin(Stdio::null());
    let mut service = Service::spawn(&mut command);
    wait_for("frames of the camera", || {
        (service.stdout().lines().count() > FRAMES).then_some(())
    });
    service.end_by(Signal::TERM);
    let lines = service.lines();
    // The first ones warm the caches up.
    let lines = &lines[FRAMES / 3..FRAMES];
    assert!(
        lines
            .iter()
            .all(|line| line["width"] == 640 && line["height"] == 480)
    );
    let inference = percentile(
        lines
            .iter()
            .map(|line| number(line, "inference_ms"))
            .collect(),
        0.5,
    );
    let ages: Vec<f64> = lines.iter().map(|line| number(line, "age_ms")).collect();
    let shares = lines
        .iter()
        .map(|line| number(line, "age_ms") / number(line, "inference_ms"));
    let shares: Vec<f64> = shares.collect();
    let share = |of| percentile(shares.clone(), of);
    println!(
        "age p50 {:.1} ms, p99 {:.1} ms; inference p50 {inference:.1} ms; age over inference p50 {:.2}, p90 {:.2}, at most {:.2}",
        percentile(ages.clone(), 0.5),
        percentile(ages, 0.99),
        share(0.5),
        share(0.9),
        share(1.0),
    );
    // Where other programs share the processors, the last tenth tells of them; where none does, see the largest.
    let share = share(0.9);
    assert!(share <= 2.0, "a frame was {share} inferences old");
}

#[test]
fn all_but_decoding_costs_little_beside_inference() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = run(["bench", "--pipeline", "--runs=60", "--format=json"]);
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let stages = report["pipeline"]["stages"].as_array().unwrap();
    let names: Vec<_> = stages
        .iter()
        .map(|stage| stage["stage"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "split",
            "decode",
            "view",
            "preprocess",
            "inference",
            "presence",
            "publish"
        ]
    );
    let median = |name: &str| {
        let stage = stages.iter().find(|stage| stage["stage"] == name).unwrap();
        stage["cpu_ms"]["p50"].as_f64().unwrap()
    };
    let others: f64 = ["split", "view", "preprocess", "presence", "publish"]
        .map(median)
        .iter()
        .sum();
    let share = others / median("inference");
    let told = report["pipeline"]["overhead"].as_f64().unwrap();
    assert!((share - told).abs() < 0.01, "{share} is told as {told}");
    println!(
        "all but decode and inference: {:.1} % of inference",
        share * 100.0
    );
    assert!(share <= 0.3, "{share}");
}
