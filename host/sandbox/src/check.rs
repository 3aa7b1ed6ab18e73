//! Checks that the result of a guest is a valid outcome within its limits, before any of it is used.

use serde::de::IgnoredAny;

use super::error::Bound;
use sandman_core::limits::Limits;
use sandman_core::outcome::{EmittedEvent, Outcome, Reply, StateChange};

/// Why an outcome is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutcomeFault {
    Over(Bound),
    Invalid(String),
}

pub(super) fn check(outcome: &Outcome, limits: &Limits) -> Result<(), OutcomeFault> {
    let over = |bound| Err(OutcomeFault::Over(bound));
    let (got, limit) = (outcome.events.len(), limits.events);
    if got > usize::try_from(limit).unwrap_or(usize::MAX) {
        return over(Bound::Events { got, limit });
    }
    if size(outcome) > limits.output {
        return over(Bound::Output(limits.output));
    }
    if let StateChange::Put(text) = &outcome.state {
        json("a state", text)?;
    }
    outcome.events.iter().try_for_each(event)?;
    outcome.reply.as_ref().map_or(Ok(()), reply)
}

fn event(event: &EmittedEvent) -> Result<(), OutcomeFault> {
    json(&format_args!("a payload of {}", event.event_type), &event.payload)?;
    if let Some(metadata) = &event.metadata {
        json(&format_args!("metadata of {}", event.event_type), metadata)?;
        if !metadata.trim_start().starts_with('{') {
            let what = format!("metadata of {} that is not a JSON object", event.event_type);
            return Err(OutcomeFault::Invalid(what));
        }
    }
    Ok(())
}

fn reply(reply: &Reply) -> Result<(), OutcomeFault> {
    if !(200..=599).contains(&reply.status) {
        let what = format!("a reply with status {}, which is not within 200 to 599", reply.status);
        return Err(OutcomeFault::Invalid(what));
    }
    reply
        .body
        .as_deref()
        .map_or(Ok(()), |body| json("a reply's body", body))
}

fn json(what: &(impl std::fmt::Display + ?Sized), text: &str) -> Result<(), OutcomeFault> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(fault) => Err(OutcomeFault::Invalid(format!("{what} that is not JSON: {fault}"))),
    }
}

/// The bytes of all texts in an outcome.
fn size(outcome: &Outcome) -> u64 {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let state = match &outcome.state {
        StateChange::Put(text) => text.len(),
        StateChange::Keep | StateChange::Delete => 0,
    };
    let events: usize = outcome
        .events
        .iter()
        .map(|event| {
            let texts = event.event_type.len() + event.version.len() + event.payload.len();
            texts + optional(&event.key) + optional(&event.metadata)
        })
        .sum();
    let reply = outcome.reply.as_ref().map_or(0, |reply| optional(&reply.body));
    u64::try_from(state + events + reply).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(payload: &str, metadata: Option<&str>) -> Outcome {
        let event = EmittedEvent {
            event_type: "a.b".to_owned(),
            version: "1.0".to_owned(),
            payload: payload.to_owned(),
            key: None,
            metadata: metadata.map(str::to_owned),
        };
        Outcome {
            events: vec![event],
            ..Outcome::default()
        }
    }

    fn invalid(outcome: &Outcome) -> String {
        match check(outcome, &Limits::default()) {
            Err(OutcomeFault::Invalid(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_that_are_no_json_are_named() {
        let state = Outcome {
            state: StateChange::Put("{".into()),
            ..Outcome::default()
        };
        assert!(invalid(&state).starts_with("a state that is not JSON: EOF"));
        assert!(invalid(&emitted("{} {}", None)).starts_with("a payload of a.b that is not JSON: trailing"));
        assert_eq!(
            invalid(&emitted("1", Some("[]"))),
            "metadata of a.b that is not a JSON object"
        );
        assert_eq!(check(&emitted("1", Some(" {}")), &Limits::default()), Ok(()));
    }

    #[test]
    fn a_status_outside_of_http_is_named() {
        let reply = |status| Outcome {
            reply: Some(Reply { status, body: None }),
            ..Outcome::default()
        };
        assert!(invalid(&reply(99)).contains("99"));
        assert!(invalid(&reply(600)).contains("600"));
        assert_eq!(check(&reply(599), &Limits::default()), Ok(()));
    }

    #[test]
    fn bytes_and_events_are_bounded() {
        let limits = Limits {
            output: 8,
            events: 1,
            ..Limits::default()
        };
        assert_eq!(check(&emitted("12", None), &limits), Ok(()));
        assert_eq!(
            check(&emitted("123", None), &limits),
            Err(OutcomeFault::Over(Bound::Output(8)))
        );
        let none = Limits { events: 0, ..limits };
        assert_eq!(
            check(&emitted("1", None), &none),
            Err(OutcomeFault::Over(Bound::Events { got: 1, limit: 0 }))
        );
    }
}
