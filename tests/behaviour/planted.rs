//! The checker finds what it is there to find: bugs planted in the host, each caught by its name.

use std::time::Duration;

use anyhow::ensure;
use sandman_tests::checker::Kind;
use sandman_tests::torture::{Load, Run, any_seed};
use sandman_tests::{Behaviour, Host, Result, Settings, World, rewritten};

pub const BEHAVIOURS: &[Behaviour] = &[
    planted("a_skipped_offset_is_caught_as_lost", |world| {
        caught(world, &Plant::new("skip-offset:40", &[Kind::Lost]))
    }),
    planted("a_dropped_batch_is_caught_as_lost", |world| {
        caught(world, &Plant::new("drop-batch:5", &[Kind::Lost]))
    }),
    planted("a_batch_published_twice_is_caught_as_duplicate", |world| {
        caught(world, &Plant::new("publish-twice:5", &[Kind::Duplicate]))
    }),
    planted("a_batch_in_the_wrong_order_is_caught", |world| {
        caught(world, &Plant::new("turn-batch:2", &[Kind::Order]).keys(4))
    }),
    planted("a_torn_unit_is_caught", |world| {
        caught(world, &Plant::new("tear-unit:20", &[Kind::Torn]))
    }),
    planted("two_workers_in_one_lane_are_caught_by_the_state", |world| {
        caught(world, &Plant::new("two-workers", &[Kind::State]).hot(4000))
    }),
    planted("state_kept_after_a_failed_commit_is_caught", |world| {
        let plant = Plant::new("keep-pending", &[Kind::State]);
        caught(world, &plant.with("STORE", "busy:5").keys(10))
    }),
    planted("publishing_before_the_commit_is_caught_as_duplicate", |world| {
        let plant = Plant::new("publish-before-commit", &[Kind::Duplicate]);
        caught(world, &plant.with("STORE", "busy:5"))
    }),
    // Not every commit: a store that has no progress at all, where the group was told of some, is a stop.
    planted("a_commit_without_its_progress_is_caught_as_duplicate", |world| {
        caught(
            world,
            &Plant::new("forget-progress:2", &[Kind::Duplicate]).then(Then::Kill),
        )
    }),
    planted("a_reply_before_its_commit_is_caught_as_lost", |world| {
        let plant = Plant::new("reply-before-commit", &[Kind::Lost]);
        // The answers must leave before the host dies.
        caught(world, &plant.clients(8).with("CRASH", "written:50").then(Then::Dies))
    }),
    planted("a_forgotten_cursor_is_caught_as_duplicate", |world| {
        let plant = Plant::new("ignore-cursor", &[Kind::Duplicate]);
        caught(world, &plant.with("CRASH", "visible:20").then(Then::Dies))
    }),
    planted("an_ignored_fence_is_caught_as_lost", |world| {
        caught(world, &Plant::new("ignore-fence", &[Kind::Lost]).then(Then::Fence))
    }),
    planted("forgotten_attempts_are_caught", |world| {
        let plant = Plant::new("forget-attempts", &[Kind::Attempts]);
        caught(world, &plant.failing(300).then(Then::Kill))
    }),
    planted("an_old_version_after_a_swap_is_caught", |world| {
        caught(world, &Plant::new("old-version:7", &[Kind::Version]).then(Then::Swap))
    }),
    planted("a_transaction_that_nobody_ends_is_caught_as_stuck", |world| {
        let plant = Plant::new("stray-transaction", &[Kind::Stuck]);
        caught(world, &plant.with("CRASH", "delivered:20").then(Then::Dies))
    }),
    planted("a_refusal_of_what_is_committed_is_caught_as_phantom", |world| {
        caught(world, &Plant::new("refuse-done:10", &[Kind::Phantom]))
    }),
    // No host can break this one, for Kafka keeps it: the bug is in the readers.
    planted("an_aborted_transaction_that_readers_saw_is_caught", |world| {
        let run = Run::careless(world, any_seed())?;
        let plant = Plant::new("nothing", &[Kind::Aborted]).with("CRASH", "delivered:20");
        caught_in(&run, &plant.then(Then::Dies))
    }),
    control("nothing_is_caught_where_nothing_is_planted", |world| {
        caught(world, &Plant::new("nothing", &[]).failing(100).then(Then::Kill))
    }),
    control("nothing_is_caught_where_commits_fail", |world| {
        let plant = Plant::new("nothing", &[]);
        caught(world, &plant.with("STORE", "busy:40").then(Then::Kill))
    }),
];

const fn planted(name: &'static str, check: fn(&World) -> Result) -> Behaviour {
    Behaviour::new(name, check)
        .on_real_kafka("proves nothing about exactly once")
        .where_luck_helps(3)
}

/// Nothing is planted, and nothing may be found.
const fn control(name: &'static str, check: fn(&World) -> Result) -> Behaviour {
    planted(name, check).where_luck_helps(1)
}

/// What is done to a host with a bug in it, so that the bug shows.
#[derive(Clone, Copy)]
enum Then {
    /// Nothing but the load.
    Nothing,
    /// It is killed and started again, with the bug.
    Kill,
    /// It dies by itself at a step, and is started again, with the bug.
    Dies,
    /// Another producer takes its transactional id.
    Fence,
    /// Another version is deployed.
    Swap,
}

struct Plant {
    fault: &'static str,
    with: Option<(&'static str, &'static str)>,
    load: Load,
    then: Then,
    /// Each of these must be found.
    caught: &'static [Kind],
}

impl Plant {
    fn new(fault: &'static str, caught: &'static [Kind]) -> Self {
        let load = Load {
            keys: 50,
            failing: 0,
            refused: 0,
            ..Load::default()
        };
        Self {
            fault,
            with: None,
            load,
            then: Then::Nothing,
            caught,
        }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.with = Some((name, value));
        self
    }

    fn keys(mut self, keys: usize) -> Self {
        self.load.keys = keys;
        self
    }

    fn clients(mut self, clients: usize) -> Self {
        self.load.clients = clients;
        self
    }

    /// One key alone, whose lane is never empty.
    fn hot(mut self, burn: u64) -> Self {
        self.load.burn = burn;
        self.load.clients = 0;
        self.keys(1)
    }

    fn failing(mut self, failing: u32) -> Self {
        self.load.failing = failing;
        self
    }

    fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

fn caught(world: &World, plant: &Plant) -> Result {
    caught_in(&Run::new(world, any_seed(), false)?, plant)
}

fn caught_in(run: &Run<'_>, plant: &Plant) -> Result {
    let settings = run.settings_with(run.handler()?.set("retry", SLOW_RETRY))?;
    let settings = settings.fault("FAULT", plant.fault);
    let first = match plant.with {
        Some((name, value)) => settings.clone().fault(name, value),
        None => settings.clone(),
    };
    let host = run.host(&first)?;
    // What dies at a step does so once.
    let later = if matches!(plant.then, Then::Dies) {
        &settings
    } else {
        &first
    };
    let host = run.under(&plant.load, || disturb(run, host, later, plant.then))?;
    let verdict = run.verdict(host)?;
    let found: Vec<_> = verdict.counts().into_keys().collect();
    ensure!(
        plant.caught.iter().all(|kind| found.contains(kind)) && found.is_empty() == plant.caught.is_empty(),
        "planted {}, seed {}: found {found:?} and not {:?}: {:?}",
        plant.fault,
        run.seed,
        plant.caught,
        verdict.anomalies.first()
    );
    Ok(())
}

/// So slow that a kill falls between two attempts.
const SLOW_RETRY: &str = r#"{ attempts = 4, first = "500ms", factor = 2.0, max = "1s" }"#;
const LONG: Duration = Duration::from_secs(20);

fn disturb(run: &Run<'_>, host: Host, settings: &Settings, then: Then) -> Result<Host> {
    run.until_seen(300, LONG);
    let host = match then {
        Then::Nothing => host,
        Then::Kill => {
            // Long enough for a second try to fail, and to be stored.
            run.until_seen(800, LONG);
            let host = run.kill_and_start(host, settings)?;
            run.until_seen(300, LONG);
            run.kill_and_start(host, settings)?
        }
        Then::Dies => run.died_and_start(host, settings)?,
        Then::Fence => {
            // It is fenced at its next transaction, so there must be one.
            let _rival = run.world.rival()?;
            run.until_seen(300, LONG);
            host
        }
        Then::Swap => {
            host.deployed(
                "witness",
                &rewritten("witness", "witness version: 000001", "witness version: 000002")?,
            )?;
            host
        }
    };
    run.until_seen(300, LONG);
    Ok(host)
}
