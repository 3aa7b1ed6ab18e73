//! Circles of modules inside a crate, found by reading their imports.
//!
//! A module may use its ancestors and what is below it: a child fills in its parent, and a parent declares its children and
//! re-exports them. Siblings, each with all that is below it, must not use each other in a circle. A name that a parent
//! re-exports counts as its child's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::ensure;
use sandman_tests::{Result, World};

/// The path of a module from the crate's root.
pub(super) type ModulePath = Vec<String>;

/// The modules of a crate, with their code.
pub(super) type Modules = BTreeMap<ModulePath, String>;

/// Which modules use which, among siblings, each with an import that shows it.
type Uses = BTreeMap<ModulePath, BTreeMap<ModulePath, String>>;

/// The module that a file of `src` holds; `None` for tests.
pub(super) fn module_path(file: &Path) -> Option<ModulePath> {
    let file = file.with_extension("");
    let path: ModulePath = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        parts if parts.contains(&"tests") => None,
        ["lib" | "main"] => Some(Vec::new()),
        _ => Some(path),
    }
}

/// The circles among the modules of one crate, each as text.
pub(super) fn of(modules: &Modules) -> Vec<String> {
    let uses = uses(modules);
    let mut circles = Vec::new();
    let mut told = BTreeSet::new();
    for start in uses.keys() {
        if let Some(circle) = way_back(&uses, start)
            && told.insert(circle.iter().cloned().collect::<BTreeSet<_>>())
        {
            let steps = circle.iter().zip(circle.iter().cycle().skip(1));
            let steps =
                steps.map(|(from, to)| format!("{} -> {} ({})", from.join("::"), to.join("::"), uses[from][to]));
            circles.push(steps.collect::<Vec<_>>().join(", "));
        }
    }
    circles
}

/// The shortest way from a module back to itself.
fn way_back(uses: &Uses, start: &ModulePath) -> Option<Vec<ModulePath>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in uses.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push([way.as_slice(), std::slice::from_ref(next)].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

fn uses(modules: &Modules) -> Uses {
    let exports: BTreeMap<_, _> = modules
        .iter()
        .map(|(path, code)| (path, exports(modules, path, code)))
        .collect();
    let mut uses = Uses::new();
    for (from, code) in modules {
        for path in paths(code) {
            let Some((mut to, rest)) = resolve(modules, from, &path) else {
                continue;
            };
            if let Some(child) = rest.first().and_then(|name| exports.get(&to)?.get(name)) {
                to.clone_from(child);
            }
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            // An ancestor, or below.
            if common == from.len() || common == to.len() {
                continue;
            }
            let (from, to) = (from[..=common].to_vec(), to[..=common].to_vec());
            uses.entry(from)
                .or_default()
                .entry(to)
                .or_insert_with(|| path.join("::"));
        }
    }
    uses
}

/// The names that a module has from its children, and from which.
fn exports(modules: &Modules, module: &ModulePath, code: &str) -> BTreeMap<String, ModulePath> {
    let mut found = BTreeMap::new();
    for path in imports(code) {
        let path: Vec<String> = path.into_iter().skip_while(|part| part == "self").collect();
        let (child, rest) = longest(modules, module.clone(), &path);
        if let (Some(name), true) = (rest.first(), child.len() > module.len()) {
            found.insert(name.clone(), child);
        }
    }
    found
}

/// The module that a path from `from` names, and what is left of the path; `None` where it leads out of the crate.
fn resolve(modules: &Modules, from: &ModulePath, path: &[String]) -> Option<(ModulePath, Vec<String>)> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    let (base, path) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "super" => (from[..from.len().checked_sub(supers)?].to_vec(), &path[supers..]),
        _ => return None,
    };
    Some(longest(modules, base, path))
}

fn longest(modules: &Modules, mut base: ModulePath, path: &[String]) -> (ModulePath, Vec<String>) {
    let mut rest = path;
    while let Some((part, after)) = rest.split_first() {
        base.push(part.clone());
        if !modules.contains_key(&base) {
            base.pop();
            break;
        }
        rest = after;
    }
    (base, rest.to_vec())
}

/// The paths in code that begin at the crate's root or at a parent.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = imports(code);
    for (at, _) in code.match_indices("::") {
        // Outside of imports. The beginnings of those are found once more, which does no harm.
        let before = code[..at]
            .rsplit(|letter| !is_of_name(letter))
            .next()
            .unwrap_or_default();
        let begin = at - before.len();
        if matches!(before, "crate" | "super") && !code[..begin].ends_with("::") {
            let end = code[at..].find(|letter| !is_of_name(letter) && letter != ':');
            let path = &code[begin..end.map_or(code.len(), |end| at + end)];
            let parts = path.split("::").filter(|part| !part.is_empty());
            found.push(parts.map(str::to_owned).collect());
        }
    }
    found.retain(|path| path.len() > 1 && matches!(path[0].as_str(), "crate" | "super"));
    found
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Every path that the code imports, trees taken apart.
fn imports(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let mut words = statement.match_indices("use ");
        let import = words.find(|(at, _)| !statement[..*at].ends_with(is_of_name));
        if let Some((at, word)) = import {
            leaves(&statement[at + word.len()..], &[], &mut found);
        }
    }
    found
}

fn leaves(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let (path, branches) = match tree.split_once('{') {
        Some((path, rest)) => (path, rest.rsplit_once('}').map(|(inner, _)| inner)),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty());
    let whole: Vec<String> = before.iter().cloned().chain(parts.map(str::to_owned)).collect();
    let Some(branches) = branches else {
        return found.push(whole);
    };
    let (mut depth, mut begin) = (0_usize, 0);
    for (at, letter) in branches.char_indices().chain([(branches.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let branch = branches[begin..at].trim();
                begin = (at + 1).min(branches.len());
                if !branch.is_empty() {
                    leaves(branch, &whole, found);
                }
            }
            _ => {}
        }
    }
}

/// The search itself, on crates that are made up.
pub(super) fn are_found(_: &World) -> Result {
    let circles = |files: &[(&str, &str)]| {
        let module = |(file, code): &(&str, &str)| Some((module_path(Path::new(file))?, (*code).to_owned()));
        of(&files.iter().filter_map(module).collect())
    };
    let fine = [
        ("lib.rs", "mod a;\nmod b;\npub use b::B;"),
        (
            "a.rs",
            "mod c;\nuse c::C;\nuse crate::b::B;\nuse std::fmt::{self, Debug};",
        ),
        ("a/c.rs", "use super::A;\npub(super) struct C;"),
        ("b.rs", "pub struct B;"),
        ("b/tests.rs", "use crate::a::A;"),
    ];
    ensure!(circles(&fine).is_empty(), "{:?}", circles(&fine));
    let with = |file: &'static str, code: &'static str| {
        let mut files = fine.to_vec();
        files.retain(|(name, _)| *name != file);
        files.push((file, code));
        circles(&files)
    };
    // By an import, by a path in the code, by a tree, from below, and by what the parent re-exports.
    for (file, code) in [
        ("b.rs", "use crate::a::A;"),
        ("b.rs", "fn f() -> super::a::A {}"),
        ("b.rs", "use crate::{\n    x::Y,\n    a::{A, c::C},\n};"),
        ("b/d.rs", "use super::super::a::A;"),
    ] {
        let found = with(file, code);
        ensure!(found.len() == 1, "{file} with `{code}`: {found:?}");
    }
    let handed_on = [
        ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;"),
        ("a.rs", "use crate::B;"),
        ("b.rs", "use crate::A;"),
    ];
    ensure!(circles(&handed_on).len() == 1, "{:?}", circles(&handed_on));
    Ok(())
}
