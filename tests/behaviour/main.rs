//! What Sandman promises, one file a promise, shown with the real binary.

mod whole_way;

use std::process::ExitCode;

fn main() -> ExitCode {
    let all = [whole_way::BEHAVIOURS];
    sandman_tests::main(&all.concat())
}
