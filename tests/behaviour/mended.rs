//! A bug in a guest, from its dead letter to the redrive, by the commands of docs/time-travel.md, as somebody types them who
//! has nothing but Sandman.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Newcomer, Result, World, guest, repository};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "a_bug_is_found_mended_and_its_dead_letter_handled_as_the_docs_say",
    walk,
)
.without_broker()];

/// A command of the walk: the code that it ends with, and what it says.
struct Step {
    command: &'static str,
    code: i32,
    says: &'static [&'static str],
}

const fn step(command: &'static str, code: i32, says: &'static [&'static str]) -> Step {
    Step { command, code, says }
}

const SEND: &str = "touch greeter/events/created.json";
const MEND: &str = r#"sed -i 's/\["hello"\]\[times as usize - 1\]/"hello"/' greeter/src/lib.rs"#;

/// What is typed before `sandman dev`.
const BEFORE: &[Step] = &[
    step("sandman new greeter", 0, &["sandman dev"]),
    step(
        r#"sed -i 's/seen {times} times")/{}", ["hello"][times as usize - 1])/' greeter/src/lib.rs"#,
        0,
        &[],
    ),
];

/// What is typed beside it.
const BESIDE: &[Step] = &[
    step(SEND, 0, &[]),
    step("sandman dlq list", 0, &["trap.panic", "index out of bounds", "u-1"]),
    step(
        "sandman explain --key u-1",
        0,
        &["letter 1: given up by greeter", "greeter, version 1", "{\"times\":1}"],
    ),
    step(
        "sandman replay 1",
        0,
        &["index out of bounds", "the outcome is the recorded one, to the byte"],
    ),
    step(MEND, 0, &[]),
    step(
        "sandman replay 1 --component greeter/target/sandman/greeter.wasm",
        1,
        &[
            "the outcome differs from the recorded one",
            "failure gone",
            "{\"times\":2}",
        ],
    ),
    step("sandman diff greeter 1 2", 1, &["against itself", "failure gone"]),
    step(
        "sandman dlq redrive 1 --dry-run",
        0,
        &["1 would be handled, 0 would fail"],
    ),
    step("sandman dlq redrive 1", 0, &["1 redriven: 1 handled"]),
    step(
        "sandman explain --key u-1",
        0,
        &["a redrive of letter 1, which left the store with it", "times: 1 -> 2"],
    ),
];

fn walk(world: &World) -> Result {
    let all = BEFORE.iter().chain(BESIDE).map(|step| step.command);
    let told = told()?;
    ensure!(
        told == all.collect::<Vec<_>>(),
        "docs/time-travel.md shows another way: {told:#?}"
    );
    // What guests depend on is compiled by now.
    guest("echo")?;
    let mut newcomer = Newcomer::in_folder(world)?;
    for step in BEFORE {
        take(&newcomer, step)?;
    }
    // The tests build all guests in one place; a guest of its own has its component here.
    newcomer.runs(".", "sh", &["-c", "ln -s \"$CARGO_TARGET_DIR\" greeter/target"])?;
    let dev = newcomer.dev(&[])?;
    newcomer.asks(&dev.admin()?);
    dev.shows(&["out ", "user.seen", "u-1", "\"times\":1"])?;
    for step in BESIDE {
        take(&newcomer, step)?;
        match step.command {
            SEND => dev.shows(&["dead ", "user.created", "index out of bounds"])?,
            MEND => dev.shows(&["greeter: version 2 serves, replacing version 1"])?,
            _ => {}
        }
    }
    dev.shows(&["out ", "user.seen", "u-1", "\"times\":2"])?;
    dev.interrupt()?;
    Ok(())
}

fn take(newcomer: &Newcomer<'_>, step: &Step) -> Result {
    let Step { command, code, says } = step;
    let Some(arguments) = command.strip_prefix("sandman ") else {
        return newcomer.runs(".", "sh", &["-c", command]);
    };
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let ended = newcomer.sandman(&arguments)?;
    ensure!(ended.code() == *code, "{command}: {ended:?}");
    for words in *says {
        ensure!(
            ended.stdout.contains(words),
            "{command} says nothing of {words:?}: {ended:?}"
        );
    }
    Ok(())
}

/// The commands under "From a bug to the redrive", without those of the first terminal that go on, and without what is said
/// of them.
fn told() -> Result<Vec<String>> {
    let page = std::fs::read_to_string(repository().join("docs/time-travel.md"))?;
    let section = page.split("## From a bug to the redrive").nth(1);
    let section = section.context("docs/time-travel.md has no such section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    let commands = lines.map(|line| line.split("   #").next().unwrap_or_default().trim().to_owned());
    Ok(commands
        .filter(|line| !line.is_empty() && line != "sandman dev")
        .collect())
}
