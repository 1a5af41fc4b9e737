//! The capturing thread: keeps a source open, and opens it anew when it is lost.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::control::{Control, Signal};
use super::slot::Slot;
use crate::source::{self, Next, Source, SourceError, SourceOptions, period};

/// The longest that a stop goes unnoticed.
const SLICE: Duration = Duration::from_millis(50);
/// The wait before a lost source is opened anew, doubled with every failure.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest such wait: a camera that is back is seen within 5 s.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Fills `slot` until the source ends or `control` says stop.
///
/// A source that is silent for `patience` counts as lost, as does one that fails; both are opened anew,
/// unless it can't come back.
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
        if !options.comes_back() {
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
    // Of a slow source, silence between two frames says nothing.
    let pace = options.rate.map_or(Duration::ZERO, period);
    let patience = patience.max(pace.saturating_mul(2));
    let mut allowed = patience.max(options.kind.start_time());
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
                allowed = patience;
                control.set_signal(Signal::Present);
                let dropped = slot.put(frame);
                control.count(|counts| {
                    counts.captured += 1;
                    counts.dropped += u64::from(dropped);
                });
            }
            Next::Broken => control.count(|counts| {
                counts.captured += 1;
                counts.failed += 1;
            }),
            Next::Pending => {}
            Next::End => return Ok(()),
        }
        if last.elapsed() > allowed && options.kind.is_steady() {
            return Err(SourceError::Content {
                name: options.kind.to_string(),
                problem: format!("no frame for {} s", allowed.as_secs_f32()),
            });
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use image::codecs::jpeg::JpegEncoder;
    use image::{Rgb, RgbImage};
    use tempfile::TempDir;

    use super::super::control::Counts;
    use super::super::slot::Taken;
    use super::*;
    use crate::source::SourceKind;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn options(kind: SourceKind) -> SourceOptions {
        SourceOptions {
            kind,
            rate: None,
            size: None,
            raw: None,
            repeat: false,
        }
    }

    /// A shell script in which `$card` is a JPEG file.
    fn script(folder: &Path, script: &str) -> SourceOptions {
        let card = folder.join("card.jpg");
        let mut bytes = Vec::new();
        let picture = RgbImage::from_pixel(32, 16, Rgb([200, 100, 50]));
        JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
        fs::write(&card, bytes).unwrap();
        options(SourceKind::Exec(format!(
            "card='{}'; {script}",
            card.display()
        )))
    }

    /// Captures until `done`; the counts at that time.
    fn capture_until(
        options: SourceOptions,
        patience: Duration,
        done: impl Fn(Counts, Signal) -> bool,
    ) -> Counts {
        let (control, slot) = (Arc::new(Control::default()), Arc::new(Slot::default()));
        let capturing = {
            let (control, slot) = (control.clone(), slot.clone());
            thread::spawn(move || capture(&options, patience, &control, &slot))
        };
        let deadline = Instant::now() + DEADLINE;
        while !done(control.counts(), control.signal()) {
            assert!(Instant::now() < deadline, "{:?}", control.counts());
            thread::sleep(Duration::from_millis(5));
        }
        control.stop();
        capturing.join().unwrap();
        control.counts()
    }

    fn is_lost(signal: &Signal, to: &str) -> bool {
        matches!(signal, Signal::Lost(reason) if reason.ends_with(to))
    }

    #[test]
    fn a_program_that_dies_is_started_again_and_half_frames_are_counted() {
        let folder = TempDir::new().unwrap();
        let options = script(folder.path(), "cat $card; head -c 640 $card; exit 3");
        let counts = capture_until(options, DEADLINE, |counts, signal| {
            counts.lost > 1 && is_lost(&signal, "it ended: exit status: 3")
        });
        assert!(counts.failed > 1, "{counts:?}");
        assert!(counts.captured - counts.failed > 1, "{counts:?}");
    }

    #[test]
    fn a_program_that_hangs_is_started_again() {
        let folder = TempDir::new().unwrap();
        let options = script(folder.path(), "cat $card; exec sleep 1000");
        let patience = Duration::from_millis(200);
        let counts = capture_until(options, patience, |counts, signal| {
            counts.captured > 1 && is_lost(&signal, "no frame for 0.2 s")
        });
        assert_eq!(counts.failed, 0);
    }

    #[test]
    fn frames_that_are_all_broken_are_no_sign_of_life() {
        let folder = TempDir::new().unwrap();
        let options = script(
            folder.path(),
            "while :; do head -c 640 $card; sleep 0.01; done",
        );
        let patience = Duration::from_millis(200);
        let counts = capture_until(options, patience, |counts, _| {
            counts.failed > 0 && counts.lost > 0
        });
        assert_eq!(counts.captured, counts.failed);
    }

    #[test]
    fn a_slow_source_is_not_taken_for_a_silent_one() {
        let mut options = options(SourceKind::Test);
        options.rate = Some(1.0);
        let patience = Duration::from_millis(100);
        let counts = capture_until(options, patience, |counts, _| counts.captured > 1);
        assert_eq!(counts.lost, 0);
    }

    #[test]
    fn a_film_that_is_not_there_is_an_error_at_once() {
        let control = Arc::new(Control::default());
        let slot = Slot::default();
        let options = options(SourceKind::Video("no/such/film.mp4".into()));
        capture(&options, DEADLINE, &control, &slot);
        let Taken::End(Err(error)) = slot.take(Instant::now()) else {
            panic!("no error");
        };
        assert!(
            error
                .to_string()
                .starts_with("video:no/such/film.mp4: No such file")
        );
    }
}
