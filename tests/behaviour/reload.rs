//! The host follows a configuration that changed, or says why not and changes nothing; no restart, no rebalance of others.

use anyhow::ensure;
use sandman_tests::{Ask, Behaviour, Client, Event, Handler, Host, Ledger, Result, Settings, World};
use sandman_tests::{echo, guest, hostile, rewritten, stamped};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_reload_adds_and_removes_handlers_and_routes", handlers_and_routes).on_postgres_too(),
    Behaviour::new("a_reload_changes_limits_retries_and_settings", limits),
    Behaviour::new("a_reload_grants_event_types_and_takes_them_away", emits),
    Behaviour::new("a_reload_of_a_bad_file_changes_nothing_and_says_why", bad_file),
];

fn reload(world: &World, host: &Host, settings: &Settings) -> Result<Value> {
    world.file("sandman.toml", settings.text().as_bytes())?;
    let ended = world.command(&["reload", "--json", "--host", host.admin()], &[])?;
    ensure!(ended.code() == 0, "{}{}", ended.stdout, ended.stderr);
    Ok(serde_json::from_str(&ended.stdout)?)
}

fn counted(world: &World, host: &Host, n: u64) -> Result {
    let asked = Client::new(host.http()?).ask(&Ask::new("POST", "/things/ann").json(&json!({ "n": n })))?;
    let tally = asked.has(200)?;
    ensure!(tally["count"] == n, "{tally}");
    world.command(&["handlers", "--host", host.admin()], &[]).map(drop)
}

fn handlers_and_routes(world: &World) -> Result {
    let (input, told) = (world.make_topic("thing.happened")?, world.make_topic("hostile.told")?);
    let base = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&base.clone().route("/things/{key}", &["echo"]))?;
    let mut ledger = Ledger::default();
    world.send(&input, &ledger.rounds(10, 2, 0))?;
    counted(world, &host, 1)?;

    // A handler comes, with what waits on its topic, and a route goes.
    world.send(&told, &[Event::told("bob", "nothing", 1)])?;
    let more = base
        .clone()
        .handler(hostile(&[&told])?)
        .route("/others/{key}", &["echo"]);
    let changed = reload(world, &host, &more)?;
    let expected = json!({ "added": ["hostile"], "removed": [], "changed": [], "routes": true });
    ensure!(changed == expected, "{changed}");
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;
    let http = Client::new(host.http()?);
    http.ask(&Ask::new("POST", "/things/ann").json(&json!({ "n": 2 })))?
        .has(404)?;
    ensure!(host.version("hostile")? == 1, "no version of the new handler");
    ensure!(
        host.history("hostile")? == ["start active 1 sandman.toml"],
        "{:?}",
        host.history("hostile")?
    );

    // It goes again and comes back, and goes on where it was. What stays is not disturbed.
    let fewer = reload(world, &host, &base.clone().route("/things/{key}", &["echo"]))?;
    ensure!(fewer["removed"] == json!(["hostile"]), "{fewer}");
    ensure!(host.handler("hostile").is_err(), "it is still shown");
    world.send(&told, &[Event::told("bob", "nothing", 2)])?;
    counted(world, &host, 2)?;
    reload(world, &host, &more)?;
    world.reader(&world.topic("hostile.done"))?.until_count(2)?;
    world.send(&input, &ledger.rounds(10, 2, 0))?;
    ledger.settle(world)?;
    ensure!(
        world.all_of(&world.topic("hostile.done"))?.len() == 2,
        "an event of the other handler counted twice"
    );
    let same = reload(world, &host, &more)?;
    ensure!(
        same == json!({ "added": [], "removed": [], "changed": [], "routes": false }),
        "{same}"
    );

    // And over a restart.
    host.terminate()?;
    let host = world.host(&more)?;
    world.send(&told, &[Event::told("bob", "nothing", 3)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(3)?;
    let log = host.terminate()?.stderr;
    ensure!(!log.contains("ERROR"), "{log}");
    Ok(())
}

fn limits(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = |time: &str| -> Result<Handler> {
        let handler = hostile(&[&input])?.set("limits", &format!("{{ time = \"{time}\" }}"));
        Ok(handler.set("retry", "{ attempts = 1 }"))
    };
    let settings = |time: &str| -> Result<Settings> { Ok(world.settings()?.handler(handler(time)?)) };
    let host = world.host(&settings("5ms")?)?;
    // Tens of millions of steps: more than 5 ms, less than a minute.
    world.send(&input, &[Event::told("ann", "burn", 100)])?;
    world.dead_letters(&input)?.until_count(1)?;
    world.file("sandman.toml", settings("60s")?.text().as_bytes())?;
    // By the signal this time.
    host.hang_up()?;
    host.says(&["audit", "reloaded", "SIGHUP", "hostile"])?;
    world.send(&input, &[Event::told("ann", "burn", 100)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;
    ensure!(host.version("hostile")? == 1, "another version serves");
    Ok(())
}

fn emits(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let granted =
        |types: &[&str]| -> Result<Settings> { Ok(world.settings()?.handler(hostile(&[&input])?.emits(types))) };
    let (narrow, wide) = (
        granted(&["hostile.done"])?,
        granted(&["hostile.done", "hostile.secret"])?,
    );
    let host = world.host(&narrow)?;
    let more = rewritten("hostile", "describes itself:well", "describes itself:more")?;
    let refused = host.deploy("hostile", &more, |_| true)?.unwrap_or_default();
    ensure!(refused["stage"] == "contract", "{refused}");
    let changed = reload(world, &host, &wide)?;
    ensure!(changed["changed"] == json!(["hostile"]), "{changed}");
    ensure!(host.deployed("hostile", &more)? == 2, "not version 2");
    // To a topic that the reload has made.
    world.send(&input, &[Event::told("ann", "undeclared", 1)])?;
    world.reader(&world.topic("hostile.secret"))?.until_count(1)?;

    // The version that serves needs it.
    world.file("sandman.toml", narrow.text().as_bytes())?;
    let ended = world.command(&["reload", "--host", host.admin()], &[])?;
    ensure!(
        ended.code() == 1 && ended.stderr.contains("it emits `hostile.secret`"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    let back = world.command(&["rollback", "hostile", "--host", host.admin()], &[])?;
    ensure!(back.code() == 0, "{}", back.stderr);
    let changed = reload(world, &host, &narrow)?;
    ensure!(changed["changed"] == json!(["hostile"]), "{changed}");
    let forth = world.command(&["rollback", "hostile", "--to", "2", "--host", host.admin()], &[])?;
    ensure!(
        forth.code() == 1 && forth.stderr.contains("hostile.secret"),
        "{}",
        forth.stderr
    );
    world.send(&input, &[Event::told("ann", "undeclared", 2)])?;
    world.dead_letters(&input)?.until_count(1)?;
    ensure!(
        world.all_of(&world.topic("hostile.secret"))?.len() == 1,
        "an event of a type that was taken away came out"
    );
    Ok(())
}

fn bad_file(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let good = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&good)?;
    host.deployed("echo", &stamped(2)?)?;
    let ungranted = echo(&[&input])?.emits(&["thing.counted"]);
    let elsewhere = Handler::new("other", &world.folder().join("no.wasm"));
    let unfit = Handler::new("other", &guest("hostile")?).consumes(&[&input]);
    let bad = [
        (good.clone().set("host.batsh", "3"), "host.batsh: there is no such key"),
        (good.clone().set("host.workers", "3"), "need a restart: host.workers"),
        (good.clone().set("admin.listen", "\"127.0.0.1:1\""), "admin.listen"),
        (good.clone().set("store.url", "\"sqlite:other.db\""), "store.url"),
        (world.settings()?.handler(ungranted), "it emits `thing.echoed`"),
        (
            good.clone().handler(elsewhere.consumes(&[&input])),
            "no.wasm cannot be read",
        ),
        (good.clone().handler(unfit), "hostile.done"),
        (
            world
                .settings()?
                .handler(echo(&[&input])?.set("component", "\"x.wasm\"")),
            "sandman deploy echo",
        ),
    ];
    for (settings, words) in bad {
        world.file("sandman.toml", settings.text().as_bytes())?;
        let ended = world.command(&["reload", "--host", host.admin()], &[])?;
        ensure!(
            ended.code() == 1,
            "{words}: it ended with {}: {}",
            ended.status,
            ended.stdout
        );
        ensure!(
            ended.stderr.contains("nothing changed") && ended.stderr.contains(words),
            "nothing of {words:?}: {}",
            ended.stderr
        );
    }
    world.file("sandman.toml", b"[host\n")?;
    host.hang_up()?;
    host.says(&["audit", "not reloaded, nothing changed", "line 1"])?;
    let mut ledger = Ledger::default();
    world.send(&input, &ledger.rounds(5, 2, 0))?;
    ledger.settle(world)?;
    ensure!(host.version("echo")? == 2, "another version serves");
    ensure!(host.handler("other").is_err(), "a handler of a bad file is there");
    Ok(())
}
