//! The `sandman` command: see `sandman --help`.

use std::process::ExitCode;

/// Events are allocated by one thread and freed by another. The system's allocator spent a quarter of the host's CPU time on
/// that (`just profile`). The feature `override` has the binary
/// export `malloc` and its fellows, so that librdkafka, which takes ten pieces of memory for a record and frees them on
/// another thread, uses it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sandman::cli::main()
}
