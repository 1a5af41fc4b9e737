//! What there is to show at a moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use graphtag_runtime::frame::Frame;
use graphtag_runtime::stream::heat::{self, Heat};
use graphtag_runtime::stream::{Observation, Signal};
use tokio::sync::watch;

use crate::service::live::Live;

/// How long frames may be bad, or not come, before the panel says so.
const GRACE: Duration = Duration::from_secs(2);
/// How often the rate and the temperature are taken anew.
const MEASURE: Duration = Duration::from_secs(2);

/// What a panel shows. Scenes that look the same are equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// How the service fares.
    pub condition: Condition,
    /// The labels that are present, the likeliest first.
    pub tags: Vec<Tag>,
    /// The last frame that could be decoded.
    pub picture: Option<Shot>,
    /// Frames a second.
    pub rate: Option<f32>,
    /// What the sensors say, in whole degrees.
    pub heat: Heat,
}

/// How the service fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No frame yet.
    Starting,
    /// Frames come.
    Watching,
    /// They don't.
    Trouble {
        /// In two words.
        title: &'static str,
        /// In one line.
        cause: String,
    },
    /// The service has ended.
    Stopped,
}

/// A label that is present.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// The label.
    pub label: String,
    /// Its score, within 0..=1, in hundredths.
    pub score: f32,
    /// For so many seconds.
    pub seconds: u64,
}

/// A frame, known by its observation's number.
#[derive(Clone, Debug)]
pub struct Shot {
    /// The number of its observation.
    pub number: u64,
    /// The frame.
    pub frame: Arc<Frame>,
}

impl PartialEq for Shot {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Scene {
    /// Nothing to show but `condition`.
    pub fn bare(condition: Condition) -> Self {
        Scene {
            condition,
            tags: Vec::new(),
            picture: None,
            rate: None,
            heat: Heat::default(),
        }
    }
}

/// Looks at a running service.
pub struct Viewer {
    live: Arc<Live>,
    latest: watch::Receiver<Option<Arc<Observation>>>,
    picture: Option<Shot>,
    good: Instant,
    measured: Option<(Instant, u64)>,
    rate: Option<f32>,
    heat: Heat,
}

impl Viewer {
    /// Looks at `live`.
    pub fn new(live: Arc<Live>) -> Self {
        Viewer {
            latest: live.latest(),
            live,
            picture: None,
            good: Instant::now(),
            measured: None,
            rate: None,
            heat: Heat::default(),
        }
    }

    /// What there is to show now.
    pub fn look(&mut self) -> Scene {
        let latest = self.latest.borrow_and_update().clone();
        if let Some(observation) = &latest
            && let Some(frame) = &observation.frame
            && observation.problem.is_none()
        {
            let number = observation.number;
            if self
                .picture
                .as_ref()
                .is_none_or(|shot| shot.number != number)
            {
                let frame = frame.clone();
                self.picture = Some(Shot { number, frame });
                self.good = Instant::now();
            }
        }
        self.measure();
        Scene {
            condition: self.condition(),
            tags: latest.as_deref().map(tags).unwrap_or_default(),
            picture: self.picture.clone(),
            rate: self.rate,
            heat: self.heat,
        }
    }

    fn condition(&self) -> Condition {
        let trouble = |title, cause| Condition::Trouble { title, cause };
        let control = &self.live.control;
        match control.signal() {
            Signal::Lost(cause) => return trouble("No signal", cause),
            Signal::Opening if self.picture.is_none() => return Condition::Starting,
            _ => {}
        }
        if let Some(cause) = control.problem()
            && self.good.elapsed() > GRACE
        {
            return trouble("Bad frames", cause);
        }
        match self.live.unhealthy() {
            Some(cause) => trouble("Stuck", cause),
            None if self.picture.is_none() => Condition::Starting,
            None => Condition::Watching,
        }
    }

    fn measure(&mut self) {
        let counts = self.live.control.counts();
        let seen = counts.inferred + counts.still;
        let Some((at, before)) = self.measured else {
            self.measured = Some((Instant::now(), seen));
            self.heat = whole_degrees(heat::read());
            return;
        };
        let time = at.elapsed();
        if time > MEASURE {
            let rate = (seen - before) as f32 / time.as_secs_f32();
            self.rate = Some((rate * 10.0).round() / 10.0);
            self.heat = whole_degrees(heat::read());
            self.measured = Some((Instant::now(), seen));
        }
    }
}

fn tags(observation: &Observation) -> Vec<Tag> {
    let present = observation.present.iter();
    present
        .map(|present| Tag {
            label: observation.labels[present.label].clone(),
            score: (present.score.clamp(0.0, 1.0) * 100.0).round() / 100.0,
            seconds: present.since.elapsed().as_secs(),
        })
        .collect()
}

fn whole_degrees(heat: Heat) -> Heat {
    Heat {
        celsius: heat.celsius.map(f32::round),
        ..heat
    }
}
