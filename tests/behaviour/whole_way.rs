//! A record goes the whole way: Kafka, guest, commit, Kafka.

use sandman_tests::{Behaviour, Event, Handler, Result, World, guest};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "a_record_goes_the_whole_way",
    a_record_goes_the_whole_way,
)];

fn a_record_goes_the_whole_way(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let handler = Handler::new("echo", &guest("echo")?)
        .consumes(&[&input])
        .emits(&["thing.counted", "thing.echoed"]);
    let _host = world.host(&world.settings()?.handler(handler))?;
    world.send(&input, &[Event::thing("ada", 7)])?;
    world.reader(&world.topic("thing.echoed"))?.until_count(1)?;
    Ok(())
}
