//! `docs/configuration.md` and `sandman.toml` have every key that the code reads, with its default, and no others.
//!
//! The keys come from the code: a name that no section knows is refused with the names that it does know.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::available_parallelism;

use toml::{Table, Value};

use super::*;

const PAGE: &str = include_str!("../../../../docs/configuration.md");
const FILE: &str = include_str!("../../../../sandman.toml");
/// A key that no section has, and that is near to none.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
const SECRET: (&str, &str) = ("JWT_SECRET", "0123456789012345678901234567890123456789");
/// Sections where a table has a name of the user's choice, or a place in a list.
const CHOSEN: [(&str, &str); 2] = [("handlers", "profile"), ("routes", "0")];
/// Tables of free keys, each with what the page must say of it.
const FREE: [(&str, &str); 3] = [
    ("kafka.options", "`[kafka.options]`"),
    ("handlers.profile.settings", "`settings`"),
    // Set by the environment alone.
    ("admin.tokens", "`SANDMAN_ADMIN__TOKENS__<NAME>`"),
];
/// Defaults that follow from something else, with the words that the page has for them.
const COMPUTED: [(&str, &str); 4] = [
    ("host.deployment", "`source`"),
    ("host.name", "the machine's name"),
    ("host.workers", "4 per core, 8 at least"),
    ("handlers.profile.group", "`<deployment>-<name>`"),
];
/// Keys of `sandman.toml` that DreamScape's user service needs otherwise than by default.
const ON_PURPOSE: [&str; 3] = [
    "handlers.profile.topics",
    "handlers.profile.key",
    "handlers.profile.emits",
];

/// The smallest file with a handler and a route.
fn smallest() -> Table {
    format!("{MINIMAL}{ROUTE}").parse().unwrap()
}

fn parsed(table: &Table) -> Result<Config, ConfigErrors> {
    load(&table.to_string(), &[SECRET])
}

/// The table at `path`, made where it is not there.
fn table_at<'t>(table: &'t mut Table, path: &[&str]) -> &'t mut Table {
    let Some((first, rest)) = path.split_first() else {
        return table;
    };
    let value = table.entry(*first).or_insert_with(|| Value::Table(Table::new()));
    let is_list = value.is_array() && !rest.is_empty();
    if !is_list && !value.is_table() {
        *value = Value::Table(Table::new());
    }
    match value {
        Value::Array(entries) => {
            let entry = &mut entries[rest[0].parse::<usize>().unwrap()];
            table_at(entry.as_table_mut().unwrap(), &rest[1..])
        }
        value => table_at(value.as_table_mut().unwrap(), rest),
    }
}

fn with(mut table: Table, path: &str, value: Option<Value>) -> Table {
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    let sections: Vec<_> = section.split('.').filter(|part| !part.is_empty()).collect();
    let section = table_at(&mut table, &sections);
    match value {
        Some(value) => drop(section.insert(key.to_owned(), value)),
        None => drop(section.remove(key)),
    }
    table
}

/// As errors name a path: `routes[0].path`.
fn shown(path: &str) -> String {
    path.replacen("routes.0", "routes[0]", 1)
}

/// The keys that the section knows; `None` if there is no such section.
fn known(section: &str) -> Option<Vec<String>> {
    let key = if section.is_empty() {
        UNKNOWN.to_owned()
    } else {
        format!("{section}.{UNKNOWN}")
    };
    let errors = parsed(&with(smallest(), &key, Some(Value::Integer(1)))).err()?;
    let refused = |problem: &&Problem| problem.key == shown(&key) && problem.problem == "there is no such key";
    let allowed = errors.problems.iter().find(refused)?.allowed.clone()?;
    Some(allowed.split(", ").map(str::to_owned).collect())
}

/// Every key that the code reads, by its path.
fn keys() -> BTreeSet<String> {
    let (mut keys, mut sections) = (BTreeSet::new(), vec![String::new()]);
    while let Some(section) = sections.pop() {
        for key in known(&section).unwrap() {
            let mut path = if section.is_empty() {
                key
            } else {
                format!("{section}.{key}")
            };
            if let Some((_, name)) = CHOSEN.iter().find(|(outer, _)| *outer == path) {
                path = format!("{path}.{name}");
            }
            if FREE.iter().any(|(free, _)| *free == path) {
                continue;
            }
            match known(&path) {
                Some(_) => sections.push(path),
                None => drop(keys.insert(path)),
            }
        }
    }
    keys
}

/// What the code allows for the key, in the words of its errors.
fn allowed(key: &str) -> String {
    // No key takes a time of day.
    let value: Table = "value = 07:32:00".parse().unwrap();
    let errors = parsed(&with(smallest(), key, value.get("value").cloned())).unwrap_err();
    let problem = errors.problems.into_iter().find(|problem| problem.key == shown(key));
    problem.and_then(|problem| problem.allowed).unwrap_or_default()
}

/// A row of the page's tables: what is allowed, and the default.
struct Row {
    allowed: String,
    default: String,
}

/// The rows of the page, by the path of their key.
fn rows() -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    let mut section = String::new();
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let one = heading.matches('`').count() == 2;
            let name = heading.trim_matches(['`', '[', ']']);
            let named = name
                .replace("handlers.<name>", "handlers.profile")
                .replace("routes", "routes.0");
            section = if one { format!("{named}.") } else { String::new() };
        }
        let cells: Vec<_> = line.split(" | ").collect();
        let [key, allowed, default, _] = cells.as_slice() else {
            continue;
        };
        if let Some(key) = key.strip_prefix("| `").and_then(|key| key.strip_suffix('`')) {
            let row = Row {
                allowed: (*allowed).to_owned(),
                default: (*default).to_owned(),
            };
            assert!(
                rows.insert(format!("{section}{key}"), row).is_none(),
                "{key} is there twice"
            );
        }
    }
    rows
}

/// The first `value` of the cell.
fn value_of(cell: &str) -> Option<Value> {
    let text = cell.strip_prefix('`')?.split('`').next()?;
    let table: Table = format!("value = {text}").parse().ok()?;
    table.get("value").cloned()
}

/// Whether the value changes nothing where the key is left out.
fn is_default(key: &str, value: Value) -> bool {
    let without = parsed(&with(smallest(), key, None)).unwrap_or_else(|errors| panic!("{key}: {errors}"));
    let explicit = parsed(&with(smallest(), key, Some(value))).unwrap_or_else(|errors| panic!("{key}: {errors}"));
    format!("{without:?}") == format!("{explicit:?}")
}

#[test]
fn the_page_has_every_key_with_its_default_and_its_range() {
    let (keys, mut rows) = (keys(), rows());
    for (free, words) in FREE {
        assert!(PAGE.contains(words), "{free}: the page does not say {words}");
        rows.remove(free);
    }
    let documented: BTreeSet<_> = rows.keys().cloned().collect();
    assert_eq!(
        keys, documented,
        "left: the keys of the code, right: those of docs/configuration.md"
    );
    for (key, Row { allowed: says, default }) in &rows {
        if let Some((_, range)) = allowed(key).split_once(" from ") {
            let range = range.split(',').next().unwrap_or_default();
            assert!(
                says.contains(range),
                "{key}: {range:?} is allowed, and the page says {says:?}"
            );
        }
        if let Some((_, words)) = COMPUTED.iter().find(|(computed, _)| computed == key) {
            assert_eq!(default, words, "{key}");
        } else if default == "needed" {
            let errors = parsed(&with(smallest(), key, None)).unwrap_err();
            let missing = |problem: &Problem| problem.key == shown(key) && problem.problem == "is missing";
            assert!(errors.problems.iter().any(missing), "{key} is not needed");
        } else {
            let value = value_of(default).unwrap_or_else(|| panic!("{key}: {default:?} is no value"));
            assert!(is_default(key, value), "{key}: {default} is not the default");
        }
    }
}

#[test]
fn defaults_that_follow_from_something_else_do() {
    let config = parsed(&smallest()).unwrap();
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    assert_eq!(config.host.deployment, config.host.source);
    assert_eq!(config.host.workers, (4 * cores).max(8));
    assert_eq!(config.handlers[0].group, format!("{}-profile", config.host.deployment));
}

/// The key and the value of a line such as `# grace = "20s"`.
fn setting(line: &str) -> Option<(&str, Table)> {
    let (key, value) = line.strip_prefix("# ")?.split_once(" = ")?;
    let bare = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let table = format!("value = {value}").parse().ok();
    bare.then_some(key).zip(table)
}

/// The shipped file with its commented keys set, and which these are.
fn uncommented() -> (Table, BTreeSet<String>) {
    let (mut text, mut commented, mut section) = (String::new(), BTreeSet::new(), "");
    for line in FILE.lines() {
        section = line
            .strip_prefix('[')
            .map_or(section, |name| name.trim_end_matches(']'));
        if let Some((key, _)) = setting(line) {
            commented.insert(format!("{section}.{key}"));
        }
        text += if setting(line).is_some() { &line[2..] } else { line };
        text.push('\n');
    }
    (text.parse().unwrap(), commented)
}

fn paths(table: &Table, path: &str, keys: &BTreeSet<String>, into: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match value {
            _ if keys.contains(&path) => drop(into.insert(path)),
            Value::Table(table) => paths(table, &path, keys, into),
            Value::Array(entries) => {
                let tables = entries.iter().filter_map(Value::as_table);
                // All routes are one: the keys of each count.
                tables.for_each(|table| paths(table, &format!("{path}.0"), keys, into));
            }
            _ => panic!("{path} is no key of the code"),
        }
    }
}

#[test]
fn the_shipped_file_has_every_key_and_shows_the_defaults() {
    let keys = keys();
    let (all, commented) = uncommented();
    let shipped: Table = FILE.parse().unwrap();
    parsed(&all).unwrap_or_else(|errors| panic!("with all keys: {errors}"));
    let mut there = BTreeSet::new();
    let mut of_profile = all.clone();
    table_at(&mut of_profile, &["handlers"]).retain(|name, _| name == "profile");
    paths(&of_profile, "", &keys, &mut there);
    assert_eq!(keys, there, "left: the keys of the code, right: those of sandman.toml");
    let is = |table: &Table| format!("{:?}", parsed(table).unwrap_or_else(|errors| panic!("{errors}")));
    let whole = Value::Table(all.clone());
    for key in there.iter().filter(|key| !key.starts_with("routes.")) {
        let value = key.split('.').try_fold(&whole, |at, part| at.get(part)).cloned();
        // A file without what is needed is none.
        let needed = parsed(&with(shipped.clone(), key, None)).is_err();
        let computed = ["host.workers", "host.name"].contains(&key.as_str());
        if !needed && !computed && !ON_PURPOSE.contains(&key.as_str()) {
            let (without, explicit) = (with(shipped.clone(), key, None), with(shipped.clone(), key, value));
            assert_eq!(is(&without), is(&explicit), "{key} of sandman.toml is not the default");
        }
        assert!(
            !(needed && commented.contains(key)),
            "{key} is needed and stands behind a #"
        );
    }
}
