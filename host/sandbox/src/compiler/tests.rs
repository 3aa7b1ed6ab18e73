//! A child that is a shell: what its end means.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{CompileBounds, CompilerFault, run};

fn child(script: &str, millis: u64) -> Result<(), CompilerFault> {
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let bounds = CompileBounds {
        time: Duration::from_millis(millis),
        memory: 1 << 30,
    };
    run(Ok(command), bounds, b"")
}

#[test]
fn a_child_that_waits_for_a_core_has_its_time() {
    let ended = child("sleep 1.1", 1_000);
    assert!(ended.is_ok(), "{ended:?}");
}

#[test]
fn a_child_that_used_its_cpu_time_is_too_slow() {
    let ended = child("ulimit -S -t 1; while :; do :; done", 60_000);
    assert!(matches!(ended, Err(CompilerFault::TooSlow)), "{ended:?}");
}

#[test]
fn a_child_that_stands_still_is_given_up() {
    let ended = child("exec sleep 600", 20);
    assert!(matches!(ended, Err(CompilerFault::Stalled)), "{ended:?}");
}

#[test]
fn what_a_child_says_last_is_the_reason() {
    let ended = child("echo no such import >&2; exit 1", 60_000);
    assert!(
        matches!(&ended, Err(CompilerFault::Refused(words)) if words == "no such import"),
        "{ended:?}"
    );
    let ended = child("kill -9 $$", 60_000);
    assert!(
        matches!(&ended, Err(CompilerFault::Died(how)) if how.starts_with("signal 9")),
        "{ended:?}"
    );
}
