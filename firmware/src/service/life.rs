//! The life of the service: signals of the system, the service manager's watchdog, and what is logged.

use std::iter;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use graphtag_runtime::stream::{Control, Signal};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::live::STUCK;

/// How often the stream is looked at.
const ROUND: Duration = Duration::from_millis(200);
/// The most time from a signal to the end of the process.
const FAREWELL: Duration = Duration::from_millis(1800);
/// The same from a second signal, which still leaves the time to end a camera's program.
const HASTE: Duration = Duration::from_millis(600);
/// A stream of bad frames is logged no more often than this.
const PROBLEM_PERIOD: Duration = Duration::from_secs(10);

/// Three threads: one waits for signals, one looks after the stream, and one reloads.
pub struct Life {
    signals: Handle,
    ended: Sender<()>,
    reloads: Receiver<()>,
    control: Arc<Control>,
}

impl Life {
    /// Stops the stream of `control` on SIGTERM and SIGINT, from now on. Problems of frames are logged only
    /// where `log_problems`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(control: Arc<Control>, log_problems: bool) -> Result<Self> {
        let mut signals =
            Signals::new([SIGTERM, SIGINT, SIGHUP]).context("signals can't be handled")?;
        let handle = signals.handle();
        let (stopped, watched) = (control.clone(), control.clone());
        // One that waits stands for all: it is done after the last of them.
        let (reload, reloads) = mpsc::sync_channel(1);
        thread::spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    let _ = reload.try_send(());
                } else {
                    if stopped.is_stopped() {
                        thread::spawn(|| end_after(HASTE));
                        continue;
                    }
                    notify(&[NotifyState::Stopping]);
                    stopped.stop();
                    thread::spawn(|| end_after(FAREWELL));
                }
            }
        });
        let (ended, end) = mpsc::channel();
        thread::spawn(move || {
            let mut watch = Watch::default();
            while end.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
                watch.look(&control);
                if log_problems {
                    watch.log_problem(control.problem());
                }
            }
        });
        Ok(Life {
            signals: handle,
            ended,
            reloads,
            control: watched,
        })
    }

    /// Says that the service is ready, and calls `reload` for every SIGHUP from now on, in a thread of its
    /// own: a model that takes long to load does not keep the service from ending.
    pub fn ready(self, mut reload: impl FnMut() + Send + 'static) -> Ready {
        thread::spawn(move || {
            for () in self.reloads {
                notify(&reloading());
                reload();
                if !self.control.is_stopped() {
                    notify(&[NotifyState::Ready]);
                }
            }
        });
        notify(&[NotifyState::Ready]);
        Ready {
            signals: self.signals,
            ended: self.ended,
        }
    }
}

/// The life of a service that is ready.
pub struct Ready {
    signals: Handle,
    ended: Sender<()>,
}

impl Ready {
    /// Leaves signals to the system again, as far as the threads go.
    pub fn finish(self) {
        self.signals.close();
        // The thread may be gone already.
        let _ = self.ended.send(());
    }
}

/// Some sink or source may hang; the process does not.
fn end_after(time: Duration) {
    thread::sleep(time);
    eprintln!("graphtag: not everything came to its end in time");
    process::exit(0);
}

/// What was last seen of the stream.
#[derive(Default)]
struct Watch {
    signal: Option<Signal>,
    problem: Option<(Instant, String)>,
    pinged: Option<Instant>,
}

impl Watch {
    fn look(&mut self, control: &Control) {
        let signal = control.signal();
        if self.signal.as_ref() != Some(&signal) {
            match (&self.signal, &signal) {
                (_, Signal::Lost(cause)) => eprintln!("graphtag: no frames: {cause}; trying again"),
                (Some(Signal::Lost(_)), Signal::Present) => eprintln!("graphtag: frames again"),
                _ => {}
            }
            self.signal = Some(signal);
        }
        self.ping(control);
    }

    fn log_problem(&mut self, problem: Option<String>) {
        let Some(problem) = problem else { return };
        let repeated = self
            .problem
            .as_ref()
            .is_some_and(|(logged, last)| *last == problem || logged.elapsed() < PROBLEM_PERIOD);
        if !repeated {
            eprintln!("graphtag: bad frame: {problem}");
            self.problem = Some((Instant::now(), problem));
        }
    }

    /// Pings the service manager's watchdog at half its time, while the stream makes progress.
    fn ping(&mut self, control: &Control) {
        let Some(time) = sd_notify::watchdog_enabled() else {
            return;
        };
        let alive = is_alive(control.progress(), time);
        if alive && self.pinged.is_none_or(|at| at.elapsed() > time / 2) {
            notify(&[NotifyState::Watchdog]);
            self.pinged = Some(Instant::now());
        }
    }
}

/// Whether the stream has made progress within `time`, and is not stuck.
fn is_alive(progress: Option<Instant>, time: Duration) -> bool {
    progress.is_some_and(|progress| progress.elapsed() < time.min(STUCK))
}

/// What the service manager is told when the configuration is being read again.
fn reloading() -> Vec<NotifyState<'static>> {
    let now = NotifyState::monotonic_usec_now();
    iter::once(NotifyState::Reloading).chain(now).collect()
}

/// Without a service manager nobody listens, which is no fault.
fn notify(states: &[NotifyState]) {
    let _ = sd_notify::notify(states);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stream_that_makes_progress_is_alive() {
        let before = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds));
        let time = Duration::from_secs(5);
        assert!(!is_alive(None, time));
        assert!(is_alive(Some(Instant::now()), time));
        assert!(!is_alive(before(6), time));
        assert!(!is_alive(before(11), Duration::from_secs(3600)));
    }
}
