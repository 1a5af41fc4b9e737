//! The service around a stream: what it is told, what it knows, how it says it, and its life.

pub mod display;
pub mod life;
pub mod lines;
pub mod live;
pub mod mqtt;
pub mod picture;
pub mod report;
pub mod settings;
pub mod sinks;
pub mod snapshots;
pub mod web;
pub mod webhook;

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Whether the thread that is `running` ends within `time`. One that hangs is left to the end of the process.
fn ends_within(running: &JoinHandle<()>, time: Duration) -> bool {
    let farewell = Instant::now() + time;
    while !running.is_finished() && Instant::now() < farewell {
        thread::sleep(Duration::from_millis(5));
    }
    running.is_finished()
}
