//! The host is killed in the middle of its work, again and again.

use anyhow::ensure;
use sandman_tests::{Behaviour, Compression, Ledger, Result, World, echo};

pub const BEHAVIOURS: &[Behaviour] =
    &[
        Behaviour::new("a_host_killed_under_load_loses_and_doubles_nothing", killed_under_load)
            .on_postgres_too()
            .on_real_kafka("shows clients the events of aborted transactions"),
    ];

const KILLS: usize = 5;
const KEYS: usize = 200;
const ROUNDS: usize = 60;

fn killed_under_load(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    // Small commits: a kill falls between many of them, and between commit and transaction.
    let settings = world.settings()?.set("host.batch", "20").handler(echo(&[&input])?);
    let mut ledger = Ledger::default();
    let events = ledger.rounds(KEYS, ROUNDS, 100);
    let first = world.host(&settings)?;
    let host = std::thread::scope(|scope| -> Result<_> {
        let producing = scope.spawn(|| -> Result {
            let producer = world.producer(Compression::Gzip)?;
            events
                .chunks(200)
                .try_for_each(|chunk| producer.send(&input, chunk).map(drop))
        });
        let mut reader = world.reader(&world.topic("thing.echoed"))?;
        let mut host = first;
        for kill in 1..=KILLS {
            // A read-committed client watches meanwhile, and decides when.
            reader.until_count(kill * events.len() / (KILLS + 2))?;
            host.kill()?;
            host = world.host(&settings)?;
        }
        producing
            .join()
            .map_err(|_| anyhow::anyhow!("the producer panicked"))??;
        Ok(host)
    })?;
    ledger.settle(world)?;
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    ledger.check(world)
}
