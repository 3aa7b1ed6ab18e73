//! The `sandman` command: see `sandman --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandman::cli::main()
}
