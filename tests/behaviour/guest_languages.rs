//! Guests in every language: from nothing to an event handled, and changed while it serves; and one reference guest in each
//! (`tests/guests/reference`), of which all must do the same.

#[path = "guest_languages/conformance.rs"]
mod conformance;

use anyhow::ensure;
use sandman::guest::Language;
use sandman_tests::{Behaviour, Newcomer, Result, World, guest_in, repository};
use serde_json::Value;

use conformance::conforms;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_guest_in_rust_does_what_the_reference_says", |world| {
        conforms(world, Language::Rust)
    })
    .in_language(Language::Rust),
    Behaviour::new("a_guest_in_typescript_does_what_the_reference_says", |world| {
        conforms(world, Language::TypeScript)
    })
    .in_language(Language::TypeScript),
    Behaviour::new("a_guest_in_python_does_what_the_reference_says", |world| {
        conforms(world, Language::Python)
    })
    .in_language(Language::Python),
    Behaviour::new("a_guest_in_go_does_what_the_reference_says", |world| {
        conforms(world, Language::Go)
    })
    .in_language(Language::Go),
    Behaviour::new(
        "a_new_guest_in_typescript_is_built_tried_served_and_swapped",
        typescript,
    )
    .without_broker()
    .in_language(Language::TypeScript),
    Behaviour::new("a_guest_in_typescript_that_is_not_pure_is_found_out", impure)
        .without_broker()
        .in_language(Language::TypeScript),
    Behaviour::new("the_sdk_for_typescript_and_its_guests_pass_their_own_tests", own_tests)
        .without_broker()
        .in_language(Language::TypeScript),
];

const EVENT: &str = "shop/events/created.json";

fn typescript(world: &World) -> Result {
    let newcomer = Newcomer::in_folder(world)?;
    let said = newcomer.does(&["new", "shop", "--lang", "ts"])?;
    ensure!(said.contains("sandman dev"), "nothing says how to go on: {said}");

    // Mistakes of types and of syntax are shown with their place.
    newcomer.edit("shop/src/handler.ts", "put({ times })", "put({ time: times })")?;
    let ended = newcomer.sandman(&["build", "shop"])?;
    ended.says(1, &["does not compile", "src/handler.ts:", "times"])?;
    newcomer.edit("shop/src/handler.ts", "put({ time: times })", "put({ times })")?;
    newcomer.edit("shop/src/handler.ts", "export default", "export defalt")?;
    let ended = newcomer.sandman(&["build", "shop"])?;
    ended.says(1, &["does not compile", "src/handler.ts:"])?;
    newcomer.edit("shop/src/handler.ts", "export defalt", "export default")?;

    newcomer.does(&["build", "shop"])?;
    newcomer.does(&["check"])?;
    let told = newcomer.does(&["invoke", "shop", "--event", EVENT, "--json"])?;
    let told: Value = serde_json::from_str(&told)?;
    ensure!(told["state"]["document"]["times"] == 1, "{told}");
    ensure!(told["events"][0]["eventType"] == "user.seen", "{told}");
    newcomer.runs("shop", "npm", &["test"])?;

    let dev = newcomer.dev(&[])?;
    dev.shows(&["out ", "user.seen", "u-1", "\"times\":1"])?;
    // A save is a new version, and the state is still there.
    newcomer.edit("shop/src/handler.ts", "?? 0) + 1", "?? 0) + 10")?;
    dev.shows(&["shop: version 2 serves, before it version 1"])?;
    newcomer.save(EVENT)?;
    dev.shows(&["out ", "\"times\":11"])?;
    let ended = dev.interrupt()?;
    ensure!(ended.code() == 0, "{}\n{}", ended.status, ended.stderr);
    Ok(())
}

fn impure(world: &World) -> Result {
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.does(&["new", "shop", "--lang", "ts"])?;
    let handler = "shop/src/handler.ts";
    let invoked = |with: &str, words: &[&str]| -> Result {
        newcomer.edit(handler, "(state?.times ?? 0) + 1", with)?;
        newcomer.does(&["build", "shop"])?;
        newcomer
            .sandman(&["invoke", "shop", "--event", EVENT])?
            .says(4, words)?;
        newcomer.edit(handler, with, "(state?.times ?? 0) + 1")
    };
    invoked(
        "Math.floor(Math.random() * 10)",
        &["Math.random() is not available", "event.eventId", "src/handler.ts:25:"],
    )?;
    // The time is that of the call.
    newcomer.edit(handler, "(state?.times ?? 0) + 1", "Date.now()")?;
    newcomer.does(&["build", "shop"])?;
    let told = newcomer.does(&["invoke", "shop", "--event", EVENT, "--now", "1735689600000", "--json"])?;
    let told: Value = serde_json::from_str(&told)?;
    ensure!(told["state"]["document"]["times"] == 1_735_689_600_000_i64, "{told}");

    // There is none while the module is loaded, which is when it is built.
    newcomer.edit(handler, "export default", "const began = Date.now();\n\nexport default")?;
    let ended = newcomer.sandman(&["build", "shop"])?;
    ended.says(1, &["has no time while the module is loaded", "src/handler.ts:17:"])?;

    // What is kept from one call to the next shows where instances are reused.
    newcomer.edit(handler, "const began = Date.now();", "let calls = 0;")?;
    newcomer.edit(handler, "= Date.now();", "= (calls += 1);")?;
    newcomer.edit("sandman.toml", "emits =", "instances = \"reused\"\nemits =")?;
    newcomer.does(&["build", "shop"])?;
    let ended = newcomer.sandman(&["check"])?;
    ended.says(1, &["not pure", "user.created 1.0"])?;
    newcomer.edit("sandman.toml", "instances = \"reused\"\n", "")?;
    newcomer.does(&["check"]).map(drop)
}

fn own_tests(world: &World) -> Result {
    // Installs what they need.
    guest_in("guest/preferences-ts")?;
    let folder = repository().join("guest/preferences-ts");
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.runs(&folder.to_string_lossy(), "npm", &["run", "check"])?;
    newcomer.runs(&folder.to_string_lossy(), "npm", &["test"])
}
