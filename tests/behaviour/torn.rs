//! A request of two handlers is carried out whole or not at all, whatever happens in the middle of it.

use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{anyhow, ensure};
use sandman_tests::{Behaviour, Diaries, DreamScape, Result, World, eventually};

pub const BEHAVIOURS: &[Behaviour] =
    &[
        Behaviour::new("a_host_killed_between_two_handlers_tears_no_request", killed_under_load)
            .on_postgres_too()
            .on_real_kafka("shows clients the events of aborted transactions"),
    ];

const KILLS: usize = 4;
const USERS: usize = 48;
const WRITERS: usize = 16;
/// Answered requests between two kills.
const BETWEEN: usize = 200;

fn killed_under_load(world: &World) -> Result {
    // Small commits: a kill falls between many of them, and between commit and transaction.
    let mut app = DreamScape::start_with(world, &[("SANDMAN_HOST__BATCH", "3")])?;
    let mut events = app.events()?;
    let mut diaries = Diaries::new(&app, USERS, WRITERS)?;
    let mut unanswered = 0;
    for kill in 1..=KILLS {
        let acknowledged = diaries.acknowledged();
        let (next, cut) = thread::scope(|scope| -> Result<_> {
            let writing = scope.spawn(|| diaries.write(|_| true));
            eventually("enough is written for a kill", || {
                let enough = acknowledged.load(Ordering::Relaxed) >= kill * BETWEEN;
                // A writer that ended before the kill has seen what it must not.
                ensure!(enough || !writing.is_finished(), "the writers ended by themselves");
                Ok(enough.then_some(()))
            })?;
            let next = app.kill_and_start()?;
            Ok((next, writing.join().map_err(|_| anyhow!("the writers panicked"))??))
        })?;
        app = next;
        unanswered += cut;
        diaries.go_on_with(&app)?;
    }
    ensure!(unanswered > 0, "no kill cut a request short: this shows nothing");
    diaries.check(&mut events)?;
    let ended = app.stop()?;
    ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    Ok(())
}
