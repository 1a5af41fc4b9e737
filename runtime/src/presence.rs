//! Tags over time: smoothing, two thresholds and delays turn probabilities into labels that are present.

use std::time::{Duration, Instant};

/// How probabilities become presence. All times are in seconds of the frames' clock, never in frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresenceOptions {
    /// Time constant of the exponential smoothing; zero for none.
    pub smoothing: Duration,
    /// A present label stays until its score falls below this share of its threshold, within 0..=1.
    pub keep: f32,
    /// How long a score must have been at its threshold before the label appears.
    pub appear_after: Duration,
    /// How long a score must have been below what keeps it before the label vanishes.
    pub vanish_after: Duration,
}

impl PresenceOptions {
    /// Every frame for itself, as for photos that have nothing to do with each other: a label is present where its
    /// probability reaches its threshold.
    pub const EACH_FRAME: PresenceOptions = PresenceOptions {
        smoothing: Duration::ZERO,
        keep: 1.0,
        appear_after: Duration::ZERO,
        vanish_after: Duration::ZERO,
    };
}

impl Default for PresenceOptions {
    fn default() -> Self {
        PresenceOptions {
            smoothing: Duration::from_millis(300),
            keep: 0.7,
            appear_after: Duration::ZERO,
            vanish_after: Duration::from_secs(1),
        }
    }
}

/// What became of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is present from now on.
    Appeared,
    /// It was present for so long, until it was last seen.
    Vanished(Duration),
}

/// A change of one label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Index of the label.
    pub label: usize,
    /// Its smoothed score.
    pub score: f32,
    /// What became of it.
    pub change: Change,
}

/// The presence of every label of a stream.
#[derive(Clone, Debug)]
pub struct Presence {
    options: PresenceOptions,
    labels: Vec<Label>,
    updated: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Label {
    score: f32,
    /// Since when it is present.
    since: Option<Instant>,
    /// Since when its score contradicts its presence.
    contradicted: Option<Instant>,
}

impl Presence {
    /// None of `labels` labels is present.
    pub fn new(labels: usize, options: PresenceOptions) -> Self {
        Presence {
            options,
            labels: vec![Label::default(); labels],
            updated: None,
        }
    }

    /// Applies other options from now on; what is present stays.
    pub fn set_options(&mut self, options: PresenceOptions) {
        self.options = options;
    }

    /// Takes the probabilities of a frame captured at `now`, one a label, and gives what changed, by label.
    ///
    /// Smoothing is s += (1 - e^(-dt / smoothing)) (p - s), so that it does not depend on the frame rate. A
    /// frame that is older than the last counts as taken at the same time. What is not a number counts as 0.
    pub fn update(
        &mut self,
        now: Instant,
        probabilities: &[f32],
        thresholds: &[f32],
    ) -> Vec<Event> {
        let now = self.updated.map_or(now, |updated| updated.max(now));
        let share = match self.updated {
            None => 1.0,
            Some(_) if self.options.smoothing.is_zero() => 1.0,
            Some(updated) => {
                let times = (now - updated).as_secs_f32() / self.options.smoothing.as_secs_f32();
                1.0 - (-times).exp()
            }
        };
        self.updated = Some(now);
        let mut events = Vec::new();
        let given = self.labels.iter_mut().zip(probabilities).zip(thresholds);
        for (index, ((label, &probability), &threshold)) in given.enumerate() {
            let probability = if probability.is_nan() {
                0.0
            } else {
                probability
            };
            label.score += share * (probability - label.score);
            if let Some(change) = label.decide(now, threshold, &self.options) {
                events.push(Event {
                    label: index,
                    score: label.score,
                    change,
                });
            }
        }
        events
    }

    /// Ends every presence, for instance because the source was lost.
    pub fn clear(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, label) in self.labels.iter_mut().enumerate() {
            if let Some(since) = label.since {
                events.push(Event {
                    label: index,
                    score: label.score,
                    change: Change::Vanished(now.saturating_duration_since(since)),
                });
            }
            *label = Label::default();
        }
        self.updated = None;
        events
    }

    /// The smoothed score of every label.
    pub fn scores(&self) -> Vec<f32> {
        self.labels.iter().map(|label| label.score).collect()
    }

    /// Index and begin of every present label, the highest score first.
    pub fn present(&self) -> Vec<(usize, Instant)> {
        let labels = self.labels.iter().enumerate();
        let mut present: Vec<(usize, Instant)> = labels
            .filter_map(|(index, label)| Some((index, label.since?)))
            .collect();
        present.sort_by(|a, b| self.labels[b.0].score.total_cmp(&self.labels[a.0].score));
        present
    }
}

impl Label {
    fn decide(
        &mut self,
        now: Instant,
        threshold: f32,
        options: &PresenceOptions,
    ) -> Option<Change> {
        let (contradicts, delay) = match self.since {
            None => (self.score >= threshold, options.appear_after),
            Some(_) => (self.score < threshold * options.keep, options.vanish_after),
        };
        if !contradicts {
            self.contradicted = None;
            return None;
        }
        let begin = *self.contradicted.get_or_insert(now);
        if now - begin < delay {
            return None;
        }
        self.contradicted = None;
        match self.since.take() {
            Some(since) => Some(Change::Vanished(begin - since)),
            None => {
                self.since = Some(begin);
                Some(Change::Appeared)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: [f32; 1] = [0.5];

    fn plain() -> PresenceOptions {
        PresenceOptions {
            smoothing: Duration::ZERO,
            keep: 0.6,
            appear_after: Duration::ZERO,
            vanish_after: Duration::ZERO,
        }
    }

    /// The changes of one label whose probability is `p` at `t` milliseconds.
    fn changes(options: PresenceOptions, steps: &[(u64, f32)]) -> Vec<(u64, Change)> {
        let start = Instant::now();
        let mut presence = Presence::new(1, options);
        let mut changes = Vec::new();
        for &(at, probability) in steps {
            let now = start + Duration::from_millis(at);
            let events = presence.update(now, &[probability], &THRESHOLDS);
            changes.extend(events.iter().map(|event| (at, event.change)));
        }
        changes
    }

    #[test]
    fn a_present_label_stays_between_the_two_thresholds() {
        let steps = [(0, 0.49), (100, 0.5), (200, 0.31), (300, 0.29), (400, 0.49)];
        let lasted = Change::Vanished(Duration::from_millis(200));
        assert_eq!(
            changes(plain(), &steps),
            [(100, Change::Appeared), (300, lasted)]
        );
    }

    #[test]
    fn a_label_appears_once_it_has_been_there_for_the_time_asked() {
        let options = PresenceOptions {
            appear_after: Duration::from_millis(200),
            ..plain()
        };
        let flicker = [(0, 0.9), (100, 0.1), (200, 0.9), (300, 0.9), (400, 0.9)];
        assert_eq!(changes(options, &flicker), [(400, Change::Appeared)]);
    }

    #[test]
    fn a_gap_shorter_than_asked_does_not_end_a_presence() {
        let options = PresenceOptions {
            vanish_after: Duration::from_millis(300),
            ..plain()
        };
        let steps = [(0, 0.9), (100, 0.0), (300, 0.9), (400, 0.0), (700, 0.0)];
        let lasted = Change::Vanished(Duration::from_millis(400));
        assert_eq!(
            changes(options, &steps),
            [(0, Change::Appeared), (700, lasted)]
        );
    }

    #[test]
    fn smoothing_does_not_depend_on_the_frame_rate() {
        let options = PresenceOptions {
            smoothing: Duration::from_secs(1),
            ..plain()
        };
        let score_after_a_second = |frames: u32| {
            let start = Instant::now();
            let mut presence = Presence::new(1, options);
            presence.update(start, &[0.0], &THRESHOLDS);
            for frame in 1..=frames {
                let now = start + Duration::from_secs(1) * frame / frames;
                presence.update(now, &[1.0], &THRESHOLDS);
            }
            presence.scores()[0]
        };
        let expected = 1.0 - (-1.0_f32).exp();
        for frames in [1, 10, 100] {
            assert!((score_after_a_second(frames) - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn the_first_frame_counts_fully() {
        assert_eq!(changes(PresenceOptions::default(), &[(0, 0.9)]).len(), 1);
    }

    #[test]
    fn no_number_and_time_running_back_do_no_harm() {
        let steps = [(500, 0.9), (100, 0.9), (600, f32::NAN), (700, 0.9)];
        let lasted = Change::Vanished(Duration::from_millis(100));
        assert_eq!(
            changes(plain(), &steps),
            [
                (500, Change::Appeared),
                (600, lasted),
                (700, Change::Appeared)
            ]
        );
    }

    #[test]
    fn clearing_ends_what_is_present_and_forgets_the_scores() {
        let start = Instant::now();
        let mut presence = Presence::new(1, plain());
        presence.update(start, &[0.9], &THRESHOLDS);
        let events = presence.clear(start + Duration::from_secs(2));
        assert_eq!(events[0].change, Change::Vanished(Duration::from_secs(2)));
        assert_eq!(presence.scores(), [0.0]);
        assert!(presence.present().is_empty());
    }
}
