//! From nothing to a handler that is changed while it serves, as somebody does it who sees Sandman for the first time.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Newcomer, Result, World, guest, repository};
use serde_json::Value;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_new_guest_is_built_tried_served_and_swapped", the_loop).without_broker(),
    Behaviour::new("a_new_guest_keeps_the_house_rules_of_cargo", house_rules).without_broker(),
    Behaviour::new("a_guest_that_does_not_compile_is_waited_for", waited_for).without_broker(),
    Behaviour::new("a_new_guest_that_cannot_be_is_refused_with_a_reason", refused).without_broker(),
];

const EVENT: &str = "welcomer/events/created.json";

fn the_loop(world: &World) -> Result {
    // What guests depend on is compiled by now.
    guest("echo")?;
    let newcomer = Newcomer::in_folder(world)?;
    let said = newcomer.does(&["new", "welcomer"])?;
    ensure!(said.contains("sandman dev"), "nothing says how to go on: {said}");
    newcomer.does(&["build", "welcomer"])?;
    newcomer.does(&["check"])?;
    let told = newcomer.does(&["invoke", "welcomer", "--event", EVENT, "--json"])?;
    let told: Value = serde_json::from_str(&told)?;
    ensure!(told["state"]["document"]["times"] == 1, "{told}");
    ensure!(told["events"][0]["eventType"] == "user.seen", "{told}");

    let before = newcomer.files()?;
    let dev = newcomer.dev(&[])?;
    dev.shows(&["in ", "user.created", "u-1"])?;
    dev.shows(&["out ", "user.seen", "u-1", "\"times\":1"])?;

    // A save is a new version, and the state is still there.
    newcomer.edit(
        "welcomer/src/lib.rs",
        "let payload = UserSeen {\n        user_id: &user_id,\n        times,\n    };",
        "let payload = serde_json::json!({ \"userId\": user_id, \"times\": times, \"loud\": true });",
    )?;
    dev.shows(&["welcomer: version 2 serves, replacing version 1"])?;
    newcomer.save(EVENT)?;
    dev.shows(&["out ", "\"loud\":true", "\"times\":2"])?;

    // What does not compile is shown, and the version before goes on.
    newcomer.edit("welcomer/src/lib.rs", "let times", "let tims")?;
    dev.complains(&["does not compile"])?;
    dev.complains(&["src/lib.rs:"])?;
    newcomer.save(EVENT)?;
    dev.shows(&["out ", "\"loud\":true", "\"times\":3"])?;

    // What asks for more than it is granted does not serve either.
    newcomer.edit("welcomer/src/lib.rs", "let tims", "let times")?;
    newcomer.edit(
        "welcomer/src/lib.rs",
        ".emits(\"user.seen\", \"1.0\")",
        ".emits(\"user.sen\", \"1.0\")",
    )?;
    dev.complains(&["refused at `contract`", "user.sen", "version 2 continues to serve"])?;

    // A file that holds no event says so; one that is given up is shown with its reason.
    newcomer.edit(EVENT, "\"eventType\"", "\"eventTyp\"")?;
    dev.complains(&["created.json", "no field `eventType`"])?;
    newcomer.edit(EVENT, "\"eventTyp\"", "\"eventType\"")?;
    newcomer.edit(EVENT, "\"userId\"", "\"user\"")?;
    dev.shows(&["dead ", "user.created", "payload"])?;

    // The configuration is followed.
    newcomer.edit(
        "sandman.toml",
        "[handlers.welcomer]",
        "[handlers.welcomer]\nlimits.time = \"51ms\"",
    )?;
    dev.shows(&["sandman.toml: followed"])?;
    newcomer.edit("sandman.toml", "51ms", "51 moons")?;
    dev.complains(&["sandman.toml", "handlers.welcomer.limits.time", "nothing changed"])?;

    let ended = dev.interrupt()?;
    ensure!(ended.code() == 0, "{}\n{}", ended.status, ended.stderr);
    ensure!(
        newcomer.files()? == before,
        "it left something behind: {:?}",
        newcomer.files()?
    );
    Ok(())
}

fn house_rules(world: &World) -> Result {
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.does(&["new", "tidy", "--path", "guests/tidy"])?;
    newcomer.cargo("guests/tidy", &["fmt", "--check"])?;
    newcomer.cargo("guests/tidy", &["fmt", "--check", "--", "--config", "max_width=120"])?;
    newcomer.cargo(
        "guests/tidy",
        &[
            "clippy",
            "--offline",
            "--locked",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    newcomer.cargo("guests/tidy", &["test", "--offline", "--locked"])
}

fn waited_for(world: &World) -> Result {
    guest("echo")?;
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.does(&["new", "slowly"])?;
    newcomer.edit("slowly/src/lib.rs", "fn describe", "fn descrive")?;
    let states = world.folder().join("states");
    let states = states.to_string_lossy();
    let dev = newcomer.dev(&["slowly", "--store", &states])?;
    dev.complains(&["does not compile"])?;
    newcomer.edit("slowly/src/lib.rs", "fn descrive", "fn describe")?;
    dev.shows(&["out ", "user.seen", "\"times\":1"])?;
    dev.interrupt()?;
    // A store in a folder is still there the next time.
    let dev = newcomer.dev(&["--store", &states])?;
    dev.shows(&["out ", "user.seen", "\"times\":2"])?;
    dev.interrupt()?;
    Ok(())
}

fn refused(world: &World) -> Result {
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.does(&["new", "first"])?;
    let (files, configuration) = (newcomer.files()?, newcomer.read("sandman.toml")?);
    let manifest = newcomer.read("first/Cargo.toml")?;
    let sdk = repository().join("guest/sdk");
    let cases: &[(&[&str], i32, &[&str])] = &[
        (
            &["new", "Big Name"],
            1,
            &["\"Big Name\" is not a valid name", "such as big-name"],
        ),
        (&["new", "../x"], 1, &["is not a valid name for a handler"]),
        (&["new", "match"], 1, &["\"match\"", "word of Rust"]),
        (&["new", "serde"], 1, &["\"serde\"", "another name"]),
        (
            &["new", "first", "--path", "second"],
            1,
            &["sandman.toml already has a handler \"first\""],
        ),
        (
            &["new", "second", "--path", "first"],
            1,
            &["first already exists and nothing is overwritten", "--path"],
        ),
        (
            &["new", "second", "--sdk", "nowhere"],
            1,
            &["no sandman-sdk in nowhere", "--sdk"],
        ),
        (
            &["new", "second", "--sdk", "first"],
            1,
            &["no sandman-sdk in first", "--sdk"],
        ),
        (&["new"], 2, &["<NAME>"]),
        (&["dev", "nowhere"], 1, &["there is no folder nowhere"]),
        (&["dev", "--config", "other.toml"], 1, &["other.toml", "--config"]),
    ];
    for (arguments, code, words) in cases {
        let ended = newcomer.sandman(arguments)?;
        ended.says(*code, words).with_context(|| format!("{arguments:?}"))?;
    }
    ensure!(
        newcomer.files()? == files,
        "something was written: {:?}",
        newcomer.files()?
    );
    ensure!(newcomer.read("first/Cargo.toml")? == manifest, "it was overwritten");

    // Beside a configuration that is there, a guest says what that needs, and touches nothing.
    let said = newcomer.does(&["new", "second", "--sdk", &sdk.to_string_lossy()])?;
    let table = said.split("[handlers.second]").nth(1).context("no table")?;
    ensure!(
        newcomer.read("sandman.toml")? == configuration,
        "the configuration was overwritten"
    );
    let table = table.split("Continue with").next().unwrap_or_default();
    newcomer.edit(
        "sandman.toml",
        "[handlers.first]",
        &format!("[handlers.second]{table}\n[handlers.first]"),
    )?;
    let checked = newcomer.sandman(&["check", "--json"])?;
    // Neither is built, and that is all that is wrong.
    let checked: Value = serde_json::from_str(&checked.stdout)?;
    let problems = checked["problems"].as_array().context("no problems")?;
    ensure!(
        problems
            .iter()
            .all(|problem| problem["problem"].to_string().contains("sandman build")),
        "{checked}"
    );
    Ok(())
}
