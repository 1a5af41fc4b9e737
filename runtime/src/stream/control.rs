//! What a running stream shares with the rest of a process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::StreamOptions;
use crate::Model;
use crate::source::SourceError;

/// Whether frames come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The source is being opened for the first time.
    Opening,
    /// Frames come.
    Present,
    /// The source is lost, for this reason, and is being opened anew.
    Lost(String),
    /// The source has ended.
    Ended,
}

/// How many frames went where, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that the source delivered, broken ones included.
    pub captured: u64,
    /// Frames that a newer one replaced before they could be inferred.
    pub dropped: u64,
    /// Frames that were broken, or could not be decoded or inferred.
    pub failed: u64,
    /// Frames that the model saw.
    pub inferred: u64,
    /// Frames of a still scene, which keep the last frame's scores.
    pub still: u64,
    /// Times that the source was lost.
    pub lost: u64,
}

/// The handle of a stream, for other threads: stop it, change it, and see how it fares.
#[derive(Default)]
pub struct Control {
    stopped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    signal: Option<Signal>,
    progress: Option<Instant>,
    /// The last frame's problem, and since when all frames have had one.
    problem: Option<(Instant, String)>,
    wanted: Wanted,
}

/// What a stream does from its next frame on, all at once.
pub struct Change {
    /// All but the source of these.
    pub options: StreamOptions,
    /// Another model, if not the present one.
    pub model: Option<Model>,
    /// The threshold of every label of the model.
    pub thresholds: Vec<f32>,
}

/// Changes that the stream has not taken up yet.
#[derive(Default)]
pub(super) struct Wanted {
    pub change: Option<Change>,
    /// Of single labels, after the change.
    pub thresholds: Vec<(usize, f32)>,
}

impl Control {
    /// Ends the stream as soon as the present frame is done.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the stream was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// How many frames went where.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Whether frames come.
    pub fn signal(&self) -> Signal {
        self.state().signal.clone().unwrap_or(Signal::Opening)
    }

    /// When the stream last finished a round: with a frame, or with the finding that there is none.
    pub fn progress(&self) -> Option<Instant> {
        self.state().progress
    }

    /// The last frame's problem, in one line; `None` once a frame is well again.
    pub fn problem(&self) -> Option<String> {
        self.failing().map(|(_, problem)| problem)
    }

    /// The last frame's problem, and since when every frame has had one.
    pub fn failing(&self) -> Option<(Instant, String)> {
        self.state().problem.clone()
    }

    /// Does as `change` says from the next frame on; single thresholds that were set before are forgotten.
    pub fn change(&self, mut change: Change) {
        let wanted = &mut self.state().wanted;
        let earlier = wanted.change.take().and_then(|earlier| earlier.model);
        change.model = change.model.or(earlier);
        wanted.thresholds.clear();
        wanted.change = Some(change);
    }

    /// Sets the threshold of the label with this index from the next frame on.
    pub fn set_threshold(&self, label: usize, threshold: f32) {
        self.state().wanted.thresholds.push((label, threshold));
    }

    pub(super) fn take_wanted(&self) -> Wanted {
        std::mem::take(&mut self.state().wanted)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.state().counts);
    }

    pub(super) fn set_signal(&self, signal: Signal) {
        self.state().signal = Some(signal);
    }

    pub(super) fn lose(&self, error: &SourceError) {
        let mut state = self.state();
        state.counts.lost += 1;
        state.signal = Some(Signal::Lost(error.to_string()));
    }

    pub(super) fn note_progress(&self) {
        self.state().progress = Some(Instant::now());
    }

    pub(super) fn note_problem(&self, problem: Option<String>) {
        let mut state = self.state();
        let since = state.problem.as_ref().map(|(since, _)| *since);
        state.problem = problem.map(|line| (since.unwrap_or_else(Instant::now), line));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
