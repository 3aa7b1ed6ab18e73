//! Passes documents through the handler: handlers that declare it read imported documents themselves, so that these
//! follow their own rules and may have the format of an earlier service.

use std::sync::Arc;

use serde_json::Value;

use sandman_core::contract::IMPORT;
use sandman_core::outcome::{Context, Fault, Guest, Outcome, Reply, RequestView, StateChange, Trigger};

/// A handler that reads the documents of an import.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Its component.
    pub guest: &'a dyn Guest,
    /// Its settings, a JSON object as text.
    pub settings: &'a str,
}

impl Reader<'_> {
    /// The document that the handler puts for this one.
    ///
    /// # Errors
    /// Why it refuses the document.
    pub(super) fn read(self, key: &str, document: &str) -> Result<Arc<str>, Vec<String>> {
        let (method, route) = IMPORT;
        let request = RequestView {
            key,
            method,
            route,
            params: &[],
            query: &[],
            claims: None,
            body: Some(document),
            files: &[],
            correlation_id: "",
        };
        // The same document always gives the same state, so that a second run recognises it.
        let context = Context {
            now_millis: 0,
            attempt: 1,
            settings: self.settings,
        };
        state(self.guest.invoke(Trigger::Request(request), None, context))
    }
}

fn state(outcome: Result<Outcome, Fault>) -> Result<Arc<str>, Vec<String>> {
    let Outcome { state, events, reply } = outcome.map_err(|fault| match fault {
        Fault::Rejected(reason)
        | Fault::Invalid(reason)
        | Fault::Retry(reason)
        | Fault::Trap(_, reason)
        | Fault::Exceeded(_, reason) => vec![reason],
    })?;
    if let Some(Reply { status: 400.., body }) = reply {
        return Err(problems(body.as_deref()));
    }
    match state {
        StateChange::Put(document) if events.is_empty() => Ok(document),
        StateChange::Put(_) => Err(vec![
            "the handler published an event for it, which an import does not do".to_owned(),
        ]),
        StateChange::Keep | StateChange::Delete => Err(vec!["the handler put no state for it".to_owned()]),
    }
}

/// The mistakes in a reply, one by one.
fn problems(body: Option<&str>) -> Vec<String> {
    let body = body.and_then(|body| serde_json::from_str::<Value>(body).ok());
    match body.as_ref().and_then(|body| body.get("error")?.as_str()) {
        Some(error) => error.split("; ").map(str::to_owned).collect(),
        None => vec!["the handler refuses it, and does not say why".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts what it was handed, unless that says what to do instead.
    struct Obeying;

    impl Guest for Obeying {
        fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, context: Context<'_>) -> Result<Outcome, Fault> {
            let Trigger::Request(RequestView {
                method: "IMPORT",
                route: "state",
                key: "ada",
                body: Some(body),
                ..
            }) = trigger
            else {
                panic!("{trigger:?}")
            };
            assert_eq!((state, context.settings), (None, "{}"));
            let reply = |status, body: Option<&str>| Reply {
                status,
                body: body.map(str::to_owned),
            };
            let (state, reply) = match body {
                "reject" => return Err(Fault::Rejected("no such field".to_owned())),
                "refuse" => (
                    StateChange::Put(body.into()),
                    Some(reply(400, Some(r#"{"error":"a must be b; c must be d"}"#))),
                ),
                "mute" => (StateChange::Put(body.into()), Some(reply(500, None))),
                "keep" => (StateChange::Keep, None),
                "delete" => (StateChange::Delete, Some(reply(200, None))),
                body => (StateChange::Put(format!("[{body}]").into()), Some(reply(200, None))),
            };
            Ok(Outcome {
                state,
                events: Vec::new(),
                reply,
            })
        }
    }

    #[test]
    fn what_the_handler_puts_is_imported_and_what_it_refuses_is_not() {
        let reader = Reader {
            guest: &Obeying,
            settings: "{}",
        };
        assert_eq!(reader.read("ada", "7").as_deref(), Ok("[7]"));
        for (document, problems) in [
            ("reject", &["no such field"][..]),
            ("refuse", &["a must be b", "c must be d"]),
            ("mute", &["the handler refuses it, and does not say why"]),
            ("keep", &["the handler put no state for it"]),
            ("delete", &["the handler put no state for it"]),
        ] {
            assert_eq!(reader.read("ada", document).unwrap_err(), problems, "{document}");
        }
    }
}
