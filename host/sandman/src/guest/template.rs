//! Files of new guests in every language.

/// Files of a template: their paths and contents.
pub(crate) type TemplateFiles = &'static [(&'static str, &'static str)];

/// Instructions for coding agents.
pub(crate) const AGENTS: (&str, &str) = ("AGENTS.md", include_str!("../../../../docs/agents.md"));
/// The sample event.
pub const EVENT: &str = "events/created.json";
pub(crate) const EVENT_TO_TRY: &str = include_str!("../../templates/events/created.json");
