//! Runs behaviours, and shows those that the broker at hand cannot prove as ignored, with the reason.

use std::cell::RefCell;
use std::io::{Write, stderr, stdout};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow, bail, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use sandman::guest::Language;

use crate::broker::{Cluster, Means, Shared};
use crate::database::{self, Database};
use crate::small_disk::SmallDisk;
use crate::torture::{self, How, Kafka, Plant, Report, Scenario};
use crate::world::World;
use crate::{Result, again, binary, dreamscape, guests};

/// Behaviours that run side by side: most of their time they wait for a broker or a deadline, but each has a host of its
/// own, and the machines that they run on have few cores.
const AT_ONCE: usize = 4;

/// What a behaviour stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// No broker, no host.
    Nothing,
    /// A host, no broker.
    Host,
    /// Any broker.
    Broker,
    /// A real Kafka, because the in-process broker does not do this.
    Kafka(&'static str),
    /// A real Kafka of its own, to be stopped.
    OwnKafka,
    /// Any broker, and the S3 server, which runs where a real Kafka does.
    S3,
    /// A real Kafka and Node, because what is shown are clients in it.
    Node,
}

/// With the value `required` a language whose tools are missing is a failure, as it is in CI.
const LANGUAGES: &str = "SANDMAN_TEST_LANGUAGES";

/// A named fact about Sandman, and how to find out whether it holds.
#[derive(Clone, Copy)]
pub struct Behaviour {
    name: &'static str,
    needs: Needs,
    /// The language whose tools it needs.
    language: Option<Language>,
    small_disk: bool,
    /// Why it says itself which store its hosts have, if it does.
    own_store: Option<&'static str>,
    /// CI shows it on PostgreSQL as well.
    on_postgres: bool,
    check: Check,
}

#[derive(Clone, Copy)]
enum Check {
    Plain(fn(&World) -> Result),
    /// The short form of a scenario must come out clean.
    Torture(&'static Scenario),
}

impl Behaviour {
    /// A behaviour that any broker can show.
    pub const fn new(name: &'static str, check: fn(&World) -> Result) -> Self {
        Self {
            name,
            needs: Needs::Broker,
            language: None,
            small_disk: false,
            own_store: None,
            on_postgres: false,
            check: Check::Plain(check),
        }
    }

    /// A torture scenario, in its short form.
    pub const fn torture(scenario: &'static Scenario) -> Self {
        Self {
            name: scenario.name,
            needs: match scenario.kafka {
                Kafka::Own | Kafka::ThreeBrokers => Needs::OwnKafka,
                Kafka::Shared => Needs::Kafka("proves nothing about exactly once"),
            },
            language: None,
            small_disk: false,
            own_store: Some("the scenario says which store it has"),
            on_postgres: false,
            check: Check::Torture(scenario),
        }
    }

    /// It needs neither a broker nor a host.
    #[must_use]
    pub const fn of_the_sources(self) -> Self {
        self.needing(Needs::Nothing)
    }

    /// It needs no broker.
    #[must_use]
    pub const fn without_broker(self) -> Self {
        self.needing(Needs::Host)
    }

    /// Only a real Kafka shows it; `why` completes "the in-process broker …".
    #[must_use]
    pub const fn on_real_kafka(self, why: &'static str) -> Self {
        self.needing(Needs::Kafka(why))
    }

    /// It stops a broker, which must be a real Kafka of its own.
    #[must_use]
    pub const fn on_its_own_kafka(self) -> Self {
        self.needing(Needs::OwnKafka)
    }

    /// It needs the S3 server, whose parts come from Maven as Kafka's do.
    #[must_use]
    pub const fn with_s3(self) -> Self {
        self.needing(Needs::S3)
    }

    /// It shows what clients in Node see, on a real Kafka.
    #[must_use]
    pub const fn in_node(self) -> Self {
        self.needing(Needs::Node)
    }

    /// It builds a guest in this language.
    #[must_use]
    pub const fn in_language(self, language: Language) -> Self {
        Self {
            language: Some(language),
            ..self
        }
    }

    /// It fills a disk of its own up, which only root may have.
    #[must_use]
    pub const fn on_a_small_disk(self) -> Self {
        Self {
            small_disk: true,
            ..self
        }
    }

    /// It is about a store in a file, or says itself which store its hosts have.
    #[must_use]
    pub const fn with_its_own_store(self, why: &'static str) -> Self {
        Self {
            own_store: Some(why),
            ..self
        }
    }

    /// CI shows it with the store on PostgreSQL as well: it is quick, and tells much of the store.
    #[must_use]
    pub const fn on_postgres_too(self) -> Self {
        Self {
            on_postgres: true,
            ..self
        }
    }

    const fn needing(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// Why it cannot be shown with these means.
    fn hindrance(self, means: &Means) -> Option<String> {
        match (self.needs, &means.shared, &means.own) {
            (Needs::Kafka(why), Shared::InProcess(_), _) => Some(format!("the in-process broker {why}")),
            (Needs::Node, Shared::InProcess(_), _) => Some("the in-process broker knows KafkaJS too little".to_owned()),
            (Needs::Node, ..) => means.node.as_ref().err().cloned(),
            (Needs::S3, Shared::InProcess(_), Err(why)) => Some(format!("no S3 server: {why}")),
            (Needs::OwnKafka, _, Err(why)) => Some(format!("it stops a broker of its own: {why}")),
            _ => None,
        }
    }

    fn trial(self, means: &'static Means, database: Database) -> Trial {
        Trial::ignorable_test(self.name, move || {
            if let (Some(why), Database::Postgres { .. }) = (self.own_store, database) {
                return Ok(Completion::ignored_with(format!(
                    "not shown again on PostgreSQL: {why}"
                )));
            }
            if let Some(missing) = self.language.and_then(Language::missing) {
                return match std::env::var_os(LANGUAGES).is_some_and(|wanted| wanted == "required") {
                    true => Err(format!("{missing} ({LANGUAGES}=required)").into()),
                    false => Ok(Completion::ignored_with(missing.to_string())),
                };
            }
            if self.small_disk && !SmallDisk::can_be_had() {
                return Ok(Completion::ignored_with(
                    "only root may mount a disk to fill up".to_owned(),
                ));
            }
            match self.hindrance(means) {
                Some(why) => Ok(Completion::ignored_with(why)),
                None => self.run(means).map(|()| Completion::Completed),
            }
        })
    }

    pub(crate) fn is(self, name: &str) -> bool {
        self.name == name
    }

    pub(crate) fn run(self, means: &'static Means) -> Result<(), Failed> {
        let world = World::new(self.name, (means, self.language)).map_err(|error| chain(&error))?;
        PANIC.set(None);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| match self.check {
            Check::Plain(check) => check(&world),
            Check::Torture(scenario) => {
                let how = How {
                    seed: torture::fixed_seed(),
                    full: false,
                    plant: None,
                };
                let report = torture::one(&world, scenario, &how);
                ensure!(report.clean, "{}", report.text());
                Ok(())
            }
        }));
        let why = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => chain(&error),
            Err(_) => PANIC.take().unwrap_or_default(),
        };
        again::note(self.name);
        Err(format!("{why}\n{}", world.logs()).into())
    }
}

thread_local! {
    /// What the last panic on this thread said, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs the behaviours that the command line asks for.
pub fn main(behaviours: &[Behaviour]) -> ExitCode {
    match run(behaviours) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(behaviours: &[Behaviour]) -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE));
    // A panic is part of the behaviour's report, which the hosts' logs belong to as well.
    panic::set_hook(Box::new(|panic| PANIC.set(Some(panic.to_string()))));
    let database = Database::wanted()?;
    let chosen = database == Database::Postgres { chosen: true };
    let behaviours: Vec<_> = behaviours
        .iter()
        .filter(|known| known.on_postgres || !chosen)
        .copied()
        .collect();
    let means: &'static Means = Box::leak(Box::new(prepare(&arguments, (&behaviours, database))?));
    let trials = behaviours.iter().map(|behaviour| behaviour.trial(means, database));
    let trials = trials.collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if database != Database::File {
        let schemas = database::schemas();
        let _ = writeln!(
            stdout(),
            "hosts were set up {schemas} times with their store on PostgreSQL"
        );
    }
    if let Some(remedy) = means.remedy(conclusion.num_ignored) {
        // After the summary, on the same output: the last line.
        let _ = writeln!(stdout(), "{remedy}");
    }
    match conclusion.has_failed() && again::all(conclusion.num_failed, &behaviours, means)? {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(conclusion.exit_code()),
    }
}

/// Builds and starts what the selected behaviours need before the first of them, with progress.
fn prepare(arguments: &Arguments, (behaviours, database): (&[Behaviour], Database)) -> Result<Means> {
    let selected: Vec<_> = behaviours
        .iter()
        .filter(|behaviour| selected(arguments, behaviour))
        .collect();
    if arguments.list || selected.iter().all(|behaviour| behaviour.needs == Needs::Nothing) {
        return Ok(Means::none());
    }
    timed("built sandman", || binary::sandman().map(drop))?;
    if database != Database::File {
        timed("started PostgreSQL", || database.prepare())?;
    }
    timed("built the guests", || {
        let of_tests = ["tests/guests/echo", "tests/guests/hostile", "tests/guests/witness"];
        let mut all = of_tests.iter().chain(&dreamscape::GUESTS);
        all.try_for_each(|folder| guests::guest_in(folder).map(drop))
    })?;
    if selected
        .iter()
        .all(|behaviour| matches!(behaviour.needs, Needs::Nothing | Needs::Host))
    {
        return Ok(Means::none());
    }
    let node = selected.iter().any(|behaviour| behaviour.needs == Needs::Node);
    let means = Means::find(node)?;
    timed(&format!("broker: {}", means.shared), || {
        Cluster::shared(&means).map(drop)
    })?;
    Ok(means)
}

fn selected(arguments: &Arguments, behaviour: &Behaviour) -> bool {
    !arguments.is_filtered_out(&Trial::test(behaviour.name, || Ok(())))
}

fn timed(what: &str, work: impl FnOnce() -> Result) -> Result {
    let started = Instant::now();
    work().with_context(|| anyhow!("failed: {what}"))?;
    say(&format!("{what} ({:.1} s)", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Which scenarios to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those whose name starts with one of these; all where there is none.
    pub scenarios: Vec<String>,
    /// What their choices follow from; any where there is none.
    pub seed: Option<u64>,
    /// Their short form.
    pub short: bool,
    /// A bug that every host is to have.
    pub plant: Option<Plant>,
}

/// Runs torture scenarios in their full form, one after the other; `each` hears of each.
///
/// # Errors
/// If there is no real Kafka, or no scenario of that name.
pub fn torture(wanted: &Wanted, mut each: impl FnMut(&Report)) -> Result<bool> {
    let is_wanted = |scenario: &Scenario| {
        let mut names = wanted.scenarios.iter();
        wanted.scenarios.is_empty() || names.any(|name| scenario.name.starts_with(name.as_str()))
    };
    let scenarios: Vec<_> = torture::all().filter(|scenario| is_wanted(scenario)).collect();
    let mut names = wanted.scenarios.iter();
    let stray =
        names.find(|name| name.is_empty() || !torture::all().any(|known| known.name.starts_with(name.as_str())));
    if let Some(name) = stray {
        bail!("there is no scenario {name:?}; --list names them");
    }
    let means: &'static Means = Box::leak(Box::new(Means::find(false)?));
    if let Shared::InProcess(why) = &means.shared {
        anyhow::bail!("only a real Kafka shows anything here: {why}");
    }
    timed("built sandman", || binary::sandman().map(drop))?;
    timed("built sandman with faults", || binary::faulty().map(drop))?;
    timed("built the guests", || guests::guest("witness").map(drop))?;
    let mut clean = true;
    for scenario in scenarios {
        let world = World::new(scenario.name, (means, None))?;
        let how = How {
            seed: wanted.seed.unwrap_or_else(torture::any_seed),
            full: !wanted.short,
            plant: wanted.plant.clone(),
        };
        let report = torture::one(&world, scenario, &how);
        clean &= report.clean;
        if !report.clean {
            say(&world.logs());
        }
        each(&report);
    }
    Ok(clean)
}

/// Gives a bench a world of its own, on a real Kafka.
///
/// # Errors
/// If there is none, or what `work` says.
pub fn bench(work: impl FnOnce(&World) -> Result) -> Result {
    let means: &'static Means = Box::leak(Box::new(Means::find(true)?));
    if let Shared::InProcess(why) = &means.shared {
        anyhow::bail!("only a real Kafka shows anything here: {why}");
    }
    timed("built sandman", || binary::sandman().map(drop))?;
    let world = World::new("bench", (means, None))?;
    timed(&format!("broker: {}", means.shared), || {
        Cluster::shared(means).map(drop)
    })?;
    work(&world).with_context(|| world.logs())
}

/// An error and what caused it, a line each.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    causes.join("\n  because: ")
}

/// A line of progress.
pub fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
