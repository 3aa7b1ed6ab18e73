//! What an at-least-once producer sends again is handled once.

use std::collections::BTreeMap;

use anyhow::ensure;
use echo::Tally;
use sandman_tests::{Behaviour, Event, Handler, Host, Result, Settings, World, echo, guest, hostile};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("what_a_producer_sends_again_is_handled_once", sent_again)
        .on_real_kafka("shows clients the events of aborted transactions"),
];

const KEYS: usize = 40;
/// Events of a key that are sent, and then sent again.
const EACH: u64 = 5;

fn key(number: usize) -> String {
    format!("user-{number}")
}

/// The events of each key with these numbers.
fn things(numbers: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    let of_all = |n| (0..KEYS).map(move |number| Event::slow_thing(&key(number), n, 20));
    numbers.flat_map(of_all).collect()
}

/// Two handlers with states that read one topic, and one that has no states and reads another.
fn settings(world: &World, things: &String, orders: &String) -> Result<Settings> {
    let second = Handler::new("second", &guest("echo")?)
        .consumes(&[things])
        .emits(&["thing.counted", "thing.echoed"]);
    Ok(world
        .settings()?
        .set("host.batch", "20")
        .handler(echo(&[things])?.set("dedupe", "16"))
        .handler(second)
        .handler(hostile(&[orders])?.set("dedupe", "16")))
}

/// Waits until a handler of this process has counted so many duplicates, and no more.
fn counts(host: &Host, handler: &str, duplicates: usize) -> Result {
    let labels = [("handler", handler)];
    let metrics = host.metrics_when(&format!("{handler} counts its duplicates"), |metrics| {
        let counted = metrics.sum("sandman_duplicates_total", &labels);
        counted >= Some(duplicates as f64) && metrics.sum("sandman_group_lag_messages", &labels) == Some(0.0)
    })?;
    let counted = metrics.sum("sandman_duplicates_total", &labels);
    ensure!(
        counted == Some(duplicates as f64),
        "{handler} counts {counted:?} duplicates of {duplicates}"
    );
    Ok(())
}

fn sent_again(world: &World) -> Result {
    let (input, orders) = (world.make_topic("thing.happened")?, world.make_topic("hostile.told")?);
    let settings = settings(world, &input, &orders)?;
    let host = world.host(&settings)?;
    let first = things(1..=EACH);
    let told: Vec<_> = (0..KEYS)
        .map(|number| Event::told(&key(number), "many-events", 1))
        .collect();
    for _ in 0..2 {
        world.send(&input, &first)?;
        world.send(&orders, &told)?;
    }
    counts(&host, "echo", first.len())?;
    counts(&host, "second", first.len())?;
    counts(&host, "hostile", told.len())?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");

    // Again after a restart; and new ones, which it is killed over.
    let host = world.host(&settings)?;
    world.send(&input, &first)?;
    world.send(&orders, &told)?;
    counts(&host, "echo", first.len())?;
    counts(&host, "second", first.len())?;
    counts(&host, "hostile", told.len())?;
    let more = things(EACH + 1..=2 * EACH);
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    world.send(&input, &more)?;
    reader.until_count(2 * first.len() + more.len() / 2)?;
    host.kill()?;
    let host = world.host(&settings)?;
    world.send(&input, &more)?;
    counts(&host, "echo", more.len())?;
    counts(&host, "second", more.len())?;

    // The same id for another key is another event.
    let other = Event::slow_thing("another", 1, 0);
    let same_id = other.clone().with_key(Some(b"yet-another"));
    world.send(&input, &[other.clone(), same_id, other])?;
    counts(&host, "echo", more.len() + 1)?;
    counts(&host, "second", more.len() + 1)?;
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    check(world)
}

/// Each handler has handled each event once, in order.
fn check(world: &World) -> Result {
    let mut tallies: BTreeMap<(String, u64), Vec<Tally>> = BTreeMap::new();
    for counted in world.all_of(&world.topic("thing.counted"))? {
        let tally: Tally = serde_json::from_value(counted.payload())?;
        tallies.entry((counted.key_text(), tally.last)).or_default().push(tally);
    }
    let numbers = (0..KEYS).flat_map(|number| (1..=2 * EACH).map(move |n| (key(number), n)));
    let others = ["another", "yet-another"].map(|other| (other.to_owned(), 1));
    for (key, n) in numbers.chain(others) {
        let expected = (1..=n).fold(Tally::default(), Tally::after);
        let counted = tallies.remove(&(key.clone(), n)).unwrap_or_default();
        ensure!(
            counted == [expected; 2],
            "number {n} of {key}, by two handlers: {counted:?}, not {expected:?} of each"
        );
    }
    ensure!(tallies.is_empty(), "never sent: {tallies:?}");
    let done = world.all_of(&world.topic("hostile.done"))?;
    ensure!(
        done.len() == KEYS,
        "{} events of a handler without a state, not {KEYS}",
        done.len()
    );
    Ok(())
}
