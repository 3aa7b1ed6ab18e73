//! The mistakes in a configuration, each with its place, the allowed values and the nearest known name.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;
use toml::Value;

use super::Config;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The key's path, for example `handlers.profile.limits.memory`; a variable's name if it names no key; empty for
    /// the file as a whole.
    pub key: String,
    /// What is wrong, and what to do if that is not obvious.
    pub problem: String,
    /// The allowed values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// The known name nearest to the given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// The environment variable that set the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        if let Some(variable) = &self.variable {
            write!(f, " (set by {variable})")?;
        }
        Ok(())
    }
}

/// All mistakes of one configuration.
#[derive(Clone, Debug, Error)]
pub struct ConfigErrors {
    /// The file.
    pub file: PathBuf,
    /// The mistakes, at least one.
    pub problems: Vec<Problem>,
    /// The readable parts, with defaults in place of mistakes: for further checks, never to run. `None` if the file is
    /// not TOML.
    pub readable: Option<Box<Config>>,
}

impl ConfigErrors {
    /// The configuration, if there are mistakes only at these keys.
    ///
    /// # Errors
    /// The mistakes, if there are others.
    pub fn unless_only(mut self, keys: &[&str]) -> Result<Config, Self> {
        let only = self.problems.iter().all(|problem| keys.contains(&problem.key.as_str()));
        match self.readable.take_if(|_| only) {
            Some(config) => Ok(*config),
            None => Err(self),
        }
    }

    /// Whether something is wrong at the key or inside it.
    pub fn concern(&self, key: &str) -> bool {
        let inside = |problem: &Problem| {
            problem
                .key
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.problems.iter().any(inside)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        write!(f, "{count} {noun} in the configuration {}", self.file.display())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// Collects mistakes while the sections are read.
#[derive(Debug, Default)]
pub(super) struct ProblemReport {
    problems: RefCell<Vec<Problem>>,
    /// Which variable set which key.
    pub(super) variables: BTreeMap<String, String>,
    /// Sections that only variables have created.
    pub(super) made: BTreeSet<String>,
    /// Values of the file that a variable has replaced.
    pub(super) held: BTreeMap<String, Value>,
    warnings: RefCell<Vec<String>>,
    /// The folder that relative paths start from.
    pub(super) folder: PathBuf,
}

impl ProblemReport {
    /// An empty report for a file in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a mistake at a key.
    pub(super) fn refuse(&self, key: &str, problem: impl Into<String>) {
        self.add(key, problem.into(), None, None);
    }

    /// Adds a mistake with the allowed values and the nearest known name.
    pub(super) fn add(&self, key: &str, problem: String, allowed: Option<String>, nearest: Option<String>) {
        self.problems.borrow_mut().push(Problem {
            key: key.to_owned(),
            problem,
            allowed,
            nearest,
            variable: self.variable(key).or_else(|| self.maker(key)).map(str::to_owned),
        });
    }

    /// The variable that created a section that the file does not have.
    fn maker(&self, section: &str) -> Option<&str> {
        let section = self.made.get(section)?;
        let is_inside = |path: &str| {
            path.strip_prefix(section.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let inside = self.variables.iter().find(|(path, _)| is_inside(path));
        inside.map(|(_, variable)| variable.as_str())
    }

    /// The variable that set the key.
    pub(super) fn variable(&self, key: &str) -> Option<&str> {
        self.variables.get(key).map(String::as_str)
    }

    /// Adds a warning.
    pub(super) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// The warnings.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    /// Whether there are no mistakes so far.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Whether something was wrong at the key or inside it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.problems
            .borrow()
            .iter()
            .any(|problem| problem.key.starts_with(key))
    }

    /// The mistakes.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// The candidate nearest to `name`, if it is similar enough.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    let bound = (name.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= bound)
        .map(|(_, candidate)| candidate.to_owned())
}

/// Edits from one name to the other; a name that was cut short or carries a suffix counts as one edit.
fn distance(name: &str, candidate: &str) -> usize {
    let candidate = candidate.to_lowercase();
    let longer = name.len().min(candidate.len()) >= 3;
    if name != candidate && longer && (candidate.starts_with(name) || name.starts_with(&candidate)) {
        return 1;
    }
    strsim::damerau_levenshtein(name, &candidate)
}

/// A name that no handler has.
#[derive(Debug, thiserror::Error)]
#[error("{} has no handler {name:?}; its handlers are {}", .file.display(), .known.join(", "))]
pub struct NoHandler {
    /// The configuration.
    pub file: PathBuf,
    /// The name.
    pub name: String,
    /// The existing names.
    pub known: Vec<String>,
}
