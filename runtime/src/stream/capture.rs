//! The capturing thread: keeps a source open, and opens it anew when it is lost.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::control::{Control, Signal};
use super::slot::Slot;
use crate::source::{self, Next, Source, SourceError, SourceOptions};

/// The longest that a stop goes unnoticed.
const SLICE: Duration = Duration::from_millis(50);
/// The wait before a lost source is opened anew, doubled with every failure.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest such wait: a camera that is back is seen within 5 s.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Fills `slot` until the source ends or `control` says stop.
///
/// A source that is silent for `patience` counts as lost, as does one that fails; both are opened anew,
/// unless it is of a kind that can't come back.
pub(super) fn capture(
    options: &SourceOptions,
    patience: Duration,
    control: &Arc<Control>,
    slot: &Slot,
) {
    let mut wait = FIRST_WAIT;
    while !control.is_stopped() {
        let frames_before = control.counts().captured;
        let lost = source::open(options)
            .and_then(|mut source| deliver(source.as_mut(), options, patience, control, slot));
        let Err(error) = lost else {
            control.set_signal(Signal::Ended);
            return slot.end(Ok(()));
        };
        if !options.kind.comes_back() {
            control.set_signal(Signal::Ended);
            return slot.end(Err(error));
        }
        control.lose(&error);
        if control.counts().captured > frames_before {
            wait = FIRST_WAIT;
        }
        pause(wait, control);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Delivers frames until the source ends (or a stop), or is lost.
fn deliver(
    source: &mut dyn Source,
    options: &SourceOptions,
    patience: Duration,
    control: &Control,
    slot: &Slot,
) -> Result<(), SourceError> {
    let mut last = Instant::now();
    while !control.is_stopped() {
        let deadline = Instant::now() + SLICE;
        if !source.is_live() && !slot.wait_empty(deadline) {
            last = Instant::now();
            continue;
        }
        match source.next(deadline)? {
            Next::Frame(frame) => {
                last = Instant::now();
                control.set_signal(Signal::Present);
                let dropped = slot.put(frame);
                control.count(|counts| {
                    counts.captured += 1;
                    counts.dropped += u64::from(dropped);
                });
            }
            Next::Pending if last.elapsed() > patience && options.kind.comes_back() => {
                return Err(SourceError::Content {
                    name: options.kind.to_string(),
                    problem: format!("no frame for {} s", patience.as_secs_f32()),
                });
            }
            Next::Pending => {}
            Next::End => return Ok(()),
        }
    }
    Ok(())
}

fn pause(time: Duration, control: &Control) {
    let end = Instant::now() + time;
    while !control.is_stopped() && Instant::now() < end {
        thread::sleep(SLICE.min(end.saturating_duration_since(Instant::now())));
    }
}
