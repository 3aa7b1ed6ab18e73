//! Follows the versions that other hosts of a fleet deploy.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use crossbeam_channel::{Sender, bounded, select};

use sandman_config::Config;
use sandman_core::store::DeploymentStore;

use super::control::HostControl;
use super::threads::Threads;

/// How often the store is asked which versions are active.
const LOOK: Duration = Duration::from_secs(1);

/// Starts the thread if other hosts may deploy. It ends when the returned value is dropped.
pub(super) fn follow(
    store: &Arc<dyn DeploymentStore>,
    control: &Arc<HostControl>,
    threads: &mut Threads,
) -> Result<Option<Sender<()>>> {
    if !store.is_shared() {
        return Ok(None);
    }
    let (stop, stopped) = bounded(0);
    let control = Arc::clone(control);
    threads.spawn("versions".to_owned(), move || {
        loop {
            select! {
                recv(stopped) -> _ => return,
                // A trigger has seen a state of a newer version, and waits.
                recv(control.registry.behind()) -> _ => {}
                default(LOOK) => {}
            }
            look(&control);
        }
    })?;
    Ok(Some(stop))
}

fn look(control: &HostControl) {
    let config = control.config.load_full();
    switch(control, &config);
    prepare(control, &config);
}

/// Loads versions that others are about to activate.
fn prepare(control: &HostControl, config: &Arc<Config>) {
    let hosts = match control.known_hosts() {
        Ok(hosts) => hosts,
        Err(error) => return tracing::warn!(%error, "it is not known which versions the other hosts deploy"),
    };
    for handler in &config.handlers {
        match control.deployer.prepare(config, handler, &hosts) {
            Ok(false) => continue,
            Ok(true) => tracing::info!(
                handler = &*handler.name,
                version = control.deployer.prepared(&handler.name),
                "loaded the version that another host is about to activate"
            ),
            Err(error) => tracing::error!(
                handler = &*handler.name, %error,
                "the version that another host is about to activate does not load here"
            ),
        }
        control.tell_hosts();
    }
}

/// Activates versions that others have activated.
fn switch(control: &HostControl, config: &Arc<Config>) {
    for handler in &config.handlers {
        match control.deployer.follow(config, handler) {
            Ok(None) => {}
            Ok(Some(version)) => {
                tracing::info!(
                    handler = &*handler.name,
                    version,
                    "another host has deployed; this version is active here too"
                );
            }
            Err(error) => {
                tracing::error!(
                    handler = &*handler.name, %error,
                    "another host has deployed a version that does not load here; the previous one is still served"
                );
            }
        }
    }
}
