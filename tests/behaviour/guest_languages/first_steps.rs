//! From nothing to a handler that is changed while it serves, in each language but Rust, which `newcomer.rs` is about.

use std::fs;

use anyhow::{bail, ensure};
use sandman_tests::{Newcomer, Result, World, repository};
use serde_json::Value;

const EVENT: &str = "shop/events/created.json";

/// A text of the new guest, and what stands in its place.
type Edit<'a> = (&'a str, &'a str);

/// What a new guest of a language goes through.
struct Path<'a> {
    lang: &'a str,
    handler: &'a str,
    /// Mistakes, and the words with which the build shows each.
    mistakes: &'a [(Edit<'a>, &'a [&'a str])],
    /// Its own tests.
    tests: (&'a str, &'a [&'a str]),
    /// The SDK's own tests: the folder, and what is run beside the tool of the guest's.
    sdk: Option<(&'a str, &'a [&'a [&'a str]])>,
    /// Counts by ten.
    change: Edit<'a>,
}

pub(super) fn typescript(world: &World) -> Result {
    walk(
        world,
        &Path {
            lang: "typescript",
            handler: "shop/src/handler.ts",
            mistakes: &[
                (
                    ("put({ times })", "put({ time: times })"),
                    &[
                        "does not compile",
                        "src/handler.ts:27:59: ",
                        "'time' does not exist in type",
                        "mean to write 'times'?",
                    ],
                ),
                (
                    (
                        "emit(\"user.seen\", { userId, times })",
                        "emit(\"user.seen\", { userId, timez: times })",
                    ),
                    &[
                        "does not compile",
                        "src/handler.ts:27:43: ",
                        "'timez' does not exist in type",
                    ],
                ),
                (
                    ("emit(\"user.seen\"", "emit(\"user.sene\""),
                    &[
                        "does not compile",
                        "src/handler.ts:27:20: ",
                        "'\"user.sene\"' is not assignable to parameter of type '\"user.seen\"'",
                    ],
                ),
                (
                    ("export default", "export defalt"),
                    &["does not compile", "src/handler.ts:"],
                ),
                // What tests have, since they run in Node, and a component has not.
                (
                    ("put({ times })", "put({ times: Buffer.from(userId).length })"),
                    &["does not compile", "src/handler.ts:27:", "a component has none"],
                ),
            ],
            tests: ("npm", &["test"]),
            // The tests of `guest/preferences-ts` have the SDK's among them.
            sdk: None,
            change: ("?? 0) + 1", "?? 0) + 10"),
        },
    )
}

pub(super) fn python(world: &World) -> Result {
    const PYTEST: &[&str] = &["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"];
    walk(
        world,
        &Path {
            lang: "py",
            handler: "shop/handler.py",
            mistakes: &[
                (
                    ("def created(", "def created((("),
                    &["does not compile", "File \"handler.py\", line", "SyntaxError"],
                ),
                (
                    ("import dataclass\n", "import dataclas\n"),
                    &["does not compile", "File \"handler.py\", line 7", "ImportError"],
                ),
                (
                    ("Event[Created],", "Event[open],"),
                    &[
                        "does not compile",
                        "File \"handler.py\", line",
                        "no type that JSON can be read as",
                    ],
                ),
            ],
            tests: (".venv/bin/python", PYTEST),
            sdk: Some(("guest/sdk-py", &[PYTEST])),
            change: ("else 0) + 1", "else 0) + 10"),
        },
    )
}

pub(super) fn go(world: &World) -> Result {
    walk(
        world,
        &Path {
            lang: "go",
            handler: "shop/handler.go",
            mistakes: &[
                (
                    ("state.Times + 1", "state.Time + 1"),
                    &["does not compile", "./handler.go:38:", "state.Time undefined"],
                ),
                (
                    ("func init() {", "func init( {"),
                    &["does not compile", "./handler.go:", "syntax error"],
                ),
                (
                    (
                        "{ sandman.Export(handler) }",
                        "{ sandman.Export(handler); var none map[string]int; none[\"x\"] = 1 }",
                    ),
                    &[
                        "compiles, but it fails while it starts: panic: assignment to entry in nil map",
                        "(shop/handler.go:",
                    ],
                ),
                (
                    ("{ sandman.Export(handler) }", "{}"),
                    &["no handler was exported: call sandman.Export"],
                ),
            ],
            tests: ("go", &["test", "./..."]),
            sdk: Some(("guest/sdk-go", &[&["vet", "./..."], &["test", "./..."]])),
            change: ("state.Times + 1", "state.Times + 10"),
        },
    )
}

fn walk(world: &World, path: &Path<'_>) -> Result {
    let newcomer = Newcomer::in_folder(world)?;
    let said = newcomer.does(&["new", "shop", "--lang", path.lang])?;
    ensure!(said.contains("sandman dev"), "nothing says how to go on: {said}");
    for ((from, to), words) in path.mistakes {
        newcomer.edit(path.handler, from, to)?;
        let built = newcomer.sandman(&["build", "shop"])?;
        // What compiles and is no handler shows when it is loaded.
        let ended = match built.code() {
            0 => newcomer.sandman(&["check"])?,
            _ => built,
        };
        ended.says(1, words)?;
        newcomer.edit(path.handler, to, from)?;
    }

    // The same sources are the same version.
    let built = newcomer.does(&["build", "shop"])?;
    ensure!(
        newcomer.does(&["build", "shop"])? == built,
        "another component came of the same sources"
    );
    let told = newcomer.does(&["invoke", "shop", "--event", EVENT, "--json"])?;
    let told: Value = serde_json::from_str(&told)?;
    ensure!(told["state"]["document"]["times"] == 1, "{told}");
    ensure!(told["events"][0]["eventType"] == "user.seen", "{told}");
    // A tool in the guest's own folder has to be named in full.
    let tool = world.folder().join("shop").join(path.tests.0);
    let tool = if tool.exists() {
        tool.to_string_lossy().into_owned()
    } else {
        path.tests.0.to_owned()
    };
    newcomer.runs("shop", &tool, path.tests.1)?;
    if let Some((folder, commands)) = path.sdk {
        for command in commands {
            newcomer.runs(&repository().join(folder).to_string_lossy(), &tool, command)?;
        }
    }

    let dev = newcomer.dev(&[])?;
    dev.shows(&["out ", "user.seen", "u-1", "\"times\":1"])?;
    // A save is a new version, and the state is still there.
    newcomer.edit(path.handler, path.change.0, path.change.1)?;
    dev.shows(&["shop: version 2 serves, replacing version 1"])?;
    newcomer.save(EVENT)?;
    dev.shows(&["out ", "\"times\":11"])?;
    let ended = dev.interrupt()?;
    ensure!(ended.code() == 0, "{}\n{}", ended.status, ended.stderr);
    Ok(())
}

/// Two builds of the same sources, from nothing, in two folders.
pub(super) fn same_anywhere(world: &World, lang: &str) -> Result {
    let mut components = Vec::new();
    for folder in ["here", "somewhere-else"] {
        let newcomer = Newcomer::in_folder_of(world, folder)?;
        newcomer.does(&["new", "shop", "--lang", lang])?;
        newcomer.does(&["build", "shop", "--out", "."])?;
        components.push(fs::read(newcomer.folder().join("shop.wasm"))?);
    }
    let home = format!("{}/", std::env::var("HOME")?);
    ensure!(
        !components
            .concat()
            .windows(home.len())
            .any(|text| text == home.as_bytes()),
        "it tells where it was built: {home}"
    );
    let [one, other] = components.as_slice() else {
        bail!("{} components", components.len());
    };
    let differing = one.iter().zip(other).filter(|(one, other)| one != other).count();
    ensure!(
        one == other,
        "{} and {} bytes, of which {differing} differ",
        one.len(),
        other.len()
    );
    Ok(())
}

/// The terminal is one of Python's making.
pub(super) fn asked(world: &World) -> Result {
    let newcomer = Newcomer::in_folder(world)?;
    let shown = newcomer.at_terminal(&["new", "shop"], "cobol\ntypescript\n")?;
    for words in [
        "In which language? rust, ts, py, go (default: rust)",
        "\"cobol\" is not one of them",
        "shop: a guest in TypeScript, in shop",
        "(cd shop && npm test)   (once it is built)",
    ] {
        ensure!(shown.contains(words), "no {words:?} in:\n{shown}");
    }
    let shown = newcomer.at_terminal(&["new", "stall"], "\n")?;
    ensure!(shown.contains("stall: a guest in Rust, in stall"), "{shown}");
    // Nobody is asked where there is nobody.
    let shown = newcomer.does(&["new", "store"])?;
    ensure!(
        shown.contains("store: a guest in Rust") && !shown.contains("In which"),
        "{shown}"
    );
    Ok(())
}
