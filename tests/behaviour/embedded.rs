//! The broker inside: for development, and the host says so.

use anyhow::ensure;
use sandman_tests::{Behaviour, Result, World, echo};

pub const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::new("the_embedded_broker_is_announced_as_development_only", announced).without_broker()];

fn announced(world: &World) -> Result {
    let topic = "dreamscape.thing.happened".to_owned();
    let settings = world
        .settings_without_broker()
        .set("kafka.brokers", "\"embedded\"")
        .handler(echo(&[&topic])?);
    let host = world.host(&settings)?;
    let line = host.says(&["embedded", "development"])?;
    ensure!(line.contains("WARN"), "it is no warning: {line}");
    let ended = host.terminate()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    // Again with the same store, although the broker begins empty.
    let host = world.host(&settings)?;
    host.still_runs()
}
