//! Waiting for the server where the caller must not wait.
//!
//! The driver drives its connections itself and refuses to do that on a thread that runs asynchronous code: it panics. Every
//! way to the server goes through here, so that no caller has to know.

use tokio::runtime::Handle;

/// Runs what waits for the server: here, or on a thread of its own where this one belongs to a runtime. Threads of a runtime
/// on which waiting is allowed cannot be told from the others; a thread more is nothing to what the server takes.
///
/// # Errors
/// What `failed` makes of a thread that cannot be started, or that panicked.
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
