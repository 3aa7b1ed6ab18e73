//! The demo of a fleet during the traffic: a version swap on all hosts by a deploy on one, a host that is killed and
//! restarted, and a rollback on the other host.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::addresses::HostAddresses;
use super::commands::{ask, listed, version};
use super::scene::{NAMES, Scene};
use super::story::DemoStory;
use super::{DemoOptions, OUTAGE, PART, Times, first_reason, refused, succeeded, wait};

/// How long the hosts may take to agree.
const PATIENCE: Duration = Duration::from_secs(30);

/// The events during the traffic.
pub(super) fn play(
    scene: &mut Scene,
    addresses: &HostAddresses,
    story: &DemoStory,
    options: &DemoOptions,
) -> Result<Times> {
    let wait = |time| wait(time, &options.interrupted);
    wait(PART)?;
    let swap = Instant::now();
    let said = ask(
        scene.folder(),
        scene.host(0)?,
        &["deploy", "profile", "second/profile.wasm"],
    )?;
    let swap = (swap, Instant::now());
    story.tell("deploy on host one", &succeeded(said)?);
    all_serve(scene, story, 2)?;
    wait(PART)?;
    let said = ask(
        scene.folder(),
        scene.host(1)?,
        &["deploy", "profile", "first/preferences.wasm"],
    )?;
    story.tell("deploy a wrong one", &first_reason(&refused(said)?));
    show_hosts(scene, story)?;
    let killed = Instant::now();
    scene.kill(1)?;
    story.tell(
        "host two killed",
        "with kill -9; its clients ask host one, with the same Idempotency-Key",
    );
    wait(OUTAGE)?;
    scene.start_again(1)?;
    addresses.replace(1, &scene.host(1)?.http);
    let fault = (killed, Instant::now());
    story.tell(
        "host two is back",
        "under its name, which it gets once its heartbeat has been missed",
    );
    all_serve(scene, story, 2)?;
    wait(PART)?;
    let said = ask(scene.folder(), scene.host(1)?, &["rollback", "profile"])?;
    story.tell("roll back on two", &succeeded(said)?);
    all_serve(scene, story, 1)?;
    wait(PART)?;
    show_hosts(scene, story)?;
    Ok(Times {
        swap,
        fault,
        fault_named: "one host killed",
        aborted_within: None,
    })
}

/// Waits until each host reports that it serves this version of the profile handler.
fn all_serve(scene: &Scene, story: &DemoStory, wanted: u64) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let versions = (0..NAMES.len()).map(|host| version(scene.folder(), scene.host(host)?, "profile"));
        let versions = versions.collect::<Result<Vec<_>>>()?;
        if versions.iter().all(|version| *version == Some(wanted)) {
            let names = NAMES.join(" and ");
            story.tell(
                "on both hosts",
                &format!("version {wanted} of profile serves on {names}"),
            );
            return Ok(());
        }
        ensure!(
            Instant::now() < until,
            "the hosts serve versions {versions:?} of profile, and not {wanted}"
        );
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Shows the output of `sandman hosts`.
fn show_hosts(scene: &Scene, story: &DemoStory) -> Result<()> {
    let lines = listed(scene.folder(), scene.host(0)?, &["hosts"]).context("sandman hosts")?;
    story.tell("sandman hosts", "as any of them tells it");
    for line in lines {
        story.verbatim(&line);
    }
    Ok(())
}
