//! One deploy or rollback through the stages, on a running host or on the store of a stopped one.

mod account;
mod fault;

use std::sync::Arc;
use std::time::Instant;

use super::replayed::Replay;
use super::subject::{Before, Subject};
use super::{Order, Report, Stage};
use crate::load::{self, Loader};
use sandman_config::{Config, HandlerConfig};
use sandman_core::contract::STATE_VERSIONS_BACK;
use sandman_core::digest;
use sandman_core::store::{Action, KeptVersion, NewVersion, Outcome};
use sandman_core::version::Version;
use sandman_engine::clock;
use sandman_sandbox::LoadStep;

use fault::StageFault;

/// Waits until the other hosts have loaded the version of this number of this handler.
pub(super) type Others<'a> = &'a dyn Fn(&Arc<str>, u64);

/// How the stages ended.
pub(super) enum Ended {
    Active,
    Unchanged,
    Refused(String),
}

/// A deploy or rollback in progress.
pub(super) struct Run<'a> {
    subject: Subject<'a>,
    action: Action,
    order: Order<'a>,
    tell: &'a mut dyn FnMut(Report),
    began: Instant,
    stage_began: Instant,
    /// The next stage: if something fails, this is the failed stage.
    stage: Stage,
    number: Option<u64>,
    digest: Option<Arc<str>>,
    /// The remark for the history when the version is active.
    remark: String,
    /// Called before the version becomes active.
    others: Option<Others<'a>>,
}

impl<'a> Run<'a> {
    pub(super) fn deploy(subject: Subject<'a>, order: Order<'a>, tell: &'a mut dyn FnMut(Report)) -> Self {
        let now = Instant::now();
        Self {
            subject,
            action: Action::Deploy,
            order,
            tell,
            began: now,
            stage_began: now,
            stage: Stage::Received,
            number: None,
            digest: None,
            remark: String::new(),
            others: None,
        }
    }

    pub(super) fn rollback(subject: Subject<'a>, order: Order<'a>, tell: &'a mut dyn FnMut(Report)) -> Self {
        Self {
            action: Action::Rollback,
            stage: Stage::Stored,
            ..Self::deploy(subject, order, tell)
        }
    }

    /// Sets the function to call before the version becomes active.
    pub(super) fn after(self, others: Others<'a>) -> Self {
        let others = Some(others);
        Self { others, ..self }
    }

    /// Sets the remark for the history.
    pub(super) fn because(self, remark: String) -> Self {
        Self { remark, ..self }
    }

    /// Runs all stages for a received component; `None` if it was too large.
    pub(super) fn component(&mut self, component: Option<&[u8]>) -> Ended {
        self.try_component(component)
            .unwrap_or_else(|fault| self.failed(&fault))
    }

    fn try_component(&mut self, component: Option<&[u8]>) -> Result<Ended, StageFault> {
        let limit = self.subject.config.host.component;
        let component = component.filter(|component| component.len() <= limit);
        let component = component.ok_or(StageFault::TooLarge(limit))?;
        self.pass(Stage::Digest, format!("{} bytes", component.len()));
        let digest: Arc<str> = digest(component).into();
        self.digest = Some(Arc::clone(&digest));
        self.pass(Stage::World, format!("sha256 {digest}"));
        let Before {
            number: active,
            digest: ref serving,
            ..
        } = self.subject.before;
        if *serving == digest && self.serves(active) {
            return Ok(Ended::Unchanged);
        }
        let (versions, name) = (self.subject.versions, self.subject.name);
        let kept = versions.versions(name)?;
        let known = kept.iter().find(|version| version.digest == digest);
        // The newest versions are always kept, so a number is never used again.
        let newest = kept.iter().map(|version| version.number).max();
        let number = known.map_or_else(|| newest.unwrap_or(active) + 1, |known| known.number);
        let version = self.load(number, component)?;
        self.number = Some(number);
        if known.is_none() {
            let new = NewVersion {
                handler: name,
                number,
                digest: &digest,
                component,
            };
            versions.keep(&new, clock::wall_millis())?;
        }
        let again = if known.is_some() { ", already stored" } else { "" };
        self.pass(Stage::Active, format!("version {number}{again}"));
        self.activate(Arc::new(version))
    }

    /// Runs the stages for a stored version, which has passed all stages before.
    pub(super) fn version(&mut self, target: &KeptVersion) -> Ended {
        self.number = Some(target.number);
        self.digest = Some(Arc::clone(&target.digest));
        self.try_version(target).unwrap_or_else(|fault| self.failed(&fault))
    }

    fn try_version(&mut self, target: &KeptVersion) -> Result<Ended, StageFault> {
        if self.serves(target.number) {
            return Ok(Ended::Unchanged);
        }
        let standby = self.subject.live.as_ref();
        let version = match standby.and_then(|live| live.handler.standby(target.number)) {
            Some(version) => {
                self.stage = Stage::Contract;
                self.reads(&version)?;
                version
            }
            None => {
                let component = self.subject.versions.component(&target.digest)?;
                let component = component.ok_or(StageFault::NoComponent(target.number))?;
                self.stage = Stage::World;
                Arc::new(self.load(target.number, &component)?)
            }
        };
        self.stage = Stage::Active;
        self.activate(version)
    }

    /// Whether that version is served at the moment. On a stopped host none is: the active one may be the one that
    /// cannot be served, and passes the stages again.
    fn serves(&mut self, number: u64) -> bool {
        let serves = self.subject.live.is_some() && self.subject.before.number == number;
        if serves {
            self.number = Some(number);
        }
        serves
    }

    /// The stages from the bytes to a version that can become active.
    fn load(&mut self, number: u64, component: &[u8]) -> Result<Version, StageFault> {
        let config = Arc::clone(&self.subject.config);
        let handler = configured(&config, self.subject.name).ok_or(StageFault::Gone)?;
        let loader = Loader {
            config: &config,
            sandbox: self.subject.sandbox,
        };
        let version = loader.version(handler, (number, component), &mut |step| self.step(step))?;
        self.reads(&version)?;
        let fed = version.terms.feeds_itself(&handler.topics).join(", ");
        let mut remarks = vec![self.remark.clone()];
        if !fed.is_empty() {
            let warning = "it emits what it consumes, so that each such event causes another one";
            tracing::warn!(
                handler = &**self.subject.name,
                version = number,
                event_types = fed,
                "{warning}"
            );
            remarks.push(format!("warning: {warning} ({fed})"));
        }
        if let Some(warning) = load::key_not_found(&version, handler) {
            tracing::warn!(handler = &**self.subject.name, version = number, "{warning}");
            remarks.push(format!("warning: {warning}"));
        }
        remarks.retain(|remark| !remark.is_empty());
        self.pass(Stage::Replayed, remarks.join("; "));
        let said = self.replay(handler, &version)?;
        self.pass(Stage::Stored, said);
        Ok(version)
    }

    /// Runs the recorded invocations on the version.
    fn replay(&mut self, handler: &HandlerConfig, version: &Version) -> Result<String, StageFault> {
        if self.action == Action::Rollback {
            return Ok("not replayed: it has been active before".to_owned());
        }
        let replay = Replay {
            recordings: self.subject.recordings,
            handler: self.subject.name,
            active: &self.subject.before.digest,
            serving: self.subject.live.as_ref().map(|live| live.handler.active()),
        };
        let accepts = self.order.accept_diffs || self.order.force;
        let said = match replay.verdict(version, handler.replay, accepts)? {
            Ok(said) => said,
            Err(said) => return Err(StageFault::Replay { said }),
        };
        let remarks = [std::mem::take(&mut self.remark), format!("replayed: {said}")];
        self.remark = remarks
            .into_iter()
            .filter(|remark| !remark.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        Ok(said)
    }

    /// Checks by the two `state-version`s whether the version can read the states of the active one.
    fn reads(&mut self, version: &Version) -> Result<(), StageFault> {
        let Before {
            number: active, writes, ..
        } = self.subject.before;
        let reads = version.terms.state_version();
        let fault = match writes {
            _ if version.number == active => return Ok(()),
            Some(writes) if reads < writes => StageFault::OlderState { reads, active, writes },
            Some(writes) if reads - writes > STATE_VERSIONS_BACK => StageFault::SkippedState { reads, active, writes },
            Some(_) => return Ok(()),
            None => StageFault::UnknownState { active },
        };
        if !self.order.force {
            return Err(fault);
        }
        self.remark = match writes {
            Some(writes) => format!("forced: state-version {reads} after {writes}"),
            None => format!("forced: state-version {reads} after an unknown one"),
        };
        tracing::warn!(
            handler = &**self.subject.name,
            version = version.number,
            remark = self.remark,
            "states that it cannot read become dead letters"
        );
        Ok(())
    }

    fn step(&mut self, step: LoadStep) {
        match step {
            LoadStep::Inspected => self.pass(Stage::Compiled, String::new()),
            LoadStep::Compiled { kept } => {
                if let Some(live) = self.subject.live.as_ref().filter(|_| !kept) {
                    live.compiled(self.stage_began.elapsed());
                }
                let detail = if kept { "its code was already compiled" } else { "" };
                self.pass(Stage::Instantiated, detail.to_owned());
            }
            LoadStep::Instantiated => self.pass(Stage::Described, String::new()),
            LoadStep::Described => self.pass(Stage::Contract, String::new()),
        }
    }

    /// In the store first, then in memory.
    fn activate(&mut self, version: Arc<Version>) -> Result<Ended, StageFault> {
        let Subject {
            versions,
            sandbox,
            name,
            ..
        } = self.subject;
        let (number, before) = (version.number, self.subject.before.number);
        if number == before {
            return Ok(Ended::Unchanged);
        }
        if let Some(others) = self.others {
            others(name, number);
        }
        let digest = Arc::clone(&version.digest);
        let entry = self.entry(Outcome::Active, self.remark.clone());
        let gone = versions.activate(name, &entry, self.subject.config.host.versions)?;
        let when = match &self.subject.live {
            Some(live) => {
                // The time of the store. If it cannot be read, the host gets it when it looks for activations of other hosts.
                let active = versions.active(name).ok().flatten();
                let since = active.filter(|active| active.number == number);
                live.activate(version, since.map_or(entry.at_millis, |active| active.since_millis));
                ""
            }
            None => " from the next start on",
        };
        sandbox.forget(&gone);
        self.told(
            Stage::Active,
            format!("version {number} serves{when}, replacing version {before}"),
        );
        let by = self.order.by;
        tracing::info!(
            handler = &**name,
            version = number,
            digest = &*digest,
            by,
            "active{when}"
        );
        Ok(Ended::Active)
    }
}

fn configured<'a>(config: &'a Config, name: &str) -> Option<&'a HandlerConfig> {
    config.handlers.iter().find(|handler| &*handler.name == name)
}
