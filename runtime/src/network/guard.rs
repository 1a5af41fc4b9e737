//! tract panics on some damaged graphs: its panics become errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::shorten;

thread_local! {
    /// Whether this thread catches a panic and reports it as an error.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the process's panic hook from printing those panics that this module catches and returns as errors:
/// tract panics on some damaged graphs. For a binary to call once, at its start.
pub fn silence_caught_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !GUARDED.get() {
            hook(panic);
        }
    }));
}

/// Runs `work`, turning a panic into its message.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    result.map_err(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        shorten(message.unwrap_or("internal error"))
    })
}
