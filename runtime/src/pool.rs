//! Workspaces that are made once and used again.

use std::sync::{Mutex, MutexGuard};

/// Workspaces that nobody uses at the moment.
#[derive(Debug)]
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    /// One that nobody else uses until it is given back.
    pub fn take(&self) -> Option<T> {
        locked(&self.0).pop()
    }

    /// Keeps a workspace for the next user.
    pub fn give(&self, workspace: T) {
        locked(&self.0).push(workspace);
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Mutex::default())
    }
}

/// What is behind a lock whose holders leave nothing half done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}
