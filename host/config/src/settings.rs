//! A handler's own settings: any table, passed to the guest as JSON text.

use std::sync::Arc;

use serde_json::{Map, Number, Value as Json};
use toml::{Table, Value};

use super::section::{Section, join};

const KEY: &str = "settings";
/// The prefix of a variable's value that is JSON and not text.
const JSON: &str = "json:";

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
    if let Some(text) = value.as_str().filter(|_| section.report.variable(path).is_some()) {
        return from_variable(text, path, section);
    }
    match value {
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
        // JSON has no dates, so they are passed as RFC 3339.
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

/// A variable's value is text, unless the file has another type at the key or the value has the prefix for JSON.
fn from_variable(text: &str, path: &str, section: &Section<'_>) -> Json {
    let explicit = text.strip_prefix(JSON);
    let read = |json: &str| serde_json::from_str::<Json>(json).ok();
    let (read, wanted) = match section.report.held.get(path) {
        Some(Value::String(_) | Value::Datetime(_)) => return Json::String(text.to_owned()),
        Some(Value::Integer(_)) => (
            read(text).filter(|json| json.is_i64() || json.is_u64()),
            "a whole number",
        ),
        Some(Value::Float(_)) => (read(text).filter(Json::is_number), "a number"),
        Some(Value::Boolean(_)) => (read(text).filter(Json::is_boolean), "true or false"),
        Some(Value::Array(_)) => (
            read(explicit.unwrap_or(text)).filter(Json::is_array),
            "a list in JSON, such as [\"a\", 1]",
        ),
        Some(Value::Table(_)) => (
            read(explicit.unwrap_or(text)).filter(Json::is_object),
            "an object in JSON, such as {\"a\": 1}",
        ),
        None => match explicit {
            None => return Json::String(text.to_owned()),
            Some(json) => (read(json), "JSON after `json:`, such as json:5 or json:true"),
        },
    };
    read.unwrap_or_else(|| {
        let problem = match explicit {
            Some(_) => "is not JSON",
            None => "is something else than the file holds",
        }
        .to_owned();
        section.report.add(path, problem, Some(wanted.to_owned()), None);
        Json::Null
    })
}
