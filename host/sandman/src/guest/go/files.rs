//! What a new guest in Go starts as, and the SDK that it carries with it.

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

/// The SDK: a guest outside of Sandman's sources has it from no registry.
pub(super) const SDK: TemplateFiles = sdk![
    "go.mod",
    "component_wasip1.go",
    "handler.go",
    "log.go",
    "native.go",
    "outcome.go",
    "schema.go",
    "trigger.go",
    "sandmantest/call.go",
    "sandmantest/recorded.go",
];
