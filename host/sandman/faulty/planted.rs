//! The bug that the environment asks for, planted at its step.

use std::any::Any;
use std::sync::OnceLock;

use sandman_core::faults::{self, FaultSetting, Step};

use crate::bugs::Bug;

/// What the environment asks for: `SANDMAN_TEST_FAULT=drop-batch:10`.
struct Planted {
    bug: Bug,
    setting: FaultSetting,
}

static PLANTED: OnceLock<Planted> = OnceLock::new();

/// Plants the bug that the environment asks for, if it asks for one; `nothing` is none.
///
/// # Errors
/// The name of a bug that there is not.
pub(crate) fn plant() -> Result<(), String> {
    let Some(setting) = FaultSetting::read("SANDMAN_TEST_FAULT").filter(|setting| setting.name() != "nothing") else {
        return Ok(());
    };
    let bug = Bug::named(setting.name()).ok_or_else(|| format!("there is no bug {:?} to plant", setting.name()))?;
    if PLANTED.set(Planted { bug, setting }).is_ok() {
        faults::install(alter);
    }
    Ok(())
}

fn alter(step: Step, value: &mut dyn Any) {
    if let Some(Planted { bug, setting }) = PLANTED.get() {
        bug.alter(step, value, &|| setting.is_due());
    }
}
