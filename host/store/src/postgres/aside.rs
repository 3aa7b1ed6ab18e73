//! Calls the server from threads that must not block.
//!
//! The driver runs an async runtime of its own and panics on a thread that already runs async code. Every call of the
//! server goes through here, so that callers need not know.

use tokio::runtime::Handle;

/// Runs a blocking call of the server: on this thread, or on a new one if this one belongs to a runtime. Threads of a
/// runtime that may block cannot be distinguished from the others; starting a thread costs little compared with the
/// call.
///
/// # Errors
/// The result of `failed` for a thread that cannot be started, or that panicked.
pub(super) fn aside<T: Send, E: Send>(
    work: impl FnOnce() -> Result<T, E> + Send,
    failed: impl FnOnce(String) -> E,
) -> Result<T, E> {
    if Handle::try_current().is_err() {
        return work();
    }
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("store".to_owned());
        thread
            .spawn_scoped(scope, work)
            .map(std::thread::ScopedJoinHandle::join)
    });
    match done {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(failed("the thread that waits for the store panicked".to_owned())),
        Err(error) => Err(failed(format!("a thread cannot be started: {error}"))),
    }
}
