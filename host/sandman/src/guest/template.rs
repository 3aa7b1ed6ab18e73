//! What new guests of every language have in their folders.

/// Files of a template: where they go, and what they start as.
pub(crate) type TemplateFiles = &'static [(&'static str, &'static str)];

/// What coding agents need to know.
pub(crate) const AGENTS: (&str, &str) = ("AGENTS.md", include_str!("../../../../docs/agents.md"));
/// The event to try.
pub const EVENT: &str = "events/created.json";
pub(crate) const EVENT_TO_TRY: &str = include_str!("../../templates/events/created.json");
