//! Wall-clock and CPU time of repeated work.

use std::time::{Duration, Instant};

use graphtag_runtime::kernels::{InstructionSet, multiply_registers};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// What one piece of work took.
#[derive(Clone, Copy)]
pub struct Took {
    /// The time that passed.
    pub wall: Duration,
    cpu: Duration,
}

/// Runs `work` and tells what it took, on all threads of the process.
pub fn time<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (start, cpu) = (Instant::now(), cpu_time());
    let result = work();
    let took = Took {
        wall: start.elapsed(),
        cpu: cpu_time().saturating_sub(cpu),
    };
    (result, took)
}

/// Multiply-accumulates of bytes that this core does in a second at most, in the best of several attempts; `None` where
/// the kernels have no instructions for them.
pub fn peak() -> Option<f64> {
    const ATTEMPTS: usize = 10;
    // The same work on every core, so that an emulator's instruction counts of two runs can be compared: a millisecond of a
    // fast one, thirty of a slow one.
    const WORK: u64 = 1 << 28;
    let set = InstructionSet::detect();
    let rounds = (WORK / multiply_registers(set, 1)?) as usize;
    let attempt = || {
        let start = Instant::now();
        let macs = multiply_registers(set, rounds).unwrap_or_default();
        macs as f64 / start.elapsed().as_secs_f64()
    };
    Some((0..ATTEMPTS).map(|_| attempt()).fold(0.0, f64::max))
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What many runs of the same work took.
#[derive(Default)]
pub struct Samples(Vec<Took>);

/// Percentiles of both clocks.
#[derive(Clone, Copy, Serialize)]
pub struct Summary {
    /// Of the time that passed.
    pub wall_ms: Percentiles,
    /// Of the processor's time.
    pub cpu_ms: Percentiles,
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// Nine in ten are at most this.
    pub p90: f64,
    /// All but one in a hundred are at most this.
    pub p99: f64,
}

impl Samples {
    /// One more run.
    pub fn push(&mut self, took: Took) {
        self.0.push(took);
    }

    /// The percentiles; at least one run must have been pushed.
    pub fn summary(&self) -> Summary {
        Summary {
            wall_ms: percentiles(self.0.iter().map(|took| took.wall)),
            cpu_ms: percentiles(self.0.iter().map(|took| took.cpu)),
        }
    }
}

/// By the nearest rank.
fn percentiles(durations: impl Iterator<Item = Duration>) -> Percentiles {
    let mut durations: Vec<Duration> = durations.collect();
    durations.sort();
    let percentile = |percent: usize| {
        let rank = (durations.len() * percent).div_ceil(100).max(1);
        milliseconds(durations[rank - 1])
    };
    Percentiles {
        p50: percentile(50),
        p90: percentile(90),
        p99: percentile(99),
    }
}

/// Rounded to whole microseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let hundred = percentiles((1..=100).rev().map(Duration::from_millis));
        assert_eq!([hundred.p50, hundred.p90, hundred.p99], [50.0, 90.0, 99.0]);
        let two = percentiles([7, 3].into_iter().map(Duration::from_millis));
        assert_eq!([two.p50, two.p90, two.p99], [3.0, 7.0, 7.0]);
    }
}
