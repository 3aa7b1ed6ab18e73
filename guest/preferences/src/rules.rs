//! What a value must look like. A rule gives the value as it is stored, or says how it must be.

use serde_json::Value;

use crate::codes;

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

/// A language.
///
/// # Errors
///
/// How it must be.
pub fn language(text: &str) -> Ruled {
    let known = codes::is_language(text);
    known
        .then(|| text.to_owned())
        .ok_or("must be a language in ISO 639-1, for example fr")
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

/// One of the form's older lists: a text or some texts, kept as they came.
///
/// # Errors
///
/// How it must be.
pub fn list(value: &Value) -> Result<Value, &'static str> {
    let fits = match value {
        Value::String(text) => is_word(text),
        Value::Array(entries) => {
            entries.len() <= ENTRIES && entries.iter().all(|entry| entry.as_str().is_some_and(is_word))
        }
        _ => false,
    };
    fits.then(|| value.clone())
        .ok_or("must be a list of up to 50 texts of up to 100 characters")
}

fn is_word(text: &str) -> bool {
    text.chars().count() <= WORD && !text.chars().any(char::is_control)
}
