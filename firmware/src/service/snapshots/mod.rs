//! Keeps the picture in which a label appeared, as a JPEG file.

mod store;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use graphtag_runtime::frame::Frame;
use graphtag_runtime::presence::Change;
use graphtag_runtime::stream::Observation;

use super::ends_within;
use super::live::Live;
use super::picture;
pub use store::Store;

/// Pictures that may wait for the disk.
const QUEUE: usize = 4;
/// A disk that refused a picture is not asked again before this time.
const RETRY: Duration = Duration::from_secs(2);
/// How long the queue may take to empty at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// Which pictures are kept where.
#[derive(Clone, Debug)]
pub struct SnapshotOptions {
    /// Made if only its last part is not there.
    pub folder: PathBuf,
    /// The labels whose appearance is kept; all if empty.
    pub labels: Vec<String>,
    /// The most bytes that this device's snapshots may take.
    pub quota: u64,
    /// The least time between two snapshots for the same label.
    pub period: Duration,
    /// The name of this device.
    pub name: String,
}

/// The running sink.
pub struct Snapshots {
    queue: SyncSender<Snapshot>,
    live: Arc<Live>,
    labels: Vec<String>,
    period: Duration,
    /// When the last snapshot for a label was taken.
    taken: HashMap<String, Instant>,
    running: JoinHandle<()>,
}

struct Snapshot {
    time: SystemTime,
    labels: Vec<String>,
    frame: Arc<Frame>,
    size: (u32, u32),
}

impl Snapshots {
    /// Writes in a thread of its own. What can't be written is counted in `live`.
    pub fn start(options: SnapshotOptions, live: Arc<Live>) -> Self {
        let (queue, snapshots) = sync_channel(QUEUE);
        let mut writing = Writing {
            store: Store::new(options.folder, &options.name, options.quota),
            live: live.clone(),
            failed: None,
        };
        Snapshots {
            queue,
            live,
            labels: options.labels,
            period: options.period,
            taken: HashMap::new(),
            running: thread::spawn(move || writing.run(&snapshots)),
        }
    }

    /// Queues the frame of `observation` if a label appeared in it, or drops it when too many wait already.
    pub fn publish(&mut self, observation: &Observation) {
        let Some(frame) = &observation.frame else {
            return;
        };
        let labels = self.due(observation, frame.captured);
        if labels.is_empty() {
            return;
        }
        let snapshot = Snapshot {
            time: observation.time,
            labels: labels.clone(),
            frame: frame.clone(),
            size: observation.size,
        };
        match self.queue.try_send(snapshot) {
            Ok(()) => {
                let taken = labels.into_iter().map(|label| (label, frame.captured));
                self.taken.extend(taken);
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                let before = self.live.dropped.snapshots.fetch_add(1, Ordering::Relaxed);
                if before == 0 {
                    eprintln!(
                        "graphtag: snapshots: the disk is too slow, so that some are left out"
                    );
                }
            }
        }
    }

    /// The labels that appeared in `observation` and are to be kept.
    fn due(&self, observation: &Observation, now: Instant) -> Vec<String> {
        let appeared = observation.events.iter();
        let appeared = appeared.filter(|event| event.change == Change::Appeared);
        appeared
            .map(|event| &observation.labels[event.label])
            .filter(|&label| self.labels.is_empty() || self.labels.contains(label))
            .filter(|&label| {
                let taken = self.taken.get(label);
                taken.is_none_or(|&taken| now.saturating_duration_since(taken) >= self.period)
            })
            .cloned()
            .collect()
    }

    /// Writes what is queued, or gives up after a moment.
    pub fn finish(self) {
        drop(self.queue);
        ends_within(&self.running, FAREWELL);
        let dropped = self.live.dropped.snapshots.load(Ordering::Relaxed);
        if dropped > 0 {
            eprintln!("graphtag: snapshots: {dropped} were left out");
        }
    }
}

struct Writing {
    store: Store,
    live: Arc<Live>,
    /// When the disk last refused, unless it has taken a picture since.
    failed: Option<Instant>,
}

impl Writing {
    fn run(&mut self, snapshots: &Receiver<Snapshot>) {
        self.store.remove_parts();
        for snapshot in snapshots {
            if !self.write(&snapshot) {
                self.live.dropped.snapshots.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn write(&mut self, snapshot: &Snapshot) -> bool {
        if self.failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return false;
        }
        let Some(jpeg) = picture::jpeg(&snapshot.frame, snapshot.size, u32::MAX) else {
            return false;
        };
        let folder = self.store.folder().display();
        match self.store.add(snapshot.time, &snapshot.labels, &jpeg) {
            Ok(_) => {
                if self.failed.take().is_some() {
                    eprintln!("graphtag: snapshots: {folder}: they are written again");
                }
                true
            }
            Err(error) => {
                if self.failed.is_none() {
                    eprintln!(
                        "graphtag: snapshots: {folder}: {error}; left out until it can be written"
                    );
                }
                self.failed = Some(Instant::now());
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use graphtag_runtime::frame::Picture;
    use graphtag_runtime::presence::Event;
    use graphtag_runtime::stream::Control;

    use super::*;

    fn observation(captured: Instant, appeared: &[usize]) -> Observation {
        let event = |&label: &usize| Event {
            label,
            score: 0.9,
            change: Change::Appeared,
        };
        let picture = image::RgbImage::from_pixel(32, 24, image::Rgb([80; 3]));
        Observation {
            number: 1,
            time: SystemTime::now(),
            frame: Some(Arc::new(Frame {
                captured,
                name: None,
                picture: Picture::Rgb(picture),
            })),
            size: (32, 24),
            labels: ["cat", "dog"].map(String::from).to_vec().into(),
            thresholds: [0.5; 2].into(),
            scores: vec![0.9; 2],
            present: Vec::new(),
            events: appeared.iter().map(event).collect(),
            problem: None,
            inferred: true,
            decode: Duration::ZERO,
            preprocess: Duration::ZERO,
            inference: Duration::ZERO,
        }
    }

    fn labels_of(folder: &std::path::Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        let label = |name: &String| name.rsplit('-').next().unwrap().to_owned();
        names.iter().map(label).collect()
    }

    fn live() -> Arc<Live> {
        let control = Arc::new(Control::default());
        Arc::new(Live::new(control, "test".into(), "model".into()))
    }

    fn options(folder: PathBuf) -> SnapshotOptions {
        SnapshotOptions {
            folder,
            labels: Vec::new(),
            quota: 1 << 20,
            period: Duration::from_secs(10),
            name: "porch".into(),
        }
    }

    #[test]
    fn a_label_is_kept_once_in_its_period_and_others_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshots = Snapshots::start(options(folder.path().into()), live());
        let begin = Instant::now();
        for (seconds, appeared) in [(0, [0].as_slice()), (5, &[0, 1]), (9, &[0]), (11, &[0])] {
            let captured = begin + Duration::from_secs(seconds);
            snapshots.publish(&observation(captured, appeared));
            thread::sleep(Duration::from_millis(2));
        }
        snapshots.finish();
        assert_eq!(labels_of(folder.path()), ["cat.jpg", "dog.jpg", "cat.jpg"]);
    }

    #[test]
    fn labels_that_were_not_asked_for_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let options = SnapshotOptions {
            labels: vec!["dog".into()],
            ..options(folder.path().into())
        };
        let mut snapshots = Snapshots::start(options, live());
        snapshots.publish(&observation(Instant::now(), &[0]));
        snapshots.publish(&observation(Instant::now(), &[0, 1]));
        snapshots.finish();
        assert_eq!(labels_of(folder.path()), ["dog.jpg"]);
    }

    #[test]
    fn a_folder_that_can_not_be_written_is_no_harm_and_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let live = live();
        let absent = folder.path().join("not/there");
        let mut snapshots = Snapshots::start(options(absent), live.clone());
        snapshots.publish(&observation(Instant::now(), &[0]));
        snapshots.publish(&observation(Instant::now(), &[1]));
        snapshots.finish();
        assert_eq!(live.dropped.snapshots.load(Ordering::Relaxed), 2);
    }
}
