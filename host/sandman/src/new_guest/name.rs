//! What a guest may be called: a handler in `sandman.toml`, and a crate.

use super::NewError;
use sandman_config::is_handler_name;

/// Rust's keywords, which no crate can be called.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
/// Crates that come with Rust.
const STANDARD: &[&str] = &["alloc", "core", "proc-macro", "std", "test"];
/// What a guest depends on.
const DEPENDENCIES: &[&str] = &["sandman-sdk", "serde", "serde-json"];

/// Whether a guest may have this name.
///
/// # Errors
/// [`NewError::Name`] and [`NewError::Reserved`].
pub fn check(name: &str) -> Result<(), NewError> {
    if !is_handler_name(name) {
        return Err(NewError::Name {
            name: name.to_owned(),
            fits: fitting(name),
        });
    }
    let crate_name = name.replace('_', "-");
    let known = [
        (KEYWORDS, "it is a word of Rust"),
        (STANDARD, "a crate of Rust itself has it"),
        (DEPENDENCIES, "a crate that guests depend on has it"),
    ];
    match known.iter().find(|(names, _)| names.contains(&crate_name.as_str())) {
        Some((_, why)) => Err(NewError::Reserved {
            name: name.to_owned(),
            why,
        }),
        None => Ok(()),
    }
}

/// A name like this one that would do.
fn fitting(name: &str) -> Option<String> {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let mapped: String = name.chars().map(plain).collect();
    let trimmed = mapped.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let fits: String = trimmed.trim_end_matches('-').chars().take(63).collect();
    (is_handler_name(&fits) && check(&fits).is_ok()).then_some(fits)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_are_those_of_handlers_and_crates() {
        for good in ["profile", "a", "user-profile_2"] {
            check(good).unwrap();
        }
        for (bad, words) in [
            ("Hello World", "such as hello-world"),
            ("../x", "such as x"),
            ("", "is no name"),
            ("9", "is no name"),
            ("größe", "such as gr--e"),
            ("match", "a word of Rust"),
            ("test", "of Rust itself"),
            ("serde_json", "depend on"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
