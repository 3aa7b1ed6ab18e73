//! The starting point of a change of a version.

use std::sync::Arc;

use super::Deployer;
use super::live::Live;
use crate::recordings::Recordings;
use sandman_config::Config;
use sandman_core::store::VersionStore;
use sandman_engine::registry::Handler;
use sandman_sandbox::Sandbox;

/// The version that is active when a change of it begins.
pub(super) struct Before {
    pub(super) number: u64,
    pub(super) digest: Arc<str>,
    /// Its `state-version`; `None` if it does not load.
    pub(super) writes: Option<u32>,
}

/// The handler to change.
pub(super) struct Subject<'a> {
    pub(super) config: Arc<Config>,
    pub(super) sandbox: &'a Arc<Sandbox>,
    pub(super) versions: &'a dyn VersionStore,
    pub(super) recordings: &'a Recordings,
    pub(super) name: &'a Arc<str>,
    pub(super) before: Before,
    /// The running handler; `None` if the change applies from the next start on.
    pub(super) live: Option<Live<'a>>,
}

impl<'a> Subject<'a> {
    /// A handler of a running host.
    pub(super) fn of_live(deployer: &'a Deployer, handler: &'a Handler) -> Self {
        let active = handler.active();
        Self {
            config: deployer.config.load_full(),
            sandbox: &deployer.sandbox,
            versions: &*deployer.versions,
            recordings: &deployer.recordings,
            name: &handler.name,
            before: Before {
                number: active.number,
                digest: Arc::clone(&active.digest),
                writes: Some(active.terms.state_version()),
            },
            live: Some(Live { deployer, handler }),
        }
    }
}
