//! Converts between the host's own types and the contract's generated types.

use super::bindings::exports::sandman::handler::handler as export;
use super::bindings::sandman::handler::event_types as wit;
use sandman_core::contract::{Consumes, Contract, Emits, ServedRoute};
use sandman_core::outcome::{
    Context, EmittedEvent, EventView, Failure, Outcome, Reply, RequestView, StateChange, UploadedFile,
};

pub(super) fn event<'a>(event: &EventView<'a>) -> wit::Event<'a> {
    wit::Event {
        key: event.key,
        event_id: event.event_id,
        event_type: event.event_type,
        version: event.version,
        timestamp: event.timestamp,
        source: event.source,
        correlation_id: event.correlation_id,
        causation_id: event.causation_id,
        metadata: event.metadata,
        payload: event.payload,
    }
}

/// The lists of a request, borrowed as the generated types need them.
pub(super) struct RequestLists<'a> {
    params: Vec<(&'a str, &'a str)>,
    query: Vec<(&'a str, &'a str)>,
    files: Vec<wit::UploadedFile<'a>>,
}

impl<'a> RequestLists<'a> {
    pub(super) fn of(request: &RequestView<'a>) -> Self {
        let pairs = |list: &'a [(String, String)]| list.iter().map(|(name, value)| (&**name, &**value)).collect();
        Self {
            params: pairs(request.params),
            query: pairs(request.query),
            files: request.files.iter().map(file).collect(),
        }
    }

    pub(super) fn request<'b>(&'b self, request: &RequestView<'b>) -> wit::Request<'b> {
        wit::Request {
            key: request.key,
            method: request.method,
            route: request.route,
            params: &self.params,
            query: &self.query,
            claims: request.claims,
            body: request.body,
            files: &self.files,
            correlation_id: request.correlation_id,
        }
    }
}

fn file(file: &UploadedFile) -> wit::UploadedFile<'_> {
    wit::UploadedFile {
        field: &file.field,
        url: &file.url,
        media_type: &file.media_type,
        size: file.size,
        digest: &file.digest,
    }
}

pub(super) fn context<'a>(context: &Context<'a>) -> wit::Context<'a> {
    wit::Context {
        now_millis: context.now_millis,
        attempt: context.attempt,
        settings: context.settings,
    }
}

pub(super) fn outcome(outcome: export::Outcome) -> Outcome {
    Outcome {
        state: match outcome.state {
            wit::StateChange::Keep => StateChange::Keep,
            wit::StateChange::Put(text) => StateChange::Put(text.into()),
            wit::StateChange::Delete => StateChange::Delete,
        },
        events: outcome.events.into_iter().map(emitted).collect(),
        reply: outcome.reply.map(|reply| Reply {
            status: reply.status,
            body: reply.body,
        }),
    }
}

fn emitted(event: wit::EmittedEvent) -> EmittedEvent {
    EmittedEvent {
        event_type: event.event_type,
        version: event.version,
        payload: event.payload,
        key: event.key,
        metadata: event.metadata,
    }
}

pub(super) fn failure(failure: export::Failure) -> Failure {
    match failure {
        export::Failure::Rejected(reason) => Failure::Rejected(reason),
        export::Failure::Retry(reason) => Failure::Retry(reason),
    }
}

pub(super) fn contract(contract: export::Contract) -> Contract {
    Contract {
        consumes: contract
            .consumes
            .into_iter()
            .map(|consumed| Consumes {
                event_type: consumed.event_type,
                versions: consumed.versions,
                schema: consumed.schema,
            })
            .collect(),
        emits: contract
            .emits
            .into_iter()
            .map(|emitted| Emits {
                event_type: emitted.event_type,
                version: emitted.version,
                schema: emitted.schema,
            })
            .collect(),
        routes: contract
            .routes
            .into_iter()
            .map(|route| ServedRoute {
                method: route.method,
                path: route.path,
            })
            .collect(),
        state_version: contract.state_version,
        state_schema: contract.state_schema,
    }
}
