//! Progress of long work: a bar with the time left on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// How often a log gets a line.
const LINE_INTERVAL: Duration = Duration::from_secs(15);

/// Progress through a known number of steps, shown on stderr. Shared between threads by reference.
pub struct Progress {
    bar: ProgressBar,
    title: String,
    /// When the last plain line was printed; nothing on a terminal, where the bar is drawn instead.
    last_line: Option<Mutex<Instant>>,
}

impl Progress {
    /// Starts at `done` of `total` steps; the steps already done do not count for the time left.
    pub fn new(title: &str, done: usize, total: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal {
            ProgressBar::new(total as u64)
        } else {
            ProgressBar::with_draw_target(
                Some(total as u64),
                indicatif::ProgressDrawTarget::hidden(),
            )
        };
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left")
        {
            bar.set_style(style);
        }
        bar.set_message(title.to_string());
        bar.set_position(done as u64);
        bar.reset_eta();
        Progress {
            bar,
            title: title.to_string(),
            last_line: (!terminal).then(|| Mutex::new(Instant::now())),
        }
    }

    /// Counts `steps` more as done.
    pub fn advance(&self, steps: usize) {
        self.bar.inc(steps as u64);
        let Some(last_line) = &self.last_line else {
            return;
        };
        // A thread that finds the lock taken leaves the line to the one that has it.
        if let Ok(mut last_line) = last_line.try_lock()
            && last_line.elapsed() >= LINE_INTERVAL
        {
            *last_line = Instant::now();
            self.print_line();
        }
    }

    /// Prints a line of its own without disturbing the bar.
    pub fn note(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Ends the bar, leaving it on the screen.
    pub fn finish(&self) {
        self.bar.abandon();
        if self.last_line.is_some() {
            self.print_line();
        }
    }

    fn print_line(&self) {
        let done = self.bar.position();
        let total = self.bar.length().unwrap_or(0);
        if done < total {
            let left = HumanDuration(self.bar.eta());
            eprintln!("{} {done}/{total}, {left} left", self.title);
        } else {
            eprintln!("{} {done}/{total}", self.title);
        }
    }
}
