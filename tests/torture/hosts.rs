//! The host of a run: started, killed and started again while clients go on.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::PoisonError;

use anyhow::ensure;

use crate::host::EndedEarly;
use crate::wait::PATIENCE;
use crate::{Handler, Host, Result, Settings, guest};

use super::lives::Target;
use super::plant::Plant;
use super::run::Run;

/// How long Kafka leaves a transaction open that nobody goes on with.
pub(super) const TRANSACTION_TIMEOUT: &str = "kafka.options.\"transaction.timeout.ms\"";

impl Run<'_> {
    /// The handler `witness`, with quick retries. It remembers no events: an input that counts twice must show.
    ///
    /// # Errors
    /// If the guest does not build.
    pub fn handler(&self) -> Result<Handler> {
        let retry = r#"{ attempts = 4, first = "100ms", factor = 2.0, max = "1s" }"#;
        Ok(Handler::new("witness", &guest("witness")?)
            .consumes(&[&self.input_topic().to_owned()])
            .emits(&witness::TYPES)
            .set("dedupe", "0")
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
        let settings = self
            .world
            .settings()?
            .set("host.batch", "20")
            .set(TRANSACTION_TIMEOUT, "300000")
            .handler(handler)
            .route("/work/{key}", &["witness"])
            .route_for("GET", "/work/{key}", &["witness"]);
        Ok(match &self.plant {
            Some(Plant::Host(bug)) => settings.fault("FAULT", bug),
            Some(Plant::KeepDocument) | None => settings,
        })
    }

    /// Starts a host; clients of its routes find it from now on.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn host(&self, settings: &Settings) -> Result<Host> {
        if self.plant == Some(Plant::KeepDocument) && !self.world.store().exists() {
            // The store is there once a host has made it.
            self.world.host(settings)?.terminate()?;
            self.world.store().keep_old_documents()?;
        }
        let host = self.world.host(settings)?;
        self.lives.begin(&host);
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(host.http()?.to_owned());
        Ok(host)
    }

    /// Starts a host of that name, in a folder of its own; clients of its routes find it from now on.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn host_named(&self, settings: &Settings, name: &str) -> Result<Host> {
        let settings = settings.clone().set("host.name", &format!("{name:?}"));
        let host = self.world.host_in(name, &settings, &[])?;
        self.lives.begin(&host);
        self.turn_to(&host)?;
        Ok(host)
    }

    /// Clients of the routes go to this host from now on.
    ///
    /// # Errors
    /// If it serves no routes.
    pub fn turn_to(&self, host: &Host) -> Result {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(host.http()?.to_owned());
        Ok(())
    }

    /// Kills a host that is at work.
    ///
    /// # Errors
    /// If it does not come to do what the kill is meant to hit.
    pub fn kill(&self, host: Host, target: Target) -> Result {
        self.hits(&host, "kill -9", target)?;
        self.lose_address();
        host.kill()
    }

    /// Kills a host that is at work, and starts another one in its place.
    ///
    /// # Errors
    /// If it does not come to do what the kill is meant to hit, or the other one does not become ready.
    pub fn kill_and_start(&self, host: Host, settings: &Settings, target: Target) -> Result<Host> {
        self.kill(host, target)?;
        self.host(settings)
    }

    /// Starts a host that dies of itself as soon as it comes to a step, often enough, after it has been at work.
    ///
    /// # Errors
    /// If it does not come to do what its death is meant to hit, or does not die.
    pub fn dies_at(&self, settings: &Settings, (step, times): (&str, u64), target: Target) -> Result {
        let armed = self.world.folder().join("armed");
        let when = format!("{step}:{times}:{}", armed.display());
        let host = self.host(&settings.clone().fault("CRASH", &when))?;
        self.at_work(&host, target)?;
        let fault = format!("death at the step {step}");
        let arm = || Ok(fs::write(&armed, "")?);
        let died = self.dies_at_work(&host, (&fault, target), arm);
        fs::remove_file(&armed)?;
        died?;
        self.lose_address();
        was_killed(host.wait(PATIENCE)?.status)
    }

    /// Starts a host that dies of itself, whatever it does until then; it may not even become ready.
    ///
    /// # Errors
    /// If it does not die.
    pub fn dies(&self, settings: &Settings) -> Result {
        let status = match self.host(settings) {
            Ok(host) => {
                self.dies_at_work(&host, ("death at a step after the start", Target::Start), || Ok(()))?;
                host.wait(PATIENCE)?.status
            }
            Err(error) => {
                self.fault();
                error.downcast::<EndedEarly>()?.0
            }
        };
        self.lose_address();
        was_killed(status)
    }

    /// Clients of the routes wait until there is a host again.
    pub fn lose_address(&self) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn address(&self) -> Option<String> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn was_killed(status: ExitStatus) -> Result {
    ensure!(status.signal() == Some(9), "the host ended with {status}");
    Ok(())
}
