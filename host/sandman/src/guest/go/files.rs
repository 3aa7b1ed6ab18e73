//! The template of a new guest in Go, and its copy of the SDK.

use crate::guest::{AGENTS, EVENT, EVENT_TO_TRY, TemplateFiles};

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("../../../templates/go/", $file))
    };
}

macro_rules! sdk {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../../../guest/sdk-go/", $file)))),*]
    };
}

/// The guest's own files.
pub(super) const TEMPLATE: TemplateFiles = &[
    ("go.mod", template!("go.mod.template")),
    ("handler.go", template!("handler.go")),
    ("handler_test.go", template!("handler_test.go")),
    (EVENT, EVENT_TO_TRY),
    AGENTS,
    ("README.md", template!("README.md.template")),
    (".gitignore", template!("gitignore.template")),
];

/// The SDK, which is not in a registry.
pub(super) const SDK: TemplateFiles = sdk![
    "go.mod",
    "component_wasip1.go",
    "handler.go",
    "log.go",
    "memory_wasip1.go",
    "native.go",
    "outcome.go",
    "schema.go",
    "trigger.go",
    "sandmantest/call.go",
    "sandmantest/recorded.go",
];
