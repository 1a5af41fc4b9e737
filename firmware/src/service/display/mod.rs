//! Shows what is present on a panel: HDMI, small panels on SPI or I2C, or a picture file.
//!
//! The thread looks at the service ten times a second and draws when something has changed, so that a slow panel
//! misses what is between and holds nothing up. A panel that is unplugged is opened anew until it is back.

mod address;
mod canvas;
mod layout;
mod panel;
mod scene;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::ends_within;
use super::live::Live;
pub use address::DisplayAddress;
use panel::{Panel, Unusable};
use scene::{Scene, Viewer};

/// The least time between two pictures.
const PERIOD: Duration = Duration::from_millis(100);
/// The first and the longest wait before a panel that is away is opened anew.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// How long the last picture may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// The running display.
pub struct Display {
    stop: Sender<()>,
    running: JoinHandle<()>,
}

impl Display {
    /// Shows `live` on the panel at `address`, in a thread of its own. A panel that is away may come later.
    ///
    /// # Errors
    /// When the panel can't be used as this system is set up.
    pub fn start(address: DisplayAddress, live: Arc<Live>) -> Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let (opened, first) = mpsc::channel();
        let running = thread::spawn(move || {
            let showing = Showing {
                address,
                viewer: Viewer::new(live),
                stopped,
            };
            showing.run(&opened);
        });
        let first = first
            .recv()
            .unwrap_or_else(|_| Err(anyhow!("it could not be started")));
        first.context("display")?;
        Ok(Display { stop, running })
    }

    /// Says farewell on the panel, or gives up after a moment.
    pub fn finish(self) {
        // The thread may be gone already.
        let _ = self.stop.send(());
        ends_within(&self.running, FAREWELL);
    }
}

struct Showing {
    address: DisplayAddress,
    viewer: Viewer,
    stopped: Receiver<()>,
}

impl Showing {
    /// Opens the panel and shows scenes, again and again, until it is told to stop. What became of opening it
    /// the first time is sent to `opened`.
    fn run(mut self, opened: &Sender<Result<()>>) {
        let mut wait = FIRST_WAIT;
        let mut away = false;
        let mut first = true;
        loop {
            // Each panel gets its own, since it keeps it.
            let mut buffer = Vec::new();
            let error = match self.open(&mut buffer) {
                Ok((panel, shown)) => {
                    if away {
                        eprintln!("graphtag: display {} is back", self.address);
                    }
                    (away, wait) = (false, FIRST_WAIT);
                    // Nobody waits any more after the first time.
                    let _ = opened.send(Ok(()));
                    match self.show(panel, shown) {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
                Err(Unusable::Misconfigured(error)) if first => {
                    let _ = opened.send(Err(error));
                    return;
                }
                Err(Unusable::Misconfigured(error) | Unusable::Away(error)) => error,
            };
            if !away {
                eprintln!(
                    "graphtag: display {}: {error:#}; trying again",
                    self.address
                );
            }
            let _ = opened.send(Ok(()));
            (away, first) = (true, false);
            if self.is_stopped_within(wait) {
                return;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// The panel, which already shows a first scene.
    fn open<'a>(
        &mut self,
        buffer: &'a mut Vec<u8>,
    ) -> Result<(Box<dyn Panel + 'a>, Scene), Unusable> {
        let mut panel = panel::open(&self.address, buffer)?;
        let scene = self.viewer.look();
        panel.show(&scene).map_err(Unusable::Away)?;
        Ok((panel, scene))
    }

    /// Shows what differs from the scene that is `shown`, until told to stop.
    fn show(&mut self, mut panel: Box<dyn Panel + '_>, mut shown: Scene) -> Result<()> {
        while !self.is_stopped_within(PERIOD) {
            let scene = self.viewer.look();
            if scene != shown {
                panel.show(&scene)?;
                shown = scene;
            }
        }
        // A panel that fails just now can't be said farewell to.
        let _ = panel.finish();
        Ok(())
    }

    fn is_stopped_within(&self, time: Duration) -> bool {
        self.stopped.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
    }
}
