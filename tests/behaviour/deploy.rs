//! A version that does not pass a stage never serves: the old one goes on, and it is said which stage and why.

use std::io::Write;
use std::net::TcpStream;

use anyhow::ensure;
use sandman_tests::{
    Behaviour, Ended, Event, Host, Result, World, bomb, echo, eventually, grafted, guest, hostile, nested, rewritten,
    stamped,
};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "a_version_that_fails_at_a_stage_leaves_the_old_one_serving",
        fails_at_a_stage,
    ),
    Behaviour::new("a_component_that_compiles_too_long_is_given_up", compiles_too_long),
    Behaviour::new(
        "a_component_that_needs_too_much_memory_to_compile_is_given_up",
        compiles_too_large,
    ),
    Behaviour::new(
        "a_component_that_is_all_nesting_does_not_end_the_host",
        nests_without_end,
    ),
    Behaviour::new("of_two_deploys_of_one_handler_the_second_is_refused", two_at_once),
    Behaviour::new("deploying_what_serves_changes_nothing_and_says_so", deployed_again).on_postgres_too(),
];

fn deploy(world: &World, host: &Host, name: &str, component: &[u8]) -> Result<Ended> {
    let file = world.file("candidate.wasm", component)?;
    world.command(&["deploy", name, &file, "--host", host.admin()], &[])
}

fn refused(ended: &Ended, stage: &str, words: &str) -> Result {
    let said = &ended.stderr;
    ensure!(
        ended.code() == 1,
        "{stage}: it ended with {}: {said}{}",
        ended.status,
        ended.stdout
    );
    ensure!(
        said.contains(&format!("refused at `{stage}`")),
        "not at {stage}: {said}"
    );
    ensure!(said.contains(words), "nothing of {words:?}: {said}");
    ensure!(said.contains("version 1 continues to serve"), "{said}");
    Ok(())
}

/// The old version still does its work.
fn serves(world: &World, input: &str) -> Result {
    world.send(input, &[Event::told("ann", "nothing", 1)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;
    Ok(())
}

fn fails_at_a_stage(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = world
        .settings()?
        .set("host.component", "\"1MiB\"")
        .handler(hostile(&[&input])?);
    let host = world.host(&settings)?;
    let describes = |how: &str| rewritten("hostile", "describes itself:well", &format!("describes itself:{how}"));
    let wasi = r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#;
    let bad = [
        ("received", "host.component", vec![0; 2 << 20]),
        ("world", "WebAssembly component", b"no component".to_vec()),
        ("world", "wasi:cli/environment", wat::parse_str(wasi)?),
        ("described", "describe", describes("trap")?),
        ("described", "more than 256", describes("vast")?),
        ("contract", "hostile.secret", describes("more")?),
        ("contract", "refers to itself", describes("ring")?),
    ];
    for (stage, words, component) in &bad {
        refused(&deploy(world, &host, "hostile", component)?, stage, words)?;
    }
    ensure!(host.version("hostile")? == 1, "version 1 does not serve");
    let history = host.history("hostile")?;
    let count = history
        .iter()
        .filter(|entry| entry.starts_with("deploy refused"))
        .count();
    ensure!(count == bad.len(), "{history:#?}");
    let unknown = deploy(world, &host, "hostel", b"")?;
    ensure!(
        unknown.code() == 1 && unknown.stderr.contains("there are: hostile"),
        "{}",
        unknown.stderr
    );
    let of = [("handler", "hostile"), ("outcome", "refused")];
    ensure!(
        host.metrics()?.sum("sandman_deploys_total", &of) == Some(bad.len() as f64),
        "not counted"
    );
    serves(world, &input)
}

fn nests_without_end(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let host = world.host(&world.settings()?.handler(hostile(&[&input])?))?;
    let ended = deploy(world, &host, "hostile", &nested(1 << 20))?;
    refused(&ended, "world", "the compiler ended early")?;
    ensure!(host.version("hostile")? == 1, "version 1 does not serve");
    serves(world, &input)
}

fn compiles_too_long(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = world
        .settings()?
        .set("host.compile_time", "\"5s\"")
        .handler(hostile(&[&input])?);
    let host = world.host(&settings)?;
    let component = grafted("hostile", &bomb(8, 50_000), 0)?;
    refused(
        &deploy(world, &host, "hostile", &component)?,
        "compiled",
        "host.compile_time",
    )?;
    serves(world, &input)
}

fn compiles_too_large(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let settings = world
        .settings()?
        .set("host.compile_memory", "\"256MiB\"")
        .handler(hostile(&[&input])?);
    let host = world.host(&settings)?;
    let component = grafted("hostile", &bomb(4, 40_000), 0)?;
    refused(&deploy(world, &host, "hostile", &component)?, "compiled", "")?;
    serves(world, &input)
}

fn two_at_once(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let component = stamped(2)?;
    // The first has begun and still sends.
    let address = host.admin().trim_start_matches("http://");
    let mut first = TcpStream::connect(address)?;
    write!(
        first,
        "POST /v1/handlers/echo/versions HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
        component.len()
    )?;
    let (half, rest) = component.split_at(component.len() / 2);
    first.write_all(half)?;
    let second = stamped(3)?;
    let mut number = 2;
    let refused = eventually("a second deploy is refused", || {
        let ended = deploy(world, &host, "echo", &second)?;
        // The first may not have been noticed yet: then this one was the first, and the next is the second.
        number = if ended.code() == 0 { 3 } else { number };
        Ok((ended.code() == 1).then_some(ended))
    })?;
    ensure!(refused.stderr.contains("another deploy"), "{}", refused.stderr);
    let back = world.command(&["rollback", "echo", "--host", host.admin()], &[])?;
    ensure!(
        back.code() == 1 && back.stderr.contains("another deploy"),
        "{}",
        back.stderr
    );
    first.write_all(rest)?;
    eventually("the first deploy serves", || {
        let serves = host.handler("echo")?["digest"] == sandman_core::digest(&component);
        Ok(serves.then_some(()))
    })
}

fn deployed_again(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let same = deploy(world, &host, "echo", &std::fs::read(guest("echo")?)?)?;
    ensure!(same.code() == 0, "{}", same.stderr);
    ensure!(
        same.stdout.contains("version 1 serves already, nothing changed"),
        "{}",
        same.stdout
    );
    host.deployed("echo", &stamped(2)?)?;
    // What was there before keeps its number.
    ensure!(
        host.deployed("echo", &std::fs::read(guest("echo")?)?)? == 1,
        "version 1 has another number"
    );
    let history = host.history("echo")?;
    let expected = [
        "deploy active 1 local",
        "deploy active 2 local",
        "deploy unchanged 1 local",
        "start active 1 sandman.toml",
    ];
    ensure!(history == expected, "{history:#?}");
    Ok(())
}
