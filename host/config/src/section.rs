//! Reads one table key by key; the remaining keys are unknown, and reported with the nearest known name.

use std::path::Path;

use toml::{Table, Value};

use super::kind::Kind;
use super::problem::{ProblemReport, nearest};

/// Longest value shown in an error, in characters.
const SHOWN: usize = 60;

/// One table of the configuration while it is read.
pub(super) struct Section<'r> {
    path: String,
    table: Table,
    known: Vec<&'static str>,
    /// Collects the mistakes.
    pub(super) report: &'r ProblemReport,
}

impl<'r> Section<'r> {
    /// The section at `path`; the root's path is empty.
    pub(super) fn new(path: &str, table: Table, report: &'r ProblemReport) -> Self {
        Self {
            path: path.to_owned(),
            table,
            known: Vec::new(),
            report,
        }
    }

    /// The full path of one of its keys.
    pub(super) fn path(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Adds a mistake at one of its keys.
    pub(super) fn refuse(&self, key: &str, problem: impl Into<String>) {
        self.report.refuse(&self.path(key), problem);
    }

    /// The key's value, if it is present and allowed.
    pub(super) fn optional<T: 'static>(&mut self, key: &'static str, kind: &Kind<T>) -> Option<T> {
        let value = self.take(key)?;
        let path = self.path(key);
        let read = if self.report.variable(&path).is_some() {
            forms(&value).iter().find_map(|form| kind.read(form))
        } else {
            kind.read(&value)
        };
        if read.is_none() {
            let problem = format!("{} is not allowed", shown(&value));
            self.report.add(&path, problem, Some(kind.allowed.clone()), None);
        }
        read
    }

    /// The key's value, or `default` if it is missing.
    pub(super) fn or<T: 'static>(&mut self, key: &'static str, kind: &Kind<T>, default: T) -> T {
        self.optional(key, kind).unwrap_or(default)
    }

    /// The key's value, which is required.
    pub(super) fn required<T: 'static>(&mut self, key: &'static str, kind: &Kind<T>) -> Option<T> {
        if !self.table.contains_key(key) {
            self.known.push(key);
            let problem = "is missing".to_owned();
            self.report
                .add(&self.path(key), problem, Some(kind.allowed.clone()), None);
            return None;
        }
        self.optional(key, kind)
    }

    /// A table inside this one; empty if it is missing.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'r> {
        let table = self
            .take(key)
            .map(|value| self.as_table(key, value))
            .unwrap_or_default();
        Section::new(&self.path(key), table, self.report)
    }

    /// The tables inside the table `key`, by name.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(String, Section<'r>)> {
        let mut outer = self.section(key);
        let entries = std::mem::take(&mut outer.table);
        entries
            .into_iter()
            .map(|(name, value)| {
                let table = outer.as_table(&name, value);
                let section = Section::new(&outer.path(&name), table, self.report);
                (name, section)
            })
            .collect()
    }

    /// The tables of the array `key`, in order.
    pub(super) fn array(&mut self, key: &'static str) -> Vec<Section<'r>> {
        let entries = match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.refuse(key, format!("must be tables, each under [[{}]]", self.path(key)));
                Vec::new()
            }
        };
        let path = self.path(key);
        let tables = entries.into_iter().enumerate().map(|(index, value)| {
            let path = format!("{path}[{index}]");
            let table = table_of(&path, value, self.report);
            Section::new(&path, table, self.report)
        });
        tables.collect()
    }

    /// The table `key` as it is, whatever keys it has.
    pub(super) fn free(&mut self, key: &'static str) -> Table {
        self.section(key).table
    }

    /// Reports where a key that does not belong here has to be set.
    pub(super) fn elsewhere(&mut self, key: &'static str, place: &str) {
        if self.table.remove(key).is_some() {
            self.refuse(key, place);
        }
    }

    /// Reports every unknown key.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let near = nearest(key, self.known.iter().copied());
            let allowed = near.is_none().then(|| self.known.join(", "));
            let problem = "there is no such key".to_owned();
            self.report.add(&self.path(key), problem, allowed, near);
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn as_table(&self, key: &str, value: Value) -> Table {
        table_of(&self.path(key), value, self.report)
    }
}

fn table_of(path: &str, value: Value, report: &ProblemReport) -> Table {
    let value = match report.variable(path) {
        Some(_) => forms(&value).into_iter().find(Value::is_table).unwrap_or(value),
        None => value,
    };
    match value {
        Value::Table(table) => table,
        other => {
            report.refuse(
                path,
                format!("{} is not allowed here; this is a table of keys", shown(&other)),
            );
            Table::new()
        }
    }
}

/// The possible meanings of a variable's text: itself, a TOML value, or a list separated by commas.
fn forms(value: &Value) -> Vec<Value> {
    let Some(text) = value.as_str() else {
        return vec![value.clone()];
    };
    let entries = text.split(',').map(|entry| Value::String(entry.trim().to_owned()));
    [Some(value.clone()), typed(text), Some(Value::Array(entries.collect()))]
        .into_iter()
        .flatten()
        .collect()
}

/// The text read as one TOML value, if it is one.
fn typed(text: &str) -> Option<Value> {
    let mut table = format!("value = {text}").parse::<Table>().ok()?;
    let value = table.remove("value");
    value.filter(|_| table.is_empty())
}

/// The value for an error, cut if it is long.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("{text:?}"),
        Value::Table(_) => return "a table".to_owned(),
        Value::Array(entries) => {
            let entries: Vec<_> = entries.iter().map(shown).collect();
            format!("[{}]", entries.join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(instant) => instant.to_string(),
    };
    if text.chars().count() <= SHOWN {
        return text;
    }
    let start: String = text.chars().take(SHOWN).collect();
    format!("{start}…")
}

/// `path.key`, with the key in quotes where TOML needs them.
pub(super) fn join(path: &str, key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let key = if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// `path` as it is if absolute, else inside `folder`.
pub(super) fn resolve(folder: &Path, path: &str) -> std::path::PathBuf {
    let path = Path::new(path);
    let path = path.strip_prefix(".").unwrap_or(path);
    folder.join(path)
}
