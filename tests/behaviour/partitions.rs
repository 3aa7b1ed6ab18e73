//! A key lands on the partition on which the Java client puts it.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Event, Result, World, echo, repository};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "a_thousand_keys_land_where_the_java_client_puts_them",
    where_java_puts_them,
)];

const PARTITIONS: i32 = 7;

/// A key, and what `org.apache.kafka.common.utils.Utils.murmur2` makes of it.
struct Hashed {
    key: String,
    hash: i32,
}

impl Hashed {
    /// As Java's `BuiltInPartitioner.partitionForKey` does.
    fn partition(&self) -> i32 {
        (self.hash & i32::MAX) % PARTITIONS
    }
}

/// Written by `tests/kafka/Murmur2.java` with Kafka's own code.
fn fixture() -> Result<Vec<Hashed>> {
    let text = std::fs::read_to_string(repository().join("tests/kafka/murmur2.tsv"))?;
    let lines = text.lines().map(|line| {
        let (hash, key) = line.split_once('\t').context("a line is `hash<TAB>key as JSON`")?;
        Ok(Hashed {
            key: serde_json::from_str(key)?,
            hash: hash.parse()?,
        })
    });
    lines.collect()
}

fn where_java_puts_them(world: &World) -> Result {
    let keys = fixture()?;
    ensure!(keys.len() == 1_000, "the fixture has {} keys", keys.len());
    let input = world.make_topic("thing.happened")?;
    let outputs = ["thing.counted", "thing.echoed"].map(|name| world.topic(name));
    world.cluster()?.create_topics(&outputs, PARTITIONS)?;
    let _host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let events: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(n, hashed)| numbered(n, &hashed.key))
        .collect();
    world.send(&input, &events)?;
    let mut reader = world.reader(&outputs[1])?;
    let seen = reader.until_count(keys.len())?;
    let mut wrong = Vec::new();
    for event in seen {
        let n = usize::try_from(event.payload()["n"].as_u64().context("n")?)?;
        let hashed = keys.get(n).context("an n that was not sent")?;
        ensure!(event.key_text() == hashed.key, "key {n} became {:?}", event.key_text());
        if event.partition != hashed.partition() {
            wrong.push(format!(
                "{:?} on {}, not {}",
                hashed.key,
                event.partition,
                hashed.partition()
            ));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} keys landed elsewhere: {wrong:#?}",
        wrong.len(),
        keys.len()
    );
    Ok(())
}

fn numbered(n: usize, key: &str) -> Event {
    Event::new("thing.happened", key, &json!({ "n": n }))
}
