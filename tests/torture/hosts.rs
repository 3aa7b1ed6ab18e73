//! The host of a run: started, killed and started again while clients go on.

use std::os::unix::process::ExitStatusExt;
use std::sync::PoisonError;

use anyhow::ensure;

use crate::host::EndedEarly;
use crate::wait::PATIENCE;
use crate::{Handler, Host, Result, Settings, guest};

use super::run::Run;

/// How long Kafka leaves a transaction open that nobody goes on with.
pub(super) const TRANSACTION_TIMEOUT: &str = "kafka.options.\"transaction.timeout.ms\"";

impl Run<'_> {
    /// The handler `witness`, with quick retries.
    ///
    /// # Errors
    /// If the guest does not build.
    pub fn handler(&self) -> Result<Handler> {
        let retry = r#"{ attempts = 4, first = "100ms", factor = 2.0, max = "1s" }"#;
        Ok(Handler::new("witness", &guest("witness")?)
            .consumes(&[&self.input_topic().to_owned()])
            .emits(&witness::TYPES)
            .set("retry", retry))
    }

    /// Settings with that handler.
    ///
    /// # Errors
    /// If the guest does not build.
    pub fn settings(&self) -> Result<Settings> {
        self.settings_with(self.handler()?)
    }

    /// Settings with the handler `witness` as it is given: small commits, routes for its clients, and transactions that
    /// Kafka does not end for minutes: one that a relay forgot must still be there when the checker looks.
    ///
    /// # Errors
    /// If there is no broker.
    pub fn settings_with(&self, handler: Handler) -> Result<Settings> {
        Ok(self
            .world
            .settings()?
            .set("host.batch", "20")
            .set(TRANSACTION_TIMEOUT, "300000")
            .handler(handler)
            .route("/work/{key}", &["witness"])
            .route_for("GET", "/work/{key}", &["witness"]))
    }

    /// Starts a host; clients of its routes find it from now on.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn host(&self, settings: &Settings) -> Result<Host> {
        let host = self.world.host(settings)?;
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(host.http()?.to_owned());
        Ok(host)
    }

    /// Kills a host, and starts another one in its place.
    ///
    /// # Errors
    /// If that does not become ready.
    pub fn kill_and_start(&self, host: Host, settings: &Settings) -> Result<Host> {
        self.lose_address();
        host.kill()?;
        self.fault();
        self.host(settings)
    }

    /// Waits until a host has died of itself, and starts another one.
    ///
    /// # Errors
    /// If it does not die, or the other one does not become ready.
    pub fn died_and_start(&self, host: Host, settings: &Settings) -> Result<Host> {
        let ended = host.wait(PATIENCE)?;
        ensure!(ended.status.signal() == Some(9), "the host ended with {}", ended.status);
        self.lose_address();
        self.fault();
        self.host(settings)
    }

    /// Starts a host that dies of itself, and waits until it has; it may not even become ready.
    ///
    /// # Errors
    /// If it does not die.
    pub fn dies(&self, settings: &Settings) -> Result {
        let status = match self.host(settings) {
            Ok(host) => host.wait(PATIENCE)?.status,
            Err(error) => error.downcast::<EndedEarly>()?.0,
        };
        ensure!(status.signal() == Some(9), "the host ended with {status}");
        self.lose_address();
        self.fault();
        Ok(())
    }

    /// Clients of the routes wait until there is a host again.
    pub fn lose_address(&self) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn address(&self) -> Option<String> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
