//! From a source to tags over time: capture in a thread of its own, inference in the caller's.

mod capture;
mod control;
pub mod heat;
mod motion;
mod slot;
mod view;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use control::{Change, Control, Counts, Signal};
pub use motion::MotionOptions;
pub use view::{Rectangle, View};

use crate::Model;
use crate::frame::Frame;
use crate::presence::{Event, Presence, PresenceOptions};
use crate::source::{SourceError, SourceOptions};
use heat::Heat;
use motion::Motion;
use slot::{Slot, Taken};

/// The longest that a stop, a swap or a lost source goes unnoticed.
const SLICE: Duration = Duration::from_millis(50);
/// How long a reading of the temperature is good for.
const HEAT_PERIOD: Duration = Duration::from_secs(2);
/// How long the capturing thread may take to give its source back at the end.
const FAREWELL: Duration = Duration::from_millis(1000);

/// What a stream does.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamOptions {
    /// Where frames come from.
    pub source: SourceOptions,
    /// A source that is silent for so long is opened anew; once it is lost for so long, labels vanish.
    pub patience: Duration,
    /// The most inferences a second.
    pub max_rate: Option<f64>,
    /// Skips inference while the scene is still.
    pub motion: Option<MotionOptions>,
    /// The temperature, in degrees Celsius, above which the rate falls.
    pub heat_limit: f32,
    /// The part of the picture that the model sees.
    pub view: View,
    /// How probabilities become tags.
    pub presence: PresenceOptions,
}

/// A label that is present.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Present {
    /// Index of the label.
    pub label: usize,
    /// Its smoothed score.
    pub score: f32,
    /// Since when.
    pub since: Instant,
}

/// What a stream has to say at its start, after a frame, or after the loss of its source.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Counts observations, from 1.
    pub number: u64,
    /// When the frame was captured, or what else there is to say became known.
    pub time: SystemTime,
    /// The frame; `None` at the start and when the source is lost.
    pub frame: Option<Arc<Frame>>,
    /// Columns and rows of the decoded frame.
    pub size: (u32, u32),
    /// Labels of the model that was used.
    pub labels: Arc<[String]>,
    /// Threshold of every label.
    pub thresholds: Arc<[f32]>,
    /// Smoothed score of every label.
    pub scores: Vec<f32>,
    /// The labels that are present, the likeliest first.
    pub present: Vec<Present>,
    /// What changed.
    pub events: Vec<Event>,
    /// Why the frame could not be decoded or inferred, in one line. Scores are then those before it, or none where
    /// each frame stands for itself.
    pub problem: Option<String>,
    /// Whether the model saw this frame.
    pub inferred: bool,
    /// Time to decode the frame.
    pub decode: Duration,
    /// Time to resize and normalise it.
    pub preprocess: Duration,
    /// Time to run the network.
    pub inference: Duration,
}

/// Runs until the source ends or `control` says stop, and hands every observation to `publish`, which must
/// not wait.
///
/// # Errors
/// When a source of files can't be opened. Other sources are opened anew, for ever.
pub fn run(
    model: Model,
    options: &StreamOptions,
    control: &Arc<Control>,
    publish: impl FnMut(Observation),
) -> Result<(), SourceError> {
    let slot = Arc::new(Slot::default());
    let capturing = {
        let (source, patience) = (options.source.clone(), options.patience);
        let (control, slot) = (control.clone(), slot.clone());
        thread::spawn(move || capture::capture(&source, patience, &control, &slot))
    };
    let result = Inferring::new(model, options.clone(), control.clone(), publish).run(&slot);
    control.stop();
    let farewell = Instant::now() + FAREWELL;
    while !capturing.is_finished() && Instant::now() < farewell {
        thread::sleep(Duration::from_millis(5));
    }
    result
}

/// What inferring a frame came to.
#[derive(Default)]
struct Seen {
    size: (u32, u32),
    inferred: bool,
    decode: Duration,
    preprocess: Duration,
    inference: Duration,
}

struct Inferring<F> {
    model: Model,
    labels: Arc<[String]>,
    thresholds: Arc<[f32]>,
    options: StreamOptions,
    control: Arc<Control>,
    publish: F,
    presence: Presence,
    motion: Motion,
    probabilities: Vec<f32>,
    number: u64,
    /// When the last frame was captured that could be inferred.
    last_good: Instant,
    /// Whether the loss of the source was told.
    lost: bool,
    heat: Heat,
    heat_read: Option<Instant>,
}

impl<F: FnMut(Observation)> Inferring<F> {
    fn new(model: Model, options: StreamOptions, control: Arc<Control>, publish: F) -> Self {
        let metadata = model.metadata();
        Inferring {
            labels: metadata.labels.as_slice().into(),
            thresholds: metadata.thresholds.as_slice().into(),
            presence: Presence::new(metadata.labels.len(), options.presence),
            model,
            options,
            control,
            publish,
            motion: Motion::default(),
            probabilities: Vec::new(),
            number: 0,
            last_good: Instant::now(),
            lost: false,
            heat: Heat::default(),
            heat_read: None,
        }
    }

    fn run(&mut self, slot: &Slot) -> Result<(), SourceError> {
        let mut ready = Instant::now();
        // Labels and thresholds are known before there is a frame.
        self.take_up_changes();
        let observation = self.observation(Vec::new());
        (self.publish)(observation);
        while !self.control.is_stopped() {
            self.take_up_changes();
            let slice = Instant::now() + SLICE;
            if Instant::now() < ready {
                thread::sleep(ready.min(slice).saturating_duration_since(Instant::now()));
                self.notice_loss();
                self.control.note_progress();
                continue;
            }
            let begin = Instant::now();
            match slot.take(slice) {
                Taken::Frame(frame) => {
                    self.observe(frame);
                    ready = begin + self.pause(begin.elapsed());
                }
                Taken::Nothing => self.notice_loss(),
                Taken::End(result) => {
                    self.end();
                    return result;
                }
            }
            self.control.note_progress();
        }
        self.end();
        Ok(())
    }

    /// Infers, decides, counts and publishes.
    fn observe(&mut self, frame: Frame) {
        let (seen, problem) = match self.infer(&frame) {
            Ok(seen) => (seen, None),
            Err(problem) => (Seen::default(), Some(problem)),
        };
        let failed = problem.is_some();
        self.control.note_problem(problem.clone());
        self.control.count(|counts| {
            counts.failed += u64::from(failed);
            counts.inferred += u64::from(seen.inferred);
            counts.still += u64::from(!seen.inferred && !failed);
        });
        let events = if failed {
            self.pass_over()
        } else {
            self.last_good = frame.captured;
            self.presence
                .update(frame.captured, &self.probabilities, &self.thresholds)
        };
        let age = frame.captured.elapsed();
        let observation = Observation {
            time: SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH),
            frame: Some(Arc::new(frame)),
            size: seen.size,
            problem,
            inferred: seen.inferred,
            decode: seen.decode,
            preprocess: seen.preprocess,
            inference: seen.inference,
            ..self.observation(events)
        };
        (self.publish)(observation);
    }

    /// Leaves the probabilities of `frame`, unless the scene is still.
    fn infer(&mut self, frame: &Frame) -> Result<Seen, String> {
        let begin = Instant::now();
        let picture = frame.picture.decode().map_err(|error| error.to_string())?;
        let size = picture.dimensions();
        let picture = self.options.view.of(picture);
        let mut seen = Seen {
            size,
            inferred: true,
            decode: begin.elapsed(),
            ..Seen::default()
        };
        if let Some(motion) = self.options.motion {
            let moves = self.motion.moves(frame.captured, &picture, motion);
            seen.inferred = moves || self.probabilities.is_empty();
        }
        if seen.inferred {
            let prediction = self.model.predict(&picture);
            let prediction = prediction.map_err(|error| error.to_string())?;
            seen.preprocess = prediction.preprocess;
            seen.inference = prediction.inference;
            self.probabilities = prediction.probabilities;
        }
        Ok(seen)
    }

    /// Labels vanish once no frame could be inferred for longer than that may be, and at once where each frame
    /// stands for itself.
    fn pass_over(&mut self) -> Vec<Event> {
        let alone = self.options.presence == PresenceOptions::EACH_FRAME;
        if alone || self.last_good.elapsed() > self.options.patience {
            self.presence.clear(self.last_good)
        } else {
            Vec::new()
        }
    }

    /// Tells once that the source is lost, and what vanishes with it.
    fn notice_loss(&mut self) {
        let lost = matches!(self.control.signal(), Signal::Lost(_));
        let told = std::mem::replace(&mut self.lost, lost);
        if lost {
            let events = self.pass_over();
            if !told || !events.is_empty() {
                let observation = self.observation(events);
                (self.publish)(observation);
            }
        }
    }

    /// What is still present vanishes with the stream, so that every appearance has its end.
    fn end(&mut self) {
        let events = self.presence.clear(Instant::now());
        let observation = self.observation(events);
        (self.publish)(observation);
    }

    fn observation(&mut self, events: Vec<Event>) -> Observation {
        self.number += 1;
        let scores = self.presence.scores();
        let present = self.presence.present().into_iter();
        Observation {
            number: self.number,
            time: SystemTime::now(),
            frame: None,
            size: (0, 0),
            labels: self.labels.clone(),
            thresholds: self.thresholds.clone(),
            present: present
                .map(|(label, since)| Present {
                    label,
                    score: scores[label],
                    since,
                })
                .collect(),
            scores,
            events,
            problem: None,
            inferred: false,
            decode: Duration::ZERO,
            preprocess: Duration::ZERO,
            inference: Duration::ZERO,
        }
    }

    fn take_up_changes(&mut self) {
        let wanted = self.control.take_wanted();
        if let Some(change) = wanted.change {
            self.presence.set_options(change.options.presence);
            self.options = change.options;
            if let Some(model) = change.model {
                self.take_up_model(model);
            }
            self.thresholds = change.thresholds.into();
        }
        if !wanted.thresholds.is_empty() {
            let mut thresholds = self.thresholds.to_vec();
            for (label, threshold) in wanted.thresholds {
                if let Some(present) = thresholds.get_mut(label) {
                    *present = threshold;
                }
            }
            self.thresholds = thresholds.into();
        }
    }

    fn take_up_model(&mut self, model: Model) {
        let metadata = model.metadata();
        if metadata.labels != *self.labels {
            // The old labels vanish under their own names.
            let events = self.presence.clear(Instant::now());
            let observation = self.observation(events);
            (self.publish)(observation);
            self.labels = metadata.labels.as_slice().into();
            self.presence = Presence::new(self.labels.len(), self.options.presence);
        }
        self.probabilities.clear();
        self.model = model;
    }

    /// From the begin of one inference, which took `busy`, to that of the next.
    fn pause(&mut self, busy: Duration) -> Duration {
        if self.heat_read.is_none_or(|at| at.elapsed() > HEAT_PERIOD) {
            self.heat = heat::read();
            self.heat_read = Some(Instant::now());
        }
        let heat = heat::pace(self.heat, self.options.heat_limit, busy);
        let asked = self
            .options
            .max_rate
            .map_or(Duration::ZERO, crate::source::period);
        heat.max(asked)
    }
}
