//! Where the capturing thread leaves the latest frame and the inferring one takes it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::frame::Frame;
use crate::source::SourceError;

/// Room for one frame: the newest wins.
#[derive(Default)]
pub(super) struct Slot {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    frame: Option<Frame>,
    end: Option<Result<(), SourceError>>,
}

/// What a slot has for the inferring thread.
pub(super) enum Taken {
    Frame(Frame),
    Nothing,
    /// No more frames will come.
    End(Result<(), SourceError>),
}

impl Slot {
    /// Leaves `frame`; whether it took the place of one that nobody took.
    pub fn put(&self, frame: Frame) -> bool {
        let replaced = self.lock().frame.replace(frame).is_some();
        self.changed.notify_all();
        replaced
    }

    /// Says that no more frames will come.
    pub fn end(&self, result: Result<(), SourceError>) {
        self.lock().end = Some(result);
        self.changed.notify_all();
    }

    /// Waits until there is no frame, until `deadline` at most; whether there is none.
    pub fn wait_empty(&self, deadline: Instant) -> bool {
        let mut content = self.lock();
        while content.frame.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            content = self.wait(content, left);
        }
        true
    }

    /// Takes the frame, waited for until `deadline` at most.
    pub fn take(&self, deadline: Instant) -> Taken {
        let mut content = self.lock();
        loop {
            if let Some(frame) = content.frame.take() {
                self.changed.notify_all();
                return Taken::Frame(frame);
            }
            if let Some(result) = content.end.take() {
                return Taken::End(result);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            content = self.wait(content, left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        content: MutexGuard<'a, Content>,
        time: std::time::Duration,
    ) -> MutexGuard<'a, Content> {
        let waited = self.changed.wait_timeout(content, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
