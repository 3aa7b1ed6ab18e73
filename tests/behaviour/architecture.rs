//! The architecture's invariants, held by reading the sources.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Result, World, repository};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("each_foreign_library_has_one_home", one_home).of_the_sources(),
    Behaviour::new("pure_modules_touch_nothing", pure_modules).of_the_sources(),
    Behaviour::new("sources_keep_the_house_style", house_style).of_the_sources(),
    Behaviour::new("the_code_map_names_what_is_there", code_map).of_the_sources(),
];

/// A library, and the module of `host/src` that alone may name it.
const HOMES: &[(&str, &str)] = &[
    ("rdkafka", "kafka"),
    ("wasmtime", "sandbox"),
    ("rusqlite", "store"),
    ("axum", "http"),
    ("jsonwebtoken", "http"),
    ("multer", "http"),
    ("tower_http", "http"),
    ("http_body_util", "http"),
    ("matchit", "http"),
    ("object_store", "http"),
];
/// Modules without I/O, clock or async runtime.
const PURE: &[&str] = &[
    "event", "contract", "unit", "outcome", "progress", "lanes", "limits", "work",
];
/// What a pure module must not name.
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
const LONGEST_FILE: usize = 400;
const LONGEST_MAIN: usize = 80;

/// A source file, its path relative to the repository.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Whether it is `host/src/<module>.rs` or lies in `host/src/<module>/`.
    fn belongs_to(&self, module: &str) -> bool {
        let Ok(inside) = self.path.strip_prefix("host/src") else {
            return false;
        };
        inside == Path::new(&format!("{module}.rs")) || inside.starts_with(module)
    }

    /// The code without comments and without the tests at its end, by line.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(number, line)| (number + 1, line));
        let product = lines.take_while(|(_, line)| *line != "#[cfg(test)]");
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

fn one_home(_: &World) -> Result {
    let sources = sources(&["host/src"])?;
    for (library, home) in HOMES {
        let (at_home, elsewhere): (Vec<_>, Vec<_>) = sources.iter().partition(|source| source.belongs_to(home));
        let strays: Vec<_> = elsewhere.iter().flat_map(|source| source.naming(library)).collect();
        ensure!(
            strays.is_empty(),
            "only {home} may name {library}:\n{}",
            strays.join("\n")
        );
        let used = at_home.iter().any(|source| !source.naming(library).is_empty());
        ensure!(
            used,
            "{home} does not name {library} at all: this test looks in the wrong place"
        );
    }
    Ok(())
}

fn pure_modules(_: &World) -> Result {
    let sources = sources(&["host/src"])?;
    for module in PURE {
        let of_module: Vec<_> = sources.iter().filter(|source| source.belongs_to(module)).collect();
        ensure!(
            !of_module.is_empty(),
            "there is no module {module}: this test looks in the wrong place"
        );
        let named = of_module
            .iter()
            .flat_map(|source| IMPURE.iter().flat_map(|word| source.naming(word)));
        let named: Vec<_> = named.collect();
        ensure!(named.is_empty(), "{module} is to be pure:\n{}", named.join("\n"));
    }
    Ok(())
}

fn house_style(_: &World) -> Result {
    let mut faults = Vec::new();
    for source in sources(&["host", "guest", "tests"])? {
        let path = source.path.display();
        let length = source.text.lines().count();
        let bound = if source.path.ends_with("host/src/main.rs") {
            LONGEST_MAIN
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

/// Whoever follows ARCHITECTURE.md finds the files that it names, and every module has a place in it.
fn code_map(_: &World) -> Result {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md"))?;
    let quoted = text.split('`').skip(1).step_by(2);
    let words: Vec<_> = quoted.flat_map(|quoted| quoted.split_whitespace()).collect();
    let mut faults = Vec::new();
    for path in words.iter().filter(|word| word.ends_with(".rs") && **word != "mod.rs") {
        let places = ["", "host/src", "host"].map(|folder| repository().join(folder).join(path));
        if !places.iter().any(|place| place.is_file()) {
            faults.push(format!("ARCHITECTURE.md names {path}, which is not there"));
        }
    }
    for entry in fs::read_dir(repository().join("host/src"))? {
        let path = entry?.path();
        let module = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let told = |word: &str| word.split(['/', '.']).any(|part| part == module);
        if path.is_file() && !words.iter().any(|word| told(word)) {
            faults.push(format!("ARCHITECTURE.md says nothing of the module {module}"));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}
