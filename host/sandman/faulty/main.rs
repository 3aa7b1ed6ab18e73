//! `sandman` with faults in it, for the tests that show that faults are noticed. See `sandman_core::faults` for the steps, and
//! `bugs` for what is planted at them.

mod bugs;
mod planted;

use std::process::ExitCode;

fn main() -> Result<ExitCode, String> {
    planted::plant()?;
    Ok(sandman::cli::main())
}
