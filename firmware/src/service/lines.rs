//! JSON lines on standard output, through a bounded queue.

use std::io::{self, BufWriter, Write};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use graphtag_runtime::stream::{Control, Observation};

use super::report::FrameReport;
use super::{ends_within, report};

/// Observations that may wait for a slow reader.
const QUEUE: usize = 64;
/// How long the queue may take to empty at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Which lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// A line for each label that appears or vanishes.
    #[default]
    Events,
    /// A line for each frame.
    Frames,
    /// None.
    Nothing,
}

impl FromStr for Output {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "events" => Ok(Output::Events),
            "frames" => Ok(Output::Frames),
            "none" => Ok(Output::Nothing),
            _ => Err("output: neither events, frames nor none"),
        }
    }
}

/// Writes to standard output in a thread of its own.
pub struct Lines {
    output: Output,
    queue: Option<SyncSender<Arc<Observation>>>,
    writing: Option<JoinHandle<()>>,
    failure: Arc<Mutex<Option<io::Error>>>,
    lossless: bool,
    dropped: u64,
}

impl Lines {
    /// Starts the thread. Where `lossless`, publishing waits for a slow reader; otherwise it drops. A
    /// reader that goes away stops the stream of `control`.
    pub fn start(output: Output, lossless: bool, control: Arc<Control>) -> Self {
        let (queue, observations) = sync_channel(QUEUE);
        let failure = Arc::new(Mutex::new(None));
        let failed = failure.clone();
        let writing = thread::spawn(move || {
            if let Err(error) = write(output, &observations) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                control.stop();
            }
        });
        Lines {
            output,
            queue: Some(queue),
            writing: Some(writing),
            failure,
            lossless,
            dropped: 0,
        }
    }

    /// Queues the lines of `observation`.
    pub fn publish(&mut self, observation: &Arc<Observation>) {
        let Some(queue) = &self.queue else { return };
        let has_lines = match self.output {
            Output::Nothing => false,
            Output::Events => !observation.events.is_empty(),
            Output::Frames => observation.frame.is_some(),
        };
        if !has_lines {
            return;
        }
        if self.lossless {
            // It fails only when the writer has failed, which finish() reports.
            let _ = queue.send(observation.clone());
        } else if let Err(TrySendError::Full(_)) = queue.try_send(observation.clone()) {
            self.dropped += 1;
        }
    }

    /// Writes what is queued and gives the number of observations that were dropped.
    ///
    /// # Errors
    /// When standard output could not be written.
    pub fn finish(mut self) -> Result<u64> {
        self.queue = None;
        if let Some(writing) = self.writing.take() {
            if self.lossless {
                // It fails only when the thread has panicked, which says so itself.
                let _ = writing.join();
            } else {
                ends_within(&writing, FAREWELL);
            }
        }
        let failure = self
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match failure {
            None => Ok(self.dropped),
            Some(error) => Err(error).context("standard output"),
        }
    }
}

fn write(output: Output, observations: &Receiver<Arc<Observation>>) -> io::Result<()> {
    let mut to = BufWriter::new(io::stdout());
    for observation in observations {
        write_observation(&mut to, output, &observation)?;
        to.flush()?;
    }
    Ok(())
}

/// Writes the lines of `observation`.
///
/// # Errors
/// When `to` can't be written.
pub fn write_observation(
    to: &mut impl Write,
    output: Output,
    observation: &Observation,
) -> io::Result<()> {
    match output {
        Output::Nothing => {}
        Output::Events => {
            for event in report::events(observation) {
                line(to, &event)?;
            }
        }
        Output::Frames => {
            if let Some(frame) = FrameReport::of(observation) {
                line(to, &frame)?;
            }
        }
    }
    Ok(())
}

fn line(to: &mut impl Write, document: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, document)?;
    to.write_all(b"\n")
}
