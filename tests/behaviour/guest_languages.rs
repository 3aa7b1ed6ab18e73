//! Guests in other languages than Rust: from nothing to an event handled, and changed while it serves.

use anyhow::ensure;
use sandman::guest::Language;
use sandman_tests::{Behaviour, Newcomer, Result, World};
use serde_json::Value;

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "a_new_guest_in_typescript_is_built_tried_served_and_swapped",
    typescript,
)
.without_broker()
.in_language(Language::TypeScript)];

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
