//! The checker finds what it is there to find: bugs planted in the host, each caught by its name.

use std::time::Duration;

use anyhow::ensure;
use sandman_tests::checker::Kind;
use sandman_tests::torture::{Gate, Load, Run, Target, fixed_seed};
use sandman_tests::{Behaviour, Host, Result, Settings, World, eventually, rewritten};
use witness::Asked;

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
        caught(world, &Plant::new("two-workers:3", &[Kind::State]).hot(4000))
    }),
    planted("state_kept_after_a_failed_commit_is_caught", |world| {
        let plant = Plant::new("keep-pending", &[Kind::State]);
        caught(world, &plant.with("STORE", "busy:5").keys(10))
    }),
    planted("publishing_before_the_commit_is_caught_as_duplicate", |world| {
        let plant = Plant::new("publish-before-commit:2", &[Kind::Duplicate]);
        caught(world, &plant.with("STORE", "busy:5"))
    }),
    planted(
        "a_commit_without_its_progress_is_caught_as_duplicate",
        commit_without_progress,
    ),
    planted("a_reply_before_its_commit_is_caught_as_lost", reply_before_commit),
    planted("a_document_that_the_store_kept_is_caught_by_the_state", kept_document),
    planted("a_forgotten_cursor_is_caught_as_duplicate", |world| {
        let plant = Plant::new("ignore-cursor", &[Kind::Duplicate]);
        caught(world, &plant.then(Then::Dies("visible")))
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
        caught(world, &plant.then(Then::Dies("delivered")))
    }),
    planted("a_refusal_of_what_is_committed_is_caught_as_phantom", |world| {
        caught(world, &Plant::new("refuse-done:10", &[Kind::Phantom]))
    }),
    // No host can break this one, for Kafka keeps it: the bug is in the readers.
    planted("an_aborted_transaction_that_readers_saw_is_caught", |world| {
        let run = Run::careless(world, fixed_seed())?;
        let plant = Plant::new("nothing", &[Kind::Aborted]);
        caught_in(&run, &plant.then(Then::Dies("delivered")))
    }),
    planted("nothing_is_caught_where_nothing_is_planted", |world| {
        caught(world, &Plant::new("nothing", &[]).failing(100).then(Then::Kill))
    }),
    planted("nothing_is_caught_where_commits_fail", |world| {
        let plant = Plant::new("nothing", &[]);
        caught(world, &plant.with("STORE", "busy:40").then(Then::Kill))
    }),
];

const fn planted(name: &'static str, check: fn(&World) -> Result) -> Behaviour {
    Behaviour::new(name, check)
        .on_real_kafka("proves nothing about exactly once")
        .with_its_own_store("the scenario says which store it has")
}

/// What is done to a host with a bug in it, so that the bug shows.
#[derive(Clone, Copy)]
enum Then {
    /// Nothing but the load.
    Nothing,
    /// It is killed and started again, with the bug.
    Kill,
    /// It dies by itself at this step, and is started again, with the bug.
    Dies(&'static str),
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
    caught_in(&Run::new(world, fixed_seed(), false)?, plant)
}

fn caught_in(run: &Run<'_>, plant: &Plant) -> Result {
    let settings = run.settings_with(run.handler()?.set("retry", SLOW_RETRY))?;
    let mut settings = settings.fault("FAULT", plant.fault);
    if let Some((name, value)) = plant.with {
        settings = settings.fault(name, value);
    }
    let host = run.under(&plant.load, || disturb(run, &settings, plant.then))?;
    finds(run, host, plant.fault, plant.caught)
}

/// The checker finds these, or nothing where there are none.
fn finds(run: &Run<'_>, host: Host, planted: &str, wanted: &[Kind]) -> Result {
    let verdict = run.verdict(host)?;
    let found: Vec<_> = verdict.counts().into_keys().collect();
    ensure!(
        wanted.iter().all(|kind| found.contains(kind)) && found.is_empty() == wanted.is_empty(),
        "planted {planted}, seed {}: found {found:?} and not {wanted:?}: {:?}",
        run.seed,
        verdict.anomalies.first()
    );
    Ok(())
}

/// Every second commit is without its progress. Not every one: a store that has no progress at all, where the group was told of
/// some, is a stop. What the next commit makes good is no harm, so the host dies right after one of them.
fn commit_without_progress(world: &World) -> Result {
    let run = Run::new(world, fixed_seed(), false)?;
    let load = Load {
        failing: 0,
        refused: 0,
        ..Load::default()
    };
    // More than the commits until then hold, so that there are events in each of them.
    run.send(&load, 2_000)?;
    let settings = run.settings()?.fault("FAULT", "forget-progress:2");
    run.dies(&settings.clone().fault("CRASH", "committed:40"))?;
    finds(&run, run.host(&settings)?, "forget-progress", &[Kind::Duplicate])
}

/// A host that stands still while everything is written and nothing is durable answers nobody, or too early.
fn reply_before_commit(world: &World) -> Result {
    let run = Run::new(world, fixed_seed(), false)?;
    let settings = run.settings()?.fault("FAULT", "reply-before-commit");
    let (gate, settings) = Gate::new(&run, settings)?;
    let host = run.host(&settings)?;
    let load = Load {
        clients: 8,
        ..Load::default()
    };
    let host = run.under(&load, || {
        run.at_work(&host, Target::EventsAndRequests)?;
        gate.hold(&host, "written")?;
        // Each client may hear of one more that was committed before.
        let wanted = run.journal.answered_requests() + load.clients + 1;
        eventually("a request is answered before its commit", || {
            Ok((run.journal.answered_requests() >= wanted).then_some(()))
        })?;
        run.kill_and_start(host, &settings, Target::EventsAndRequests)
    })?;
    finds(&run, host, "reply-before-commit", &[Kind::Lost])
}

/// The store keeps the old document at one write in eleven for one key in seven. The host that wrote it knows better; the
/// next one builds on it.
fn kept_document(world: &World) -> Result {
    let mut run = Run::new(world, fixed_seed(), false)?;
    run.plant(sandman_tests::torture::Plant::KeepDocument);
    let settings = run.settings()?;
    let host = run.host(&settings)?;
    // All are answered before the next ones are sent: each input is a write of its own.
    let round = || -> Result {
        let inputs: Vec<_> = (0..70)
            .map(|key| run.enter(&format!("user-{key}"), Asked::default()))
            .collect();
        let wanted = run.answered_events() + inputs.len();
        run.send_all(&inputs)?;
        eventually("all are answered", || {
            Ok((run.answered_events() >= wanted).then_some(()))
        })
    };
    for _ in 0..11 {
        round()?;
    }
    let host = run.kill_and_start(host, &settings, Target::Events)?;
    round()?;
    finds(&run, host, "keep-document", &[Kind::State])
}

/// So slow that a kill falls between two attempts.
const SLOW_RETRY: &str = r#"{ attempts = 4, first = "500ms", factor = 2.0, max = "1s" }"#;
const LONG: Duration = Duration::from_secs(20);

fn disturb(run: &Run<'_>, settings: &Settings, then: Then) -> Result<Host> {
    if let Then::Dies(step) = then {
        run.dies_at(settings, (step, 5), Target::Events)?;
    }
    let host = run.host(settings)?;
    run.until_seen(300, LONG);
    let host = match then {
        Then::Nothing | Then::Dies(_) => host,
        Then::Kill => {
            // Long enough for a second try to fail, and to be stored.
            run.until_seen(800, LONG);
            let host = run.kill_and_start(host, settings, Target::Events)?;
            run.until_seen(300, LONG);
            run.kill_and_start(host, settings, Target::Events)?
        }
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
