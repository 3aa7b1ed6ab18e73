//! Log messages for the operators of the handler. Their size is limited per call, and they are not part of the outcome.
//!
//! Do not log payloads: they contain personal data. In native tests the messages go to standard error.

use crate::bindings::sandman::handler::log::Level;

/// Logs individual steps, for the handler's developers.
pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message.as_ref());
}

/// Logs details that help to find an error.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// Logs something that an operator may want to know.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Logs something unexpected that the handler could deal with.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Logs an error.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

#[cfg(target_family = "wasm")]
fn write(level: Level, message: &str) {
    crate::bindings::sandman::handler::log::log(level, message);
}

#[cfg(not(target_family = "wasm"))]
#[expect(clippy::print_stderr, reason = "natively this runs in tests only, which capture it")]
fn write(level: Level, message: &str) {
    eprintln!("{level:?} {message}");
}

/// Sends the message and the location of a panic to the host before the trap that follows it.
#[cfg(target_family = "wasm")]
pub(crate) fn report_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or("a panic without text");
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            crate::bindings::sandman::handler::log::panicked(message, &place);
        }));
    });
}
