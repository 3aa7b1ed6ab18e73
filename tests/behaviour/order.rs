//! The inputs of a key are applied in their order, and what comes out of them is published in it.

use std::collections::BTreeMap;

use anyhow::ensure;
use sandman_tests::{Behaviour, Compression, Ledger, Result, World, echo};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_thousand_keys_keep_their_order_in_slow_handlers", a_thousand_keys),
    Behaviour::new("a_hot_key_keeps_its_order_among_others", a_hot_key).on_postgres_too(),
];

const KEYS: usize = 1_000;
const EACH: usize = 5;

fn a_thousand_keys(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    // Few units a commit: a key's events end up in different commits and different transactions of the relay.
    let settings = world.settings()?.set("host.batch", "50").handler(echo(&[&input])?);
    let _host = world.host(&settings)?;
    let mut ledger = Ledger::default();
    let mut events = Vec::with_capacity(KEYS * EACH);
    for round in 0..EACH {
        for key in 0..KEYS {
            // From 0 to about a millisecond, different for neighbours: the order of finishing is not that of starting.
            let burn = (key * 7 + round * 13) % 20 * 50;
            events.push(ledger.next(&format!("user-{key}"), burn as u64));
        }
    }
    let landed = world.producer(Compression::None)?.send(&input, &events)?;
    let mut used: BTreeMap<i32, usize> = BTreeMap::new();
    for (partition, _) in landed {
        *used.entry(partition).or_default() += 1;
    }
    ensure!(
        used.len() == 3,
        "the keys did not spread over three partitions: {used:?}"
    );
    ledger.settle(world)
}

fn a_hot_key(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let _host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let mut ledger = Ledger::default();
    let mut events = Vec::new();
    for n in 0..2_000 {
        // Nine of ten are for one key: its lane runs far ahead of the commits.
        let key = if n % 10 == 0 {
            format!("user-{}", n % 70)
        } else {
            "hot".to_owned()
        };
        events.push(ledger.next(&key, 20));
    }
    world.send(&input, &events)?;
    ledger.settle(world)
}
