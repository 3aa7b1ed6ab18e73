//! A deploy on one host of a fleet: the others follow, no key goes back, and who cannot follow says so.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, anyhow, ensure};
use sandman_tests::{
    Behaviour, Compression, Event, Handler, Host, Ledger, Result, World, echo, eventually, guest, rewritten, stamped,
};
use serde_json::Value;

use crate::fleet::{REAL, deployment, named, start};
use crate::swap::{Handled, ask_on, each_once, handled};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_deploy_on_one_host_serves_on_all_and_no_key_goes_back", under_load).on_real_kafka(REAL),
    Behaviour::new("a_host_that_cannot_load_a_version_says_so_and_goes_on", cannot_load).on_real_kafka(REAL),
];

const KEYS: usize = 20;
const VERSIONS: u64 = 6;

/// Events and requests come for the same keys on both hosts while versions are deployed on one and the other.
fn under_load(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = deployment(world)?
        .handler(echo(&[&input])?)
        .set("host.in_flight", "200")
        .route("/things/{key}", &["echo"]);
    let hosts = [start(world, &settings, "one")?, start(world, &settings, "two")?];
    let components = (2..=VERSIONS).map(stamped).collect::<Result<Vec<_>>>()?;
    let keys: Vec<String> = (0..KEYS).map(|key| format!("user-{key}")).collect();
    let (done, latest) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut ledger = Ledger::default();
    let mut all = thread::scope(|scope| -> Result<Handled> {
        let (done, latest, ledger, input) = (&done, &latest, &mut ledger, &input);
        let producing = scope.spawn(move || -> Result {
            let producer = world.producer(Compression::None)?;
            while !done.load(Ordering::Relaxed) {
                producer.send(input, &ledger.rounds(KEYS, 2, 20))?;
            }
            Ok(())
        });
        let asked = hosts.iter().map(|host| {
            let (keys, http) = (&keys, host.http());
            scope.spawn(move || ask_on(http?, keys, (done, latest)))
        });
        let asked: Vec<_> = asked.collect();
        let swapped = swap_all(&hosts, &components, latest);
        done.store(true, Ordering::Relaxed);
        producing.join().map_err(|_| anyhow!("the producer panicked"))??;
        let mut all = Handled::new();
        for client in asked {
            for (key, told) in client.join().map_err(|_| anyhow!("a client panicked"))?? {
                all.entry(key).or_default().extend(told);
            }
        }
        swapped?;
        Ok(all)
    })?;
    let mut reader = world.reader(&world.topic("thing.counted"))?;
    reader.until_count(ledger.total())?;
    for event in world.all_of(&world.topic("thing.counted"))? {
        handled(&event.key_text(), &event.payload(), &mut all)?;
    }
    let by = each_once(all, u64::try_from(ledger.total() / KEYS)?)?;
    ensure!(by.len() as u64 == VERSIONS, "handled by {by:?}");
    hosts.iter().try_for_each(Host::still_runs)
}

/// Deploys one version after the other, on one host and then on the other.
fn swap_all(hosts: &[Host; 2], components: &[Vec<u8>], latest: &AtomicU64) -> Result {
    for (number, component) in (2..).zip(components) {
        eventually("a request is answered by the version that serves", || {
            Ok((latest.load(Ordering::Relaxed) >= number - 1).then_some(()))
        })?;
        let [one, two] = hosts;
        let (host, other) = if number % 2 == 0 { (one, two) } else { (two, one) };
        let told = host.deploy("echo", component, |_| true)?.context("no last line")?;
        ensure!(told["outcome"] == "active" && told["version"] == number, "{told}");
        let served = told["hosts"].as_array().context("no hosts")?;
        ensure!(
            served.len() == 2 && served.iter().all(|host| host["version"] == number),
            "{told}"
        );
        ensure!(other.version("echo")? == number, "the other host has not followed");
    }
    Ok(())
}

fn said(world: &World, command: &[&str], host: &Host) -> Result<String> {
    let ended = world.command(&[command, &["--host", host.admin()]].concat(), &[])?;
    ensure!(ended.code() == 0, "{ended:?}");
    Ok(ended.stdout)
}

/// The other host is not allowed what the new version asks for.
fn cannot_load(world: &World) -> Result {
    let input = world.make_topic("hostile.told")?;
    let handler = Handler::new("hostile", &guest("hostile")?).consumes(&[&input]);
    let settings = deployment(world)?;
    let generous = settings
        .clone()
        .handler(handler.clone().emits(&["hostile.done", "hostile.secret"]));
    let strict = settings.handler(handler.emits(&["hostile.done"]));
    let one = start(world, &generous, "one")?;
    let two = start(world, &strict, "two")?;
    eventually("both hosts know each other", || {
        let hosts = one.operator().get("/v1/hosts")?.has(200)?;
        let knows =
            |host: &Value| host["live"] == true && host["admin"].as_str().is_some_and(|admin| !admin.is_empty());
        let hosts = hosts.as_array().context("no list")?;
        Ok((hosts.len() == 2 && hosts.iter().all(knows)).then_some(()))
    })?;
    let listed = said(world, &["hosts"], &one)?;
    ensure!(
        listed.contains("one") && listed.contains("two") && listed.contains("configured otherwise"),
        "{listed}"
    );
    let health = two.operator().get("/health")?.has(200)?;
    ensure!(health["fleet"]["host"] == "two", "{health}");

    let more = rewritten(
        "hostile",
        "hostile describes itself:well",
        "hostile describes itself:more",
    )?;
    let component = world.file("more.wasm", &more)?;
    let deployed = world.command(&["deploy", "hostile", &component, "--host", one.admin()], &[])?;
    deployed.says(1, &["active, but host two still serves version 1", "hostile.secret"])?;
    ensure!(
        (one.version("hostile")?, two.version("hostile")?) == (2, 1),
        "not as deployed"
    );
    let listed = said(world, &["hosts"], &two)?;
    ensure!(
        listed.contains("hostile@1!") && listed.contains("does not load"),
        "{listed}"
    );
    let handlers = said(world, &["handlers"], &one)?;
    ensure!(
        handlers.contains("host two serves version 1: version 2 does not load"),
        "{handlers}"
    );
    two.says(&["ERROR", "does not load here", "hostile.secret"])?;
    // Both go on.
    let events: Vec<_> = (0..40)
        .map(|key| Event::told(&format!("key-{key}"), "nothing", 1))
        .collect();
    world.send(&input, &events)?;
    world.reader(&world.topic("hostile.done"))?.until_count(events.len())?;
    one.still_runs()?;
    two.still_runs()?;

    // What it is allowed now it loads now.
    world.file("two/sandman.toml", named(&generous, "two").text().as_bytes())?;
    let reloaded = world.command(&["reload", "--host", two.admin()], &[])?;
    ensure!(reloaded.code() == 0, "{reloaded:?}");
    eventually("the other host follows after all", || {
        Ok((two.version("hostile")? == 2).then_some(()))
    })?;
    // What serves everywhere again is told everywhere.
    let back = world.command(&["rollback", "hostile", "--host", one.admin()], &[])?;
    ensure!(back.code() == 0, "{back:?}");
    let listed = said(world, &["hosts"], &two)?;
    ensure!(!listed.contains('!') && !listed.contains("does not load"), "{listed}");
    Ok(())
}
