//! The template of a new guest in Python, and its copy of the SDK.

use crate::guest::{AGENTS, EVENT, EVENT_TO_TRY, TemplateFiles};

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("../../../templates/py/", $file))
    };
}

macro_rules! sdk {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../../../guest/sdk-py/", $file)))),*]
    };
}

/// The guest's own files.
pub(super) const TEMPLATE: TemplateFiles = &[
    ("pyproject.toml", template!("pyproject.toml.template")),
    ("requirements.txt", template!("requirements.txt")),
    ("handler.py", template!("handler.py")),
    ("tests/test_handler.py", template!("tests/test_handler.py")),
    (EVENT, EVENT_TO_TRY),
    AGENTS,
    ("README.md", template!("README.md.template")),
    (".gitignore", template!("gitignore.template")),
];

/// The SDK, which is not in a registry.
pub(super) const SDK: TemplateFiles = sdk![
    "pyproject.toml",
    "sandman_component.py",
    "sandman/__init__.py",
    "sandman/_contract.py",
    "sandman/_json.py",
    "sandman/_outcome.py",
    "sandman/_pure.py",
    "sandman/_trigger.py",
    "sandman/log.py",
    "sandman/py.typed",
    "sandman/recorded.py",
    "sandman/testing.py",
];
