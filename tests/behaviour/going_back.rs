//! The ways back to a version that serves well: past a state that it cannot read, and where the active version keeps the
//! host from starting.

use anyhow::ensure;
use sandman_tests::{Behaviour, Ended, Event, Result, Settings, World, hostile, rewritten};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "a_version_that_cannot_read_the_states_that_are_there_serves_by_force_alone",
        older_state,
    ),
    Behaviour::new(
        "where_the_active_version_does_not_fit_the_file_another_is_activated_offline",
        unfit,
    )
    .with_its_own_store("it changes the file of a stopped host"),
    Behaviour::new(
        "where_the_active_version_is_damaged_another_is_activated_offline_by_force",
        damaged,
    )
    .with_its_own_store("it changes the file of a stopped host"),
];

/// The guest with another version of its state's format.
fn formatted(digit: char) -> Result<Vec<u8>> {
    rewritten(
        "hostile",
        "hostile state format:0",
        &format!("hostile state format:{digit}"),
    )
}

fn says(ended: &Ended, code: i32, words: &[&str]) -> Result {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    ensure!(ended.code() == code, "it ended with {}: {said}", ended.status);
    for word in words {
        ensure!(said.contains(word), "nothing of {word:?}: {said}");
    }
    Ok(())
}

fn older_state(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let host = world.host(&world.settings()?.handler(hostile(&[&input])?))?;
    ensure!(host.deployed("hostile", &formatted('2')?)? == 2, "not version 2");
    let asked = |arguments: &[&str]| world.command(&[arguments, &["--host", host.admin()]].concat(), &[]);

    let refusal = [
        "refused at `contract`",
        "its state-version is 0",
        "version 2, which is active, writes 2",
        "--force",
        "version 2 continues to serve",
    ];
    says(&asked(&["rollback", "hostile"])?, 1, &refusal)?;
    let first = world.file("first.wasm", &formatted('0')?)?;
    says(&asked(&["deploy", "hostile", &first])?, 1, &refusal)?;
    // One that was never there is no better for being new.
    let between = world.file("between.wasm", &formatted('1')?)?;
    says(
        &asked(&["deploy", "hostile", &between])?,
        1,
        &["its state-version is 1"],
    )?;
    ensure!(host.version("hostile")? == 2, "version 2 does not serve");

    says(
        &asked(&["rollback", "hostile", "--force"])?,
        0,
        &["version 1 serves, replacing version 2"],
    )?;
    says(
        &asked(&["history", "hostile"])?,
        0,
        &["forced: state-version 0 after 2"],
    )?;
    // Forward, and again by a deploy.
    says(&asked(&["rollback", "hostile", "--to", "2"])?, 0, &["version 2 serves"])?;
    says(
        &asked(&["deploy", "hostile", &first, "--force"])?,
        0,
        &["version 1 serves"],
    )?;
    world.send(&input, &[Event::told("ann", "nothing", 1)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;

    // A version reads the states of the two before its own, so that none is left out on the way.
    let later = world.file("later.wasm", &formatted('3')?)?;
    let skipped = [
        "its state-version is 3, which reads states back to 1",
        "version 1, which is active, writes 0",
    ];
    says(&asked(&["deploy", "hostile", &later])?, 1, &skipped)?;
    says(&asked(&["rollback", "hostile", "--to", "2"])?, 0, &["version 2 serves"])?;
    says(&asked(&["deploy", "hostile", &later])?, 0, &["serves"])?;
    Ok(())
}

fn unfit(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let narrow: Settings = world.settings()?.handler(hostile(&[&input])?);
    let wide = world
        .settings()?
        .handler(hostile(&[&input])?.emits(&["hostile.done", "hostile.secret"]));
    let more = rewritten("hostile", "describes itself:well", "describes itself:more")?;
    let more_file = world.file("more.wasm", &more)?;
    let rollback =
        |arguments: &[&str]| world.command(&[&["rollback", "--offline", "hostile"], arguments].concat(), &[]);
    let deploy = |file: &str| world.command(&["deploy", "--offline", "hostile", file], &[]);

    world.file("sandman.toml", wide.text().as_bytes())?;
    says(&rollback(&[])?, 1, &["there is no store"])?;
    let host = world.host(&wide)?;
    ensure!(host.deployed("hostile", &more)? == 2, "not version 2");
    says(
        &rollback(&[])?,
        1,
        &["--offline is for a stopped host", "in use by process"],
    )?;
    host.terminate()?;

    let refused = world.host_that_ends("", &narrow)?;
    let ways = [
        "version 2",
        "hostile.secret",
        "sandman deploy --offline hostile FILE",
        "sandman rollback --offline hostile",
    ];
    says(&refused, 1, &ways)?;
    says(
        &deploy(&more_file)?,
        1,
        &["refused at `contract`", "version 2 stays the active one"],
    )?;
    let done = rollback(&[])?;
    says(
        &done,
        0,
        &["version 1 serves from the next start on, replacing version 2"],
    )?;
    says(&rollback(&["--to", "7"])?, 1, &["there are: 2, 1"])?;
    let host = world.host(&narrow)?;
    ensure!(host.version("hostile")? == 1, "version 1 does not serve");
    world.send(&input, &[Event::told("ann", "nothing", 1)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;
    host.terminate()?;

    let next = world.file("next.wasm", &formatted('1')?)?;
    says(
        &deploy(&next)?,
        0,
        &[
            "compiled",
            "version 3 serves from the next start on, replacing version 1",
        ],
    )?;
    let host = world.host(&narrow)?;
    let history = host.history("hostile")?;
    let expected = [
        "deploy active 3 offline",
        "rollback active 1 offline",
        "deploy refused null offline",
        "deploy active 2 local",
        "start active 1 sandman.toml",
    ];
    ensure!(history == expected, "{history:#?}");
    world.send(&input, &[Event::told("ann", "nothing", 2)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(2)?;
    Ok(())
}

fn damaged(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = world.settings()?.handler(hostile(&[&input])?);
    world.host(&settings)?.terminate()?;
    world.store().spoil_components()?;
    let refusal = ["is damaged", "the bytes of the component", "have changed"];
    says(&world.host_that_ends("", &settings)?, 1, &refusal)?;

    let next = world.file("next.wasm", &formatted('1')?)?;
    let deploy =
        |arguments: &[&str]| world.command(&[&["deploy", "--offline", "hostile", &next], arguments].concat(), &[]);
    let unknown = ["version 1, which is active, does not load", "--force"];
    says(&deploy(&[])?, 1, &unknown)?;
    says(&deploy(&["--force"])?, 0, &["version 2 serves from the next start on"])?;
    let host = world.host(&settings)?;
    ensure!(host.version("hostile")? == 2, "version 2 does not serve");
    world.send(&input, &[Event::told("ann", "nothing", 1)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;
    host.still_runs()
}
