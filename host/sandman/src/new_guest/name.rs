//! Checks the name of a guest, which is also a handler in `sandman.toml` and a package of its language.

use super::NewError;
use crate::guest::Language;
use sandman_config::is_handler_name;

/// Checks whether a guest may have this name.
///
/// # Errors
/// [`NewError::Name`] and [`NewError::Reserved`].
pub fn check(name: &str, language: Language) -> Result<(), NewError> {
    if !is_handler_name(name) {
        return Err(NewError::Name {
            name: name.to_owned(),
            fits: fitting(name, language),
        });
    }
    let package = name.replace('_', "-");
    let mut reserved = language.toolchain().reserved().iter();
    match reserved.find(|(names, _)| names.contains(&package.as_str())) {
        Some((_, why)) => Err(NewError::Reserved {
            name: name.to_owned(),
            language: language.title(),
            why,
        }),
        None => Ok(()),
    }
}

/// A similar valid name.
fn fitting(name: &str, language: Language) -> Option<String> {
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
    (is_handler_name(&fits) && check(&fits, language).is_ok()).then_some(fits)
}

#[cfg(test)]
mod tests {
    use super::{Language, check};

    #[test]
    fn names_are_those_of_handlers_and_packages() {
        for good in ["profile", "a", "user-profile_2"] {
            for language in Language::ALL {
                check(good, language).unwrap();
            }
        }
        for (bad, words) in [
            ("Hello World", "such as hello-world"),
            ("../x", "such as x"),
            ("", "is not a valid name"),
            ("9", "is not a valid name"),
            ("größe", "such as gr--e"),
            ("match", "a word of Rust"),
            ("test", "of Rust itself"),
            ("serde_json", "depend on"),
        ] {
            let error = check(bad, Language::Rust).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
