//! One deploy or rollback on its way through the stages.

use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;

use super::{Deployer, Done, Passed, Report, Stage};
use crate::clock;
use crate::config::Config;
use crate::load::{CandidateError, Loader};
use crate::registry::{Handler, Version};
use crate::sandbox::{Step, digest};
use crate::store::{Action, Activation, KeptVersion, NewVersion, Outcome, StoreError};

/// Why a stage was not passed.
#[derive(Debug, Error)]
enum Fault {
    #[error("the component has more than the {0} bytes that host.component allows")]
    TooLarge(usize),
    #[error("the configuration does not have the handler any more")]
    Gone,
    #[error("version {0} has no component in the store")]
    NoComponent(u64),
    #[error(transparent)]
    Candidate(#[from] CandidateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How the stages ended, if none failed.
pub(super) enum Ended {
    Active,
    Unchanged,
    Refused(String),
}

/// A deploy or a rollback under way.
pub(super) struct Run<'a> {
    deployer: &'a Deployer,
    config: Arc<Config>,
    handler: &'a Handler,
    action: Action,
    by: &'a str,
    tell: &'a mut dyn FnMut(Report),
    began: Instant,
    stage_began: Instant,
    /// The stage that comes next: the one that fails, if something does.
    stage: Stage,
    previous: u64,
    number: Option<u64>,
    digest: Option<Arc<str>>,
}

impl<'a> Run<'a> {
    pub(super) fn deploy(
        deployer: &'a Deployer,
        handler: &'a Handler,
        by: &'a str,
        tell: &'a mut dyn FnMut(Report),
    ) -> Self {
        let now = Instant::now();
        Self {
            deployer,
            config: deployer.config.load_full(),
            handler,
            action: Action::Deploy,
            by,
            tell,
            began: now,
            stage_began: now,
            stage: Stage::Received,
            previous: handler.active().number,
            number: None,
            digest: None,
        }
    }

    pub(super) fn rollback(
        deployer: &'a Deployer,
        handler: &'a Handler,
        by: &'a str,
        tell: &'a mut dyn FnMut(Report),
    ) -> Self {
        Self {
            action: Action::Rollback,
            stage: Stage::Stored,
            ..Self::deploy(deployer, handler, by, tell)
        }
    }

    /// All stages, for a component that was sent; `None`: too much was sent.
    pub(super) fn component(&mut self, component: Option<&[u8]>) -> Ended {
        self.try_component(component)
            .unwrap_or_else(|fault| self.failed(&fault))
    }

    fn try_component(&mut self, component: Option<&[u8]>) -> Result<Ended, Fault> {
        let limit = self.config.host.component;
        let component = component.filter(|component| component.len() <= limit);
        let component = component.ok_or(Fault::TooLarge(limit))?;
        self.pass(Stage::Digest, format!("{} bytes", component.len()));
        let digest: Arc<str> = digest(component).into();
        self.digest = Some(Arc::clone(&digest));
        self.pass(Stage::World, format!("sha256 {digest}"));
        let active = self.handler.active();
        if active.digest == digest {
            self.number = Some(active.number);
            return Ok(Ended::Unchanged);
        }
        let kept = self.deployer.versions.versions(&self.handler.name)?;
        let known = kept.iter().find(|version| version.digest == digest);
        // The newest versions are kept, so a number is never used again.
        let newest = kept.iter().map(|version| version.number).max();
        let number = known.map_or_else(|| newest.unwrap_or(active.number) + 1, |known| known.number);
        let version = self.load(number, component)?;
        self.number = Some(number);
        if known.is_none() {
            let new = NewVersion {
                handler: &self.handler.name,
                number,
                digest: &digest,
                component,
            };
            self.deployer.versions.keep(&new, clock::wall_millis())?;
        }
        let again = if known.is_some() {
            ", which was there already"
        } else {
            ""
        };
        self.pass(Stage::Active, format!("version {number}{again}"));
        self.activate(Arc::new(version))
    }

    /// The way of a version that the store keeps: it passed all stages once.
    pub(super) fn version(&mut self, target: &KeptVersion) -> Ended {
        self.number = Some(target.number);
        self.digest = Some(Arc::clone(&target.digest));
        self.try_version(target).unwrap_or_else(|fault| self.failed(&fault))
    }

    fn try_version(&mut self, target: &KeptVersion) -> Result<Ended, Fault> {
        if target.number == self.handler.active().number {
            return Ok(Ended::Unchanged);
        }
        let version = match self.handler.standby(target.number) {
            Some(version) => version,
            None => {
                let component = self.deployer.versions.component(&target.digest)?;
                let component = component.ok_or(Fault::NoComponent(target.number))?;
                self.stage = Stage::World;
                Arc::new(self.load(target.number, &component)?)
            }
        };
        self.stage = Stage::Active;
        self.activate(version)
    }

    /// The stages between the bytes and a version that may serve.
    fn load(&mut self, number: u64, component: &[u8]) -> Result<Version, Fault> {
        let config = Arc::clone(&self.config);
        let handler = Deployer::configured(&config, &self.handler.name).ok_or(Fault::Gone)?;
        let loader = Loader {
            config: &config,
            sandbox: &self.deployer.sandbox,
        };
        let version = loader.version(&handler, (number, component), &mut |step| self.step(step))?;
        self.pass(Stage::Stored, String::new());
        Ok(version)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Inspected => self.pass(Stage::Compiled, String::new()),
            Step::Compiled { kept } => {
                if !kept {
                    let took = self.stage_began.elapsed();
                    self.deployer.meters.compiled(&self.handler.name, took);
                }
                let detail = if kept { "its code was there already" } else { "" };
                self.pass(Stage::Instantiated, detail.to_owned());
            }
            Step::Instantiated => self.pass(Stage::Described, String::new()),
            Step::Described => self.pass(Stage::Contract, String::new()),
        }
    }

    /// In the store first, then in memory.
    fn activate(&mut self, version: Arc<Version>) -> Result<Ended, Fault> {
        let Deployer { versions, sandbox, .. } = self.deployer;
        let name = &self.handler.name;
        let entry = self.entry(Outcome::Active, String::new());
        let gone = versions.activate(name, &entry, self.config.host.versions)?;
        let before = self.handler.active();
        let (number, digest) = (version.number, Arc::clone(&version.digest));
        self.handler.activate(version);
        self.deployer.since.lock().insert(Arc::clone(name), entry.at_millis);
        let meters = &self.deployer.meters;
        meters.serves(name, (before.number, &before.digest), false);
        meters.serves(name, (number, &digest), true);
        sandbox.forget(&gone);
        let passed = format!("version {number} serves, before it version {}", before.number);
        self.told(Stage::Active, passed);
        tracing::info!(
            handler = &**name,
            version = number,
            digest = &*digest,
            by = self.by,
            "active"
        );
        Ok(Ended::Active)
    }

    /// The stage before `next` is passed.
    fn pass(&mut self, next: Stage, detail: String) {
        let passed = self.stage;
        self.stage = next;
        self.told(passed, detail);
    }

    fn told(&mut self, stage: Stage, detail: String) {
        let now = Instant::now();
        let millis = millis(self.stage_began, now);
        self.stage_began = now;
        (self.tell)(Report::Passed(Passed { stage, millis, detail }));
    }

    fn failed(&self, fault: &Fault) -> Ended {
        if let Fault::Store(StoreError::Failed(_)) = fault {
            // What the store holds is not known: only a start can tell.
            self.deployer.alarm.raise(fault);
        }
        Ended::Refused(fault.to_string())
    }

    fn entry(&self, outcome: Outcome, detail: String) -> Activation {
        Activation {
            number: self.number,
            digest: self.digest.clone(),
            at_millis: clock::wall_millis(),
            by: self.by.to_owned(),
            action: self.action,
            outcome,
            detail,
        }
    }

    /// Writes down how it ended, where that is not done yet.
    pub(super) fn finish(self, ended: Ended) -> Done {
        let (outcome, error) = match ended {
            Ended::Active => (Outcome::Active, None),
            Ended::Unchanged => (Outcome::Unchanged, None),
            Ended::Refused(error) => (Outcome::Refused, Some(error)),
        };
        let stage = error.as_ref().map(|_| self.stage);
        let name = &self.handler.name;
        if outcome != Outcome::Active {
            let failed = stage.zip(error.as_ref());
            let detail = failed.map_or(String::new(), |(stage, error)| format!("{}: {error}", stage.word()));
            let (by, action) = (self.by, self.action.word());
            match stage {
                None => tracing::info!(handler = &**name, by, action, "serves already"),
                Some(_) => tracing::warn!(handler = &**name, by, action, detail, "refused"),
            }
            if let Err(error) = self.deployer.versions.note(name, &self.entry(outcome, detail)) {
                tracing::error!(handler = &**name, %error, "the history cannot be written");
            }
        }
        self.deployer.meters.deployed(name, outcome.word());
        Done {
            outcome,
            action: self.action,
            handler: name.to_string(),
            version: self.number,
            digest: self.digest.as_deref().map(str::to_owned),
            previous: self.previous,
            stage,
            error,
            millis: millis(self.began, Instant::now()),
        }
    }
}

fn millis(from: Instant, to: Instant) -> f64 {
    let micros = to.saturating_duration_since(from).as_micros();
    micros as f64 / 1_000.0
}
