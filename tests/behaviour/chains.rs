//! A thousand users at once: what each event calls old is what the one before it called new.

use anyhow::ensure;
use sandman_tests::{Behaviour, Diaries, DreamScape, Result, World};

pub const BEHAVIOURS: &[Behaviour] = &[Behaviour::new(
    "a_thousand_users_at_once_get_unbroken_chains",
    unbroken_chains,
)];

const USERS: usize = 1_000;
const CONNECTIONS: usize = 64;
/// Requests of each user, unless `SANDMAN_TEST_REQUESTS` says otherwise: an unoptimised host takes a few only.
const REQUESTS: usize = if cfg!(debug_assertions) { 5 } else { 50 };

fn unbroken_chains(world: &World) -> Result {
    let wanted = std::env::var("SANDMAN_TEST_REQUESTS").ok();
    let requests = wanted.and_then(|count| count.parse().ok()).unwrap_or(REQUESTS);
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let mut diaries = Diaries::new(&app, USERS, CONNECTIONS)?;
    // The check writes the last one.
    let unanswered = diaries.write(|round| round + 1 < requests)?;
    ensure!(unanswered == 0, "{unanswered} requests were not answered");
    diaries.check(&mut events)
}
