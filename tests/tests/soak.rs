//! Many frames through the stream and its sinks: memory stays flat.
//!
//! `GRAPHTAG_SOAK_FRAMES=200000 cargo test --package graphtag-tests --test soak -- --nocapture` is the long form.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use graphtag_tests::broker::Broker;
use graphtag_tests::service::{Service, Signal, has};
use graphtag_tests::{fixture, write_photo};
use tempfile::TempDir;

/// Frames of the short form.
const FRAMES: u64 = 6_000;
/// Growth of memory over the frames that are measured, as a share.
const GROWTH: f64 = 0.05;
/// Samples of memory.
const SAMPLES: u64 = 60;

/// Reads what `path` streams, for ever, and throws it away.
fn look(address: &str, path: &str) {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(1..) = stream.read(&mut bytes) {}
    });
}

/// The slope of the least squares' line through `points`.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    covariance / variance
}

#[test]
fn memory_stays_flat() {
    let frames = std::env::var("GRAPHTAG_SOAK_FRAMES");
    let frames = frames.map_or(FRAMES, |frames| frames.parse().unwrap());
    let folder = TempDir::new().unwrap();
    for (number, colour) in [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]
        .into_iter()
        .enumerate()
    {
        write_photo(&folder.path().join(format!("{number}.ppm")), colour);
    }
    let broker = has("mosquitto").then(Broker::start);
    let (model, source) = (fixture("colours.onnx"), folder.path());
    let mut arguments = vec![
        format!("--source={}", source.display()),
        format!("--model={}", model.display()),
        "--loop".into(),
        "--rate=1000".into(),
        "--smoothing=0".into(),
        "--vanish-after=0".into(),
        "--http=127.0.0.1:0".into(),
    ];
    arguments.extend(
        broker
            .as_ref()
            .map(|broker| format!("--mqtt={}", broker.address())),
    );
    let mut service = Service::start(arguments);
    let address = service.address();
    look(&address, "/api/events");
    look(&address, "/live.mjpg");

    let begin = Instant::now();
    let mut points = Vec::new();
    let mut inferred = 0;
    while inferred < frames {
        thread::sleep(Duration::from_millis(20));
        let counts = &service.state()["health"]["frames"];
        inferred = counts["inferred"].as_u64().unwrap();
        assert_eq!(counts["failed"], 0);
        // The first quarter fills caches and buffers.
        let due = frames / 4 + points.len() as u64 * (frames * 3 / 4) / SAMPLES;
        if inferred >= due {
            points.push((inferred as f64, service.memory() as f64));
        }
        assert!(
            begin.elapsed() < Duration::from_secs(30 + frames / 50),
            "{inferred} frames"
        );
    }
    let (first, last) = (points[0], points[points.len() - 1]);
    let slope = slope(&points);
    let growth = slope * (last.0 - first.0) / first.1;
    println!(
        "{inferred} frames in {:.1} s: memory {:.2} MB at frame {}, {:.2} MB at the end; {:.1} bytes a frame, {:.2} %",
        begin.elapsed().as_secs_f64(),
        first.1 / 1e6,
        first.0,
        last.1 / 1e6,
        slope,
        growth * 100.0
    );
    assert!(growth < GROWTH, "memory grew by {:.1} %", growth * 100.0);
    service.end_by(Signal::TERM);
}
