//! One deploy or rollback on its way through the stages, on a host that runs or on the store of one that is stopped.

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

/// How the stages ended, if none failed.
pub(super) enum Ended {
    Active,
    Unchanged,
    Refused(String),
}

/// A deploy or a rollback under way.
pub(super) struct Run<'a> {
    subject: Subject<'a>,
    action: Action,
    order: Order<'a>,
    tell: &'a mut dyn FnMut(Report),
    began: Instant,
    stage_began: Instant,
    /// The stage that comes next: the one that fails, if something does.
    stage: Stage,
    number: Option<u64>,
    digest: Option<Arc<str>>,
    /// What the history is to say of a version that is active.
    remark: String,
    /// What is done before the version serves.
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

    /// With what is to be done before the version serves.
    pub(super) fn after(self, others: Others<'a>) -> Self {
        let others = Some(others);
        Self { others, ..self }
    }

    /// With what the history is to say of it.
    pub(super) fn because(self, remark: String) -> Self {
        Self { remark, ..self }
    }

    /// All stages, for a component that was sent; `None`: too much was sent.
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
        // The newest versions are kept, so a number is never used again.
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

    /// Whether that version serves at this moment. On a host that is stopped none does: the active one may be the very one
    /// that cannot, and passes the stages again.
    fn serves(&mut self, number: u64) -> bool {
        let serves = self.subject.live.is_some() && self.subject.before.number == number;
        if serves {
            self.number = Some(number);
        }
        serves
    }

    /// The stages between the bytes and a version that may serve.
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
            let warning = "it emits what it consumes, so that each such event sets off another one";
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

    /// What the version makes of the recorded invocations.
    fn replay(&mut self, handler: &HandlerConfig, version: &Version) -> Result<String, StageFault> {
        if self.action == Action::Rollback {
            return Ok("not replayed: it served before".to_owned());
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

    /// Whether the version reads the states that the active one writes, as the two say of themselves.
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
                let detail = if kept { "its code was there already" } else { "" };
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
                // As the store counts it. Should it not tell, the host finds out when it looks for what others activate.
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
            format!("version {number} serves{when}, before it version {before}"),
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
