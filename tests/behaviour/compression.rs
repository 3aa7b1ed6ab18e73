//! Clients compress as they like.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Compression, Event, Result, World, echo};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new("batches_of_every_codec_are_read", every_codec)];

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];
const EACH: usize = 100;

fn every_codec(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let _host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    // Large and repetitive: the client finds it worth packing.
    let text = "the quick brown fox ".repeat(50);
    for codec in CODECS {
        let events: Vec<_> = (0..EACH)
            .map(|n| {
                Event::new(
                    "thing.happened",
                    &format!("{codec:?}-{n}"),
                    &json!({ "n": n, "text": text }),
                )
            })
            .collect();
        let sent = world.producer(codec)?.send(&input, &events);
        sent.with_context(|| format!("with {codec:?}"))?;
    }
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    let seen = reader.until_count(EACH * CODECS.len())?;
    for codec in CODECS {
        let prefix = format!("{codec:?}-");
        let whole = |event: &&sandman_tests::Seen| {
            let payload = event.payload();
            let key = format!("{prefix}{}", payload["n"]);
            event.key_text() == key && payload["text"] == text.as_str()
        };
        let count = seen.iter().filter(whole).count();
        ensure!(count == EACH, "{count} of {EACH} events with {codec:?} arrived whole");
    }
    Ok(())
}
