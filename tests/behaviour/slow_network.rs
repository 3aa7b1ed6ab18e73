//! A network whose answers are late is not filled with one question until nothing else gets through.

use std::time::Duration;

use sandman_tests::{Behaviour, Event, Result, World, echo};

pub const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::new("a_host_that_starts_on_a_slow_network_publishes", starts).on_its_own_kafka()];

/// How late every answer is. The relay once asked every 20 ms for leaders whose names were on their way, and at most five
/// requests are under way: no transaction came to its end.
const LATE: Duration = Duration::from_millis(500);

fn starts(world: &World) -> Result {
    world.own_broker()?;
    let proxy = world.proxy()?;
    let input = world.make_topic("thing.happened")?;
    let settings = world
        .settings()?
        .set("kafka.brokers", &format!("{:?}", proxy.address()))
        .handler(echo(&[&input])?);
    let things = |n: u64| -> Vec<Event> { (0..30).map(|user| Event::thing(&format!("user-{user}"), n)).collect() };
    let host = world.host(&settings)?;
    world.send(&input, &things(1))?;
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    reader.until_count(30)?;
    host.kill()?;

    proxy.delay(LATE);
    world.send(&input, &things(2))?;
    let host = world.host(&settings)?;
    reader.until_count(60)?;
    proxy.heal();
    host.terminate()?.says(0, &[])
}
