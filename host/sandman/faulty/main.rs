//! `sandman` with faults in it, for the tests that show that faults are noticed. See `sandman_core::faults`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandman::cli::main()
}
