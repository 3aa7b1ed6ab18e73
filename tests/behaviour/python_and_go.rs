//! Guests in Python and Go: from nothing to an event handled, and changed while it serves; and what a language's runtime would
//! ask the world for.

use anyhow::ensure;
use sandman::guest::Language;
use sandman_tests::{Behaviour, Newcomer, Result, World, repository};
use serde_json::Value;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_new_guest_in_python_is_built_tried_served_and_swapped", python)
        .without_broker()
        .in_language(Language::Python),
    Behaviour::new("a_new_guest_in_go_is_built_tried_served_and_swapped", go)
        .without_broker()
        .in_language(Language::Go),
    Behaviour::new("python_is_given_no_world_but_its_call", impure_python)
        .without_broker()
        .in_language(Language::Python),
    Behaviour::new("go_is_given_no_world_but_its_call", impure_go)
        .without_broker()
        .in_language(Language::Go),
    Behaviour::new("the_python_sdk_passes_its_own_tests", python_sdk)
        .without_broker()
        .in_language(Language::Python),
    Behaviour::new("the_go_sdk_passes_its_own_tests", go_sdk)
        .without_broker()
        .in_language(Language::Go),
];

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
    /// Counts by ten.
    change: Edit<'a>,
}

fn python(world: &World) -> Result {
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
            tests: (".venv/bin/python", &["-m", "pytest", "-q", "-p", "no:cacheprovider"]),
            change: ("else 0) + 1", "else 0) + 10"),
        },
    )
}

fn go(world: &World) -> Result {
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
                    ("{ sandman.Export(handler) }", "{}"),
                    &["no handler was exported: call sandman.Export"],
                ),
            ],
            tests: ("go", &["test", "./..."]),
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

    newcomer.does(&["build", "shop"])?;
    newcomer.does(&["check"])?;
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

    // The same sources are the same version.
    let built = newcomer.does(&["build", "shop"])?;
    ensure!(
        newcomer.does(&["build", "shop"])? == built,
        "another component came of the same sources"
    );

    let dev = newcomer.dev(&[])?;
    dev.shows(&["out ", "user.seen", "u-1", "\"times\":1"])?;
    // A save is a new version, and the state is still there.
    newcomer.edit(path.handler, path.change.0, path.change.1)?;
    dev.shows(&["shop: version 2 serves, before it version 1"])?;
    // Another event: the same one would be handled once.
    newcomer.edit(EVENT, "0d9f6f0e", "1d9f6f0e")?;
    dev.shows(&["out ", "\"times\":11"])?;
    let ended = dev.interrupt()?;
    ensure!(ended.code() == 0, "{}\n{}", ended.status, ended.stderr);
    Ok(())
}

/// What a handler asks for, and the words with which the call fails.
fn refused(newcomer: &Newcomer<'_>, handler: &str, edits: &[Edit<'_>], words: &[&str]) -> Result {
    for (from, to) in edits {
        newcomer.edit(handler, from, to)?;
    }
    newcomer.does(&["build", "shop"])?;
    newcomer
        .sandman(&["invoke", "shop", "--event", EVENT])?
        .says(4, words)?;
    for (from, to) in edits.iter().rev() {
        newcomer.edit(handler, to, from)?;
    }
    Ok(())
}

/// The time that a handler reads of its language's clock is the call's.
fn timed(newcomer: &Newcomer<'_>) -> Result {
    newcomer.does(&["build", "shop"])?;
    let told = newcomer.does(&["invoke", "shop", "--event", EVENT, "--now", "1735689600123", "--json"])?;
    let told: Value = serde_json::from_str(&told)?;
    ensure!(told["state"]["document"]["times"] == 1_735_689_600_123_i64, "{told}");
    Ok(())
}

fn impure_python(world: &World) -> Result {
    const HANDLER: &str = "shop/handler.py";
    const COUNT: &str = "(state.times if state else 0) + 1";
    const IMPORTS: Edit<'static> = (
        "from dataclasses",
        "import random, time, uuid, datetime\nfrom dataclasses",
    );
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.does(&["new", "shop", "--lang", "py"])?;
    for (asked, words) in [
        (
            "random.randrange(9)",
            &["panicked at handler.py:43", "ImpureError", "random.Random(seed)"][..],
        ),
        ("uuid.uuid4().int", &["os.urandom()", "the event's id"]),
        ("len(open('/etc/passwd').read())", &["there are no files in a call"]),
        (
            "__import__('wave').WAVE_FORMAT_PCM",
            &["import it at the top of a module"],
        ),
        ("{}['nothing']", &["panicked at handler.py:43: KeyError: 'nothing'"]),
    ] {
        refused(&newcomer, HANDLER, &[IMPORTS, (COUNT, asked)], words)?;
    }
    let now = "(time.sleep(9), int(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000 + 0.5))[1]";
    newcomer.edit(HANDLER, IMPORTS.0, IMPORTS.1)?;
    newcomer.edit(HANDLER, COUNT, now)?;
    timed(&newcomer)
}

fn impure_go(world: &World) -> Result {
    const HANDLER: &str = "shop/handler.go";
    const COUNT: &str = "seen := Seen{Times: 1}";
    const IMPORT: &str = "import sandman \"sandman/sdk\"";
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.does(&["new", "shop", "--lang", "go"])?;
    let imports = |more: &str| format!("import (\n{more}\n\tsandman \"sandman/sdk\"\n)");
    for (package, asked, words) in [
        (
            "math/rand",
            "uint64(rand.Int())",
            &[
                "panicked at shop/handler.go:",
                "math/rand",
                "rand.New with a source that you seed",
            ][..],
        ),
        (
            "math/rand/v2",
            "rand.Uint64()",
            &["math/rand", "rand.New with a source that you seed"],
        ),
        (
            "crypto/rand",
            "uint64(len(rand.Text()))",
            &["panicked at shop/handler.go:", "crypto/rand", "the event's ID"],
        ),
        (
            "os",
            "uint64(must(os.ReadFile(\"x\")))",
            &["open x: ", "panicked at shop/handler.go:"],
        ),
        ("sync", "uint64(wait(new(sync.WaitGroup)))", &["trapped", "shop"]),
    ] {
        let helpers = "\nfunc must(text []byte, err error) int {\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\treturn len(text)\n}\n\n\
             func wait(group interface {\n\tAdd(int)\n\tWait()\n}) int {\n\tgroup.Add(1)\n\tgroup.Wait()\n\treturn 0\n}\n";
        let with = format!("seen := Seen{{Times: {asked}}}");
        let imported = imports(&format!("\t\"{package}\"")) + helpers;
        refused(&newcomer, HANDLER, &[(IMPORT, &imported), (COUNT, &with)], words)?;
    }
    newcomer.edit(HANDLER, IMPORT, &imports("\t\"time\""))?;
    newcomer.edit(
        HANDLER,
        COUNT,
        "time.Sleep(9 * time.Hour)\n\tseen := Seen{Times: uint64(time.Now().UnixMilli())}",
    )?;
    timed(&newcomer)
}

fn python_sdk(world: &World) -> Result {
    let newcomer = Newcomer::in_folder(world)?;
    // Has pytest in its environment.
    newcomer.does(&["new", "shop", "--lang", "py"])?;
    newcomer.does(&["build", "shop"])?;
    let python = world.folder().join("shop/.venv/bin/python");
    let sdk = repository().join("guest/sdk-py");
    newcomer.runs(
        &sdk.to_string_lossy(),
        &python.to_string_lossy(),
        &["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
    )
}

fn go_sdk(world: &World) -> Result {
    let sdk = repository().join("guest/sdk-go");
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.runs(&sdk.to_string_lossy(), "go", &["vet", "./..."])?;
    newcomer.runs(&sdk.to_string_lossy(), "go", &["test", "./..."])
}
