//! The threads that a network runs on.

use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder, Yield};
use tract_linalg::multithread::{Executor, multithread_tract_scope};

use crate::pool::locked;

/// Of the threads in the system's eyes, before their number.
const NAME: &str = "engine-";

/// How often a thread looks for work before it lets another process have the processor.
const LOOKS: u32 = 64;

/// The caller's thread alone, or a pool.
#[derive(Clone)]
pub(super) struct Threads(Option<Arc<ThreadPool>>);

impl Threads {
    /// The caller's thread alone.
    pub const CALLER: Threads = Threads(None);

    /// `count` threads.
    ///
    /// # Errors
    /// When the system refuses that many.
    pub fn new(count: NonZeroUsize) -> Result<Self, ThreadPoolBuildError> {
        if count == NonZeroUsize::MIN {
            return Ok(Threads::CALLER);
        }
        let pool = ThreadPoolBuilder::new().num_threads(count.get());
        let pool = pool.thread_name(|index| format!("{NAME}{index}")).build()?;
        Ok(Threads(Some(Arc::new(pool))))
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Runs `work`, tract's operations in it too, on these threads: on the caller's, or on one of the pool whose
    /// others take what it splits off.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.0 {
            None => work(),
            Some(pool) => {
                let executor = Executor::MultiThread(pool.clone());
                run_awake(pool, || multithread_tract_scope(executor, work))
            }
        }
    }
}

/// Runs `work` on the first thread of `pool`. The others stay awake until it is done: the steps of a network are so
/// short that waking a thread for each would take as long as its share of the work. Then they sleep.
fn run_awake<T: Send>(pool: &ThreadPool, work: impl FnOnce() -> T + Send) -> T {
    let work = Mutex::new(Some(work));
    let outcome = Mutex::new(None);
    let done = AtomicBool::new(false);
    pool.broadcast(|context| {
        if context.index() != 0 {
            return help_until(&done);
        }
        let _done = SetAtEnd(&done);
        let work = locked(&work).take();
        *locked(&outcome) = work.map(|work| work());
    });
    let outcome = outcome
        .into_inner()
        .unwrap_or_else(|error| error.into_inner());
    outcome.expect("a broadcast reaches the first thread and returns its panics")
}

/// Takes work that other threads of the pool split off.
fn help_until(done: &AtomicBool) {
    let mut looks = 0;
    while !done.load(Ordering::Acquire) {
        match rayon::yield_now() {
            Some(Yield::Executed) => looks = 0,
            _ if looks < LOOKS => {
                looks += 1;
                spin_loop();
            }
            _ => thread::yield_now(),
        }
    }
}

/// Sets its flag also when a panic ends the work.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use rayon::prelude::*;

    use super::*;

    fn threads(count: usize) -> Threads {
        Threads::new(NonZeroUsize::new(count).unwrap()).unwrap()
    }

    /// The scheduler's states of the pools' threads, such as S for asleep.
    fn states() -> Vec<char> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let stat = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).ok();
        let stats = tasks.filter_map(|task| stat(task.ok()?));
        let ours = stats.filter(|stat| stat.contains(&format!("({NAME}")));
        ours.filter_map(|stat| stat.rsplit(") ").next()?.chars().next())
            .collect()
    }

    #[test]
    fn what_is_split_off_is_done_and_a_panic_comes_back() {
        for count in [1, 2, 5] {
            let threads = threads(count);
            assert_eq!(threads.count(), count);
            for length in [0, 1, 100] {
                let sum: usize = threads.run(|| (0..length).into_par_iter().sum());
                assert_eq!(sum, length * length.saturating_sub(1) / 2);
            }
            let panics = || {
                threads.run(|| {
                    (0..9)
                        .into_par_iter()
                        .for_each(|index| assert!(index < 8, "nine"))
                });
            };
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
            assert_eq!(threads.run(|| 7), 7);
        }
    }

    #[test]
    fn threads_sleep_when_there_is_nothing_to_do() {
        let threads = threads(3);
        threads.run(|| (0..100).into_par_iter().for_each(|_| spin_loop()));
        let start = Instant::now();
        let mut asleep = 0;
        while asleep < 20 {
            let states = states();
            assert!(states.len() >= 3, "{states:?}");
            asleep = if states.iter().all(|&state| state == 'S') {
                asleep + 1
            } else {
                0
            };
            assert!(start.elapsed() < Duration::from_secs(60), "{states:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
