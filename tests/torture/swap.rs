//! Versions come and go under load.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::checker::{Rules, Verdict};
use crate::{Host, Result, STAGES, grafted, guest, rewritten};

use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "swap-every-second",
        "a version every second under load, and kill -9 anywhere in a deploy",
        every_second,
    ),
    Scenario::short(
        "swap-refused",
        "versions that fail at each stage while the load goes on and the old one serves",
        refused,
    ),
    Scenario::short("swap-rollback", "deploys, rollbacks and kills under load", rolled_back),
];

const LONG: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);
/// The guest as this version.
pub(super) fn version(number: u64) -> Result<Vec<u8>> {
    rewritten(
        "witness",
        "witness version: 000001",
        &format!("witness version: {number:06}"),
    )
}

fn every_second(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    let mut host = run.host(&settings)?;
    let host = run.under(&Load::default(), || {
        for number in 2..2 + run.size(6, 45) {
            let component = version(number)?;
            // A host that was just started has no partitions yet.
            run.hits(&host, "a deploy", Target::EventsAndRequests)?;
            // Every third is killed behind some stage, as often as not while the deploy goes on.
            let last = match number % 3 {
                0 => STAGES.get(run.below(STAGES.len() as u64) as usize).copied(),
                _ => None,
            };
            let done = host.deploy("witness", &component, |passed| Some(passed) != last)?;
            match last {
                None => {
                    let done = done.context("the deploy has no end")?;
                    ensure!(done["outcome"] == "active", "not active: {done}");
                }
                // In the middle of the deploy, before which it was at work.
                Some(_) => {
                    run.lose_address();
                    host.kill()?;
                    host = run.host(&settings)?;
                }
            }
            run.for_long(SECOND);
        }
        run.until_seen(100, LONG);
        Ok(host)
    })?;
    run.finish(host)
}

/// Components that must not serve, and the stage at which each is refused. (A digest is only reckoned, and what has passed
/// every other stage becomes active, unless the store fails; `disk-full` refuses one at `stored`.)
fn bad() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let describes = |how: &str| rewritten("hostile", "describes itself:well", &format!("describes itself:{how}"));
    let wasi = r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#;
    let endless = "(module (func $f (call $f)) (start $f))";
    let whole = std::fs::read(guest("witness")?)?;
    let half = whole.get(..whole.len() / 2).unwrap_or_default().to_vec();
    Ok(vec![
        ("received", vec![0; 3 << 20]),
        ("world", b"garbage".to_vec()),
        ("world", half),
        ("world", wat::parse_str(wasi)?),
        ("compiled", grafted("witness", &wat::parse_str("(module)")?, 70)?),
        ("instantiated", grafted("witness", &wat::parse_str(endless)?, 1)?),
        ("described", describes("trap")?),
        ("contract", describes("more")?),
    ])
}

fn refused(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?.set("host.component", "\"2MiB\"");
    let host = run.host(&settings)?;
    run.under(&Load::default(), || {
        let mut number = 1;
        for _ in 0..run.size(1, 3) {
            for (stage, component) in bad()? {
                run.until_seen(50, LONG);
                let before = run.answered_events();
                let file = run.world.file("candidate.wasm", &component)?;
                let ended = run
                    .world
                    .command(&["deploy", "witness", &file, "--host", host.admin()], &[])?;
                ensure!(
                    ended.code() == 1 && ended.stderr.contains(&format!("refused at `{stage}`")),
                    "not refused at {stage}: {}{}",
                    ended.stdout,
                    ended.stderr
                );
                ensure!(
                    host.version("witness")? == number,
                    "another version serves after {stage}"
                );
                run.fault();
                run.until_seen(50, LONG);
                ensure!(
                    run.answered_events() >= before + 50,
                    "no event is answered after {stage}"
                );
            }
            // One that is good takes over in between.
            number = host.deployed("witness", &version(number + 1)?)?;
        }
        Ok(())
    })?;
    run.finish(host)
}

fn rolled_back(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    let mut host = run.host(&settings)?;
    let back = |host: &Host| -> Result<u64> {
        let ended = run
            .world
            .command(&["rollback", "witness", "--host", host.admin()], &[])?;
        ensure!(ended.code() == 0, "no rollback: {}", ended.stderr);
        host.version("witness")
    };
    let host = run.under(&Load::default(), || {
        for round in 0..run.size(2, 8) {
            let old = host.version("witness")?;
            let new = host.deployed("witness", &version(2 + round)?)?;
            ensure!(new != old, "{new} served before");
            run.until_seen(100, LONG);
            run.hits(&host, "a rollback", Target::EventsAndRequests)?;
            ensure!(back(&host)? == old, "not back at {old}");
            run.until_seen(100, LONG);
            if round % 2 == 1 {
                host = run.kill_and_start(host, &settings, Target::EventsAndRequests)?;
                ensure!(
                    host.version("witness")? == old,
                    "the kill brought the other version back"
                );
            }
        }
        Ok(host)
    })?;
    let rules = Rules {
        rolled_back: true,
        ..Rules::default()
    };
    run.finish_by(host, rules)
}
