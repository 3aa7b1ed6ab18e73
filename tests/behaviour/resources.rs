//! What a host asks of the system: as many open files as connections may need, or a warning that says what to do; and pages
//! of memory that are not larger than what is used of them.

use anyhow::ensure;
use sandman_tests::{Behaviour, Handler, Result, Settings, World, echo};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("the_limit_of_open_files_is_raised_or_warned_about", raised_or_warned).without_broker(),
    Behaviour::new("a_host_takes_no_huge_pages", small_pages),
];

/// A host with a route, that ends at once: its component is not there.
fn settings(world: &World) -> Settings {
    world
        .settings_without_broker()
        .set("http.connections", "200")
        .set(
            "routes",
            "[{ method = \"GET\", path = \"/x/{id}\", handlers = [\"missing\"], key = \"path:id\", auth = \"none\" }]",
        )
        .handler(Handler::new("missing", &world.folder().join("nowhere.wasm")))
}

fn raised_or_warned(world: &World) -> Result {
    // Two for each of the connections, 64 for the admin listener, 256 for everything else.
    let cases: [(&str, &[&str], bool); 3] = [
        (
            "-Sn 300",
            &["raised the limit of open files", "from=300", "to=720"],
            true,
        ),
        (
            "-n 300",
            &[
                "http.connections is 200",
                "720 open files",
                "allows it 300",
                "LimitNOFILE",
            ],
            true,
        ),
        ("-n 720", &["open files"], false),
    ];
    for (ulimit, words, told) in cases {
        let ended = world.host_limited(&settings(world), ulimit)?;
        ensure!(
            ended.stderr.contains("nowhere.wasm"),
            "it ended early: {}",
            ended.stderr
        );
        let line = ended
            .stderr
            .lines()
            .find(|line| words.iter().all(|word| line.contains(word)));
        ensure!(line.is_some() == told, "{ulimit}: {line:?} in\n{}", ended.stderr);
    }
    Ok(())
}

fn small_pages(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    ensure!(!host.process().takes_huge_pages()?, "the system may give it huge pages");
    Ok(())
}
