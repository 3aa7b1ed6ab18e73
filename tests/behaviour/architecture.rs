//! The architecture's invariants, held by reading the sources.

mod circles;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Result, World, repository};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("each_foreign_library_has_one_home", one_home).of_the_sources(),
    Behaviour::new("crates_depend_on_what_is_below_them", arrows).of_the_sources(),
    Behaviour::new("modules_of_a_crate_do_not_depend_on_each_other_in_a_circle", no_circles).of_the_sources(),
    Behaviour::new("circles_of_modules_are_found", circles::are_found).of_the_sources(),
    Behaviour::new("the_core_is_pure", pure_core).of_the_sources(),
    Behaviour::new("sources_keep_the_house_style", house_style).of_the_sources(),
    Behaviour::new("the_code_map_names_what_is_there", code_map).of_the_sources(),
    Behaviour::new("a_type_name_occurs_once_in_the_host", type_names).of_the_sources(),
];

/// A library, and the crates of `host` that alone may depend on it.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka", &["kafka"]),
    ("wasmtime", &["sandbox"]),
    ("rusqlite", &["store"]),
    ("postgres", &["store"]),
    ("rustls", &["store"]),
    ("tokio-postgres-rustls", &["store"]),
    ("axum", &["http", "operate"]),
    ("regex-automata", &["core"]),
    ("jsonwebtoken", &["http"]),
    ("multer", &["http"]),
    ("object_store", &["http"]),
    ("openssl", &["http"]),
    ("hyper-openssl", &["http"]),
    ("tower-http", &["http"]),
    ("http-body-util", &["http"]),
    ("matchit", &["http"]),
];

/// The crates of `host`, and which of them each may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("engine", &["core"]),
    ("kafka", &["core"]),
    ("store", &["core"]),
    ("sandbox", &["core"]),
    ("config", &["core", "kafka"]),
    ("http", &["core", "engine", "config"]),
    ("operate", &["core", "engine", "config", "sandbox", "http"]),
    (
        "sandman",
        &[
            "core", "engine", "kafka", "store", "sandbox", "config", "http", "operate",
        ],
    ),
];

/// What the core must not name.
const IMPURE: &[&str] = &[
    "tokio",
    "async",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "clock",
    "rand",
    "new_v4()",
    "parking_lot",
    "Mutex",
];
/// Names that two types of the host have, each with the reason.
const SAME_NAMES: &[(&str, &str)] = &[
    (
        "Outcome",
        "what a handler decided, as its contract calls it; what became of an activation",
    ),
    ("Progress", "of a handler in a partition; of a build, on the terminal"),
];
/// A file of the product that is longer has more than one idea in it.
const LONGEST_FILE: usize = 400;
/// Tests are lists of cases, and may be longer.
const LONGEST_TEST: usize = 500;
const LONGEST_MAIN: usize = 80;

/// A source file, its path relative to the repository.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The code without comments and without the tests at its end, by line.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(number, line)| (number + 1, line));
        let product = lines.take_while(|(_, line)| *line != "mod tests {");
        product.map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }

    /// The places where the code names `word`, as a word of its own.
    fn naming(&self, word: &str) -> Vec<String> {
        let named = self.code().filter(|(_, line)| names(line, word));
        named
            .map(|(number, line)| format!("{}:{number}: {}", self.path.display(), line.trim()))
            .collect()
    }
}

fn names(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part_of_word);
        let after = line[at + word.len()..].chars().next().is_some_and(part_of_word);
        !before && !after
    })
}

/// Every Rust file below these folders.
fn sources(folders: &[&str]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut waiting: Vec<_> = folders.iter().map(|folder| repository().join(folder)).collect();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)?;
                let path = path.strip_prefix(repository())?.to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    ensure!(!sources.is_empty(), "no sources in {folders:?}");
    Ok(sources)
}

/// The names in a section of a crate's manifest.
fn manifest(name: &str, section: &str) -> Result<Vec<String>> {
    let path = repository().join("host").join(name).join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text.lines().skip_while(|line| *line != section).skip(1);
    let entries = lines.take_while(|line| !line.starts_with('['));
    let names = entries.filter_map(|line| line.split(['.', ' ', '=']).next());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn one_home(_: &World) -> Result {
    for (library, homes) in HOMES {
        for (name, _) in ARROWS {
            let depends = manifest(name, "[dependencies]")?.iter().any(|entry| entry == library);
            ensure!(
                depends == homes.contains(name),
                "{library} belongs to {homes:?}; look at host/{name}/Cargo.toml"
            );
        }
    }
    Ok(())
}

fn arrows(_: &World) -> Result {
    let mut there = Vec::new();
    for entry in fs::read_dir(repository().join("host"))? {
        there.push(entry?.file_name().to_string_lossy().into_owned());
    }
    there.sort();
    let mut known: Vec<_> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.sort();
    ensure!(there == known, "host has {there:?}, this test knows {known:?}");
    for (name, below) in ARROWS {
        for entry in manifest(name, "[dependencies]")? {
            if let Some(ours) = entry.strip_prefix("sandman-") {
                ensure!(below.contains(&ours), "host/{name} must not depend on host/{ours}");
            }
        }
    }
    Ok(())
}

fn no_circles(_: &World) -> Result {
    let mut found = Vec::new();
    for (name, _) in ARROWS {
        let root = format!("host/{name}/src");
        let sources = sources(&[&root])?;
        let modules = sources.iter().filter_map(|source| {
            let path = circles::module_path(source.path.strip_prefix(&root).ok()?)?;
            let code: Vec<&str> = source.code().map(|(_, line)| line).collect();
            Some((path, code.join("\n")))
        });
        let circles = circles::of(&modules.collect());
        found.extend(circles.into_iter().map(|circle| format!("host/{name}: {circle}")));
    }
    ensure!(
        found.is_empty(),
        "move what both sides need to where it belongs:\n{}",
        found.join("\n")
    );
    Ok(())
}

fn pure_core(_: &World) -> Result {
    let sources = sources(&["host/core/src"])?;
    let product = sources.iter().filter(|source| {
        // The faults of the tests are compiled in for the tests alone.
        !source.path.starts_with("host/core/src/faults") && !source.path.ends_with("faults.rs")
    });
    let named = product.flat_map(|source| IMPURE.iter().flat_map(|word| source.naming(word)));
    let named: Vec<_> = named.collect();
    ensure!(named.is_empty(), "the core is to be pure:\n{}", named.join("\n"));
    Ok(())
}

fn house_style(_: &World) -> Result {
    let mut faults = Vec::new();
    for source in sources(&["host", "guest", "tests"])? {
        let path = source.path.display();
        let length = source.text.lines().count();
        let is_test = |part: &OsStr| part == "tests" || part == "tests.rs";
        let bound = if source.path.ends_with("host/sandman/src/main.rs") {
            LONGEST_MAIN
        } else if source.path.iter().any(is_test) {
            LONGEST_TEST
        } else {
            LONGEST_FILE
        };
        if length > bound {
            faults.push(format!("{path} has {length} lines, more than {bound}"));
        }
        if source.path.ends_with("mod.rs") {
            faults.push(format!("{path}: name the file after the module"));
        }
        let allows = source.code().filter(|(_, line)| {
            let attribute = line.trim_start().trim_start_matches(['#', '!']);
            attribute.starts_with("[allow(")
        });
        faults.extend(allows.map(|(number, _)| format!("{path}:{number}: use #[expect(.., reason = \"…\")]")));
    }
    faults.sort();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// A reader who meets a type knows which it is. The product alone: guests and tests mirror the host's types by name.
fn type_names(_: &World) -> Result {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources(&["host"])? {
        let path = source.path.display().to_string();
        // Not the templates of guests, which are somebody else's code.
        if path.split('/').nth(2) != Some("src") || path.contains("/tests") {
            continue;
        }
        let types = source.text.lines().filter_map(type_name);
        for name in types {
            found.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    let is_known = |name: &str| SAME_NAMES.iter().any(|(known, _)| *known == name);
    let twice: Vec<_> = found
        .iter()
        .filter(|(name, places)| places.len() > 1 && !is_known(name))
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    ensure!(
        twice.is_empty(),
        "give each of these a name of its own:\n{}",
        twice.join("\n")
    );
    let needless = SAME_NAMES
        .iter()
        .filter(|(name, _)| found.get(*name).map_or(0, Vec::len) < 2);
    let needless: Vec<_> = needless.map(|(name, _)| *name).collect();
    ensure!(needless.is_empty(), "no exception is needed any more: {needless:?}");
    Ok(())
}

/// The type that a line at the outermost level defines.
fn type_name(line: &str) -> Option<&str> {
    let rest = match line.strip_prefix("pub") {
        Some(rest) => rest.trim_start_matches(|letter| letter != ' ').trim_start(),
        None => line,
    };
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let rest = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()
}

/// A reader of ARCHITECTURE.md finds the files that it names, and every crate and module has a place in it.
fn code_map(_: &World) -> Result {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md"))?;
    let quoted = text.split('`').skip(1).step_by(2);
    let words: Vec<_> = quoted.flat_map(|quoted| quoted.split_whitespace()).collect();
    let mut faults = Vec::new();
    for path in words.iter().filter(|word| word.ends_with(".rs") && **word != "mod.rs") {
        let (first, rest) = path.split_once('/').unwrap_or(("", path));
        let in_crate = format!("host/{first}/src/{rest}");
        let anywhere = ARROWS.iter().map(|(name, _)| format!("host/{name}/src/{path}"));
        let mut places = anywhere.chain([(*path).to_owned(), in_crate]);
        if !places.any(|place| repository().join(place).is_file()) {
            faults.push(format!("ARCHITECTURE.md names {path}, which is not there"));
        }
    }
    for (name, _) in ARROWS {
        if !words.contains(&format!("host/{name}").as_str()) {
            faults.push(format!("ARCHITECTURE.md says nothing of the crate host/{name}"));
        }
    }
    for name in ["core", "engine", "operate", "sandman"] {
        for entry in fs::read_dir(repository().join("host").join(name).join("src"))? {
            let path = entry?.path();
            let module = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let told = |word: &str| word.split(['/', '.']).any(|part| part == module);
            let entry = matches!(module, "lib" | "main");
            if path.is_file() && !entry && !words.iter().any(|word| told(word)) {
                faults.push(format!("ARCHITECTURE.md says nothing of the module {module}"));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}
