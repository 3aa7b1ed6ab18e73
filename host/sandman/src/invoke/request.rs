//! A sample request in a file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use sandman_core::contract::Grant;
use sandman_core::json::{self, Object};
use sandman_core::outcome::UploadedFile;
use sandman_core::work::RequestWork;

/// Why a sample request cannot be run.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The file is not a valid request.
    #[error(
        "not a valid request: {0}; it needs method and route, and may have key, params, query, claims, body, files"
    )]
    Unreadable(#[from] serde_json::Error),
    /// The handler has no such route.
    #[error("the handler has no route `{route}`; it serves {served}")]
    NotServed {
        /// The route of the request.
        route: String,
        /// The routes of the handler.
        served: String,
    },
}

impl RequestError {
    pub(super) fn not_served(work: &RequestWork, granted: &Grant) -> Self {
        let served: Vec<_> = granted
            .routes
            .iter()
            .map(|(method, path)| format!("`{method} {path}`"))
            .collect();
        Self::NotServed {
            route: format!("{} {}", work.method, work.route),
            served: if served.is_empty() {
                "none".to_owned()
            } else {
                served.join(", ")
            },
        }
    }
}

/// A request as the guest would see it: the route's pattern and the values in it, not a path.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestFile {
    method: String,
    route: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    params: BTreeMap<String, String>,
    #[serde(default)]
    query: BTreeMap<String, String>,
    claims: Option<Box<RawValue>>,
    body: Option<Box<RawValue>>,
    #[serde(default)]
    files: Vec<Object<FileOf>>,
    correlation_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileOf {
    field: String,
    url: String,
    media_type: String,
    size: u64,
    digest: String,
}

impl RequestFile {
    /// Reads the file's bytes.
    ///
    /// # Errors
    /// [`RequestError::Unreadable`]
    pub fn read(bytes: &[u8]) -> Result<Self, RequestError> {
        Ok(json::object(bytes)?)
    }

    /// The request of another key.
    #[must_use]
    pub fn with_key(mut self, key: Option<&str>) -> Self {
        self.key = key.map_or(self.key, str::to_owned);
        self
    }

    pub(super) fn work(&self) -> RequestWork {
        let pairs = |map: &BTreeMap<String, String>| map.clone().into_iter().collect();
        let text = |raw: &Option<Box<RawValue>>| raw.as_ref().map(|raw| raw.get().to_owned());
        let file = |Object(file): &Object<FileOf>| UploadedFile {
            field: file.field.clone(),
            url: file.url.clone(),
            media_type: file.media_type.clone(),
            size: file.size,
            digest: file.digest.clone(),
        };
        RequestWork {
            key: self.key.as_str().into(),
            method: self.method.to_ascii_uppercase(),
            route: self.route.clone(),
            params: pairs(&self.params),
            query: pairs(&self.query),
            claims: text(&self.claims),
            body: text(&self.body),
            files: self.files.iter().map(file).collect(),
            correlation_id: self
                .correlation_id
                .clone()
                .unwrap_or_else(|| Uuid::new_v4().to_string()),
            ..RequestWork::default()
        }
    }
}
