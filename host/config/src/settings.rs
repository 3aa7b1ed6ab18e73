//! A handler's own settings: any table, handed to the guest as JSON text.

use std::sync::Arc;

use serde_json::{Map, Number, Value as Json};
use toml::{Table, Value};

use super::section::{Section, join, typed};

const KEY: &str = "settings";

/// The `settings` of a handler as a JSON object.
pub(super) fn read(section: &mut Section<'_>) -> Arc<str> {
    let path = section.path(KEY);
    let table = section.free(KEY);
    object(&table, &path, section).to_string().into()
}

fn object(table: &Table, path: &str, section: &Section<'_>) -> Json {
    let entries = table.iter().map(|(key, value)| {
        let path = join(path, key);
        (key.clone(), json(value, &path, section))
    });
    Json::Object(entries.collect::<Map<_, _>>())
}

fn json(value: &Value, path: &str, section: &Section<'_>) -> Json {
    // A variable holds text; what reads as a number, a truth value, a list or a table is one.
    let from_variable = value.as_str().filter(|_| section.report.variable(path).is_some());
    match from_variable.and_then(typed).as_ref().unwrap_or(value) {
        Value::String(text) => Json::String(text.clone()),
        Value::Integer(number) => Json::Number((*number).into()),
        Value::Float(number) => Number::from_f64(*number).map_or_else(
            || {
                section.report.refuse(path, format!("{number} does not exist in JSON"));
                Json::Null
            },
            Json::Number,
        ),
        Value::Boolean(flag) => Json::Bool(*flag),
        // JSON knows no dates; RFC 3339 is what guests can read.
        Value::Datetime(instant) => Json::String(instant.to_string()),
        Value::Array(entries) => {
            let entries = entries.iter().enumerate();
            entries
                .map(|(index, entry)| json(entry, &format!("{path}[{index}]"), section))
                .collect()
        }
        Value::Table(table) => object(table, path, section),
    }
}
