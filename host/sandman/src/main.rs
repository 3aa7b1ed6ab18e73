//! The `sandman` command: see `sandman --help`.

use std::process::ExitCode;

/// Events are allocated by one thread and freed by another. The system's allocator spent a quarter of the host's CPU
/// time on that (`just profile`). With the feature `override` the binary exports `malloc` and the related functions, so
/// that librdkafka, which makes ten allocations for a record and frees them on another thread, uses it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sandman::cli::main()
}
