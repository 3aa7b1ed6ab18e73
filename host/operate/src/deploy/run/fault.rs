//! Why a stage was not passed.

use thiserror::Error;

use crate::load::CandidateError;
use sandman_core::contract::STATE_VERSIONS_BACK;
use sandman_core::store::StoreError;

/// Why a stage was not passed.
#[derive(Debug, Error)]
pub(super) enum StageFault {
    #[error("the component has more than the {0} bytes that host.component allows")]
    TooLarge(usize),
    #[error("the handler is no longer configured")]
    Gone,
    #[error("version {0} has no component in the store")]
    NoComponent(u64),
    #[error(
        "its state-version is {reads}, and version {active}, which is active, writes {writes}: it could not read those \
         states; deploy a component that reads both, or say --force and have their events as dead letters"
    )]
    OlderState { reads: u32, active: u64, writes: u32 },
    #[error(
        "its state-version is {reads}, which reads states back to {}, and version {active}, which is active, writes {writes}; \
         deploy a version in between first, or say --force if it reads older ones as well",
        .reads - STATE_VERSIONS_BACK
    )]
    SkippedState { reads: u32, active: u64, writes: u32 },
    #[error(
        "version {active}, which is active, does not load, so which state-version it writes is not known; --force goes \
         on without"
    )]
    UnknownState { active: u64 },
    #[error(
        "{said}; inspect them with `sandman diff`, and use --accept-diffs if they are intended, or change the handler's `replay`"
    )]
    Replay { said: String },
    #[error(transparent)]
    Candidate(#[from] CandidateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
