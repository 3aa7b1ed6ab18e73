//! What a value must look like. A rule gives the value as it is stored, or says how it must be.

use sandman_sdk::time;
use serde_json::Value;

use crate::{codes, languages};

/// A rule's answer.
pub type Ruled = Result<String, &'static str>;

/// Seats that can be preferred.
pub const SEATS: [&str; 4] = ["window", "aisle", "middle", "no-preference"];
/// Meals that can be preferred.
pub const MEALS: [&str; 7] = [
    "standard",
    "vegetarian",
    "vegan",
    "halal",
    "kosher",
    "gluten-free",
    "no-preference",
];
/// Classes that can be preferred.
pub const CLASSES: [&str; 5] = ["economy", "premium-economy", "business", "first", "no-preference"];

/// Longest time zone, visibility or entry of a list, in characters.
pub const WORD: usize = 100;
/// Most entries of a list.
pub const ENTRIES: usize = 50;

/// A language as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// ISO 639-1.
    pub code: String,
    /// The text, where it was a name.
    pub name: Option<String>,
}

/// A language: its code or its name.
///
/// # Errors
///
/// How it must be.
pub fn language(value: &Value) -> Result<Language, &'static str> {
    let text = value.as_str().ok_or("must be a text")?;
    let code =
        languages::code_of(text).ok_or("must be a language in ISO 639-1, for example fr, or its English name")?;
    Ok(Language {
        code: code.to_owned(),
        name: (code != text).then(|| text.to_owned()),
    })
}

/// A currency.
///
/// # Errors
///
/// How it must be.
pub fn currency(text: &str) -> Ruled {
    let known = codes::is_currency(text);
    known
        .then(|| text.to_owned())
        .ok_or("must be a currency in ISO 4217, for example EUR")
}

/// A seat.
///
/// # Errors
///
/// How it must be.
pub fn seat(text: &str) -> Ruled {
    one_of(&SEATS, text, "must be window, aisle, middle or no-preference")
}

/// A meal.
///
/// # Errors
///
/// How it must be.
pub fn meal(text: &str) -> Ruled {
    let must = "must be standard, vegetarian, vegan, halal, kosher, gluten-free or no-preference";
    one_of(&MEALS, text, must)
}

/// A class.
///
/// # Errors
///
/// How it must be.
pub fn class(text: &str) -> Ruled {
    one_of(
        &CLASSES,
        text,
        "must be economy, premium-economy, business, first or no-preference",
    )
}

fn one_of(choices: &[&str], text: &str, must: &'static str) -> Ruled {
    choices.contains(&text).then(|| text.to_owned()).ok_or(must)
}

/// A short text in one line: a time zone, a visibility.
///
/// # Errors
///
/// How it must be.
pub fn word(text: &str) -> Ruled {
    let fits = is_word(text) && !text.trim().is_empty();
    fits.then(|| text.to_owned())
        .ok_or("must be a line of 1 to 100 characters")
}

/// A time from outside, as events write it.
///
/// # Errors
///
/// How it must be.
pub fn time(text: &str) -> Ruled {
    let millis =
        time::millis_of(text).ok_or("must be an ISO 8601 date and time, for example 2025-12-12T10:30:00.000Z")?;
    Ok(time::iso_millis(millis))
}

/// One of the form's older lists. A text alone is a list of one.
///
/// # Errors
///
/// How it must be.
pub fn list(value: &Value) -> Result<Vec<String>, &'static str> {
    const MUST: &str = "must be a list of up to 50 texts of up to 100 characters";
    let word = |value: &Value| {
        let text = value.as_str().filter(|text| is_word(text));
        text.map(str::to_owned).ok_or(MUST)
    };
    match value {
        Value::Array(entries) if entries.len() <= ENTRIES => entries.iter().map(word).collect(),
        text => Ok(vec![word(text)?]),
    }
}

fn is_word(text: &str) -> bool {
    text.chars().count() <= WORD && !text.chars().any(char::is_control)
}
