//! The SDK for Sandman handlers in Rust.
//!
//! A handler consists of two or three plain functions: one that declares what it consumes and emits, one for events and, if it
//! serves routes, one for requests. [`export!`] turns them into a component. In native builds they stay plain functions that can be tested with
//! `cargo test` and [`testing`], without WebAssembly, Kafka or the host.
//!
//! ```
//! use sandman_sdk::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "camelCase")]
//! struct Created { user_id: String }
//!
//! #[derive(Serialize, Deserialize, Default)]
//! struct Seen { times: u64 }
//!
//! #[derive(Serialize)]
//! #[serde(rename_all = "camelCase")]
//! struct SeenAgain<'a> { user_id: &'a str, times: u64 }
//!
//! fn describe() -> Contract {
//!     Contract::new().consumes("user.created", ["1.0"]).emits("user.seen", "1.0")
//! }
//!
//! fn on_event(event: Event, state: Option<Seen>, _: Context) -> Result<Outcome<Seen>, Failure> {
//!     let Created { user_id } = event.payload()?;
//!     let times = state.unwrap_or_default().times + 1;
//!     let payload = SeenAgain { user_id: &user_id, times };
//!     Ok(Outcome::new().emit("user.seen", "1.0", &payload).put(Seen { times }))
//! }
//!
//! sandman_sdk::export!(describe, event = on_event);
//!
//! # use sandman_sdk::testing::Call;
//! let outcome = Call::event("user.created", "1.0", &serde_json::json!({ "userId": "u1" })).run(on_event)?;
//! assert_eq!(outcome.state.document().map(|seen| seen.times), Some(1));
//! # Ok::<(), Failure>(())
//! ```
//!
//! The crate of a handler is a `cdylib` (and an `rlib` for its tests); `sandman build DIR` builds the component.
//!
//! The default feature `heap` gives the component an allocator whose first 256 KiB need no call to the host, so that a
//! fresh instance starts in two thirds of the time. Disable it to use your own allocator.
//!
//! **A handler is pure.** The same trigger, state and context must give the same outcome, to the byte: the host may run
//! a trigger again, on another version or another machine. There is no clock (use `Context::now_millis`) and no
//! source of randomness. The iteration order of the standard library's `HashMap` and `HashSet` differs from one call to the next, so it must not affect a state, a payload or the order of
//! events. The types in [`collections`], which are part of the prelude, have a deterministic order; `BTreeMap` and
//! `BTreeSet` are sorted. Do not keep data in a `static`.

#[doc(hidden)]
pub mod bindings;
pub mod collections;
mod contract;
pub mod form;
#[cfg(all(feature = "heap", target_family = "wasm"))]
mod heap;
mod locate;
pub mod log;
mod objects;
mod outcome;
pub mod testing;
pub mod time;
mod trigger;
#[doc(hidden)]
pub mod wire;

pub use bindings::sandman::handler::event_types::{
    ConsumedType, Context, Contract, EmittedType, Event, Failure, Request, ServedRoute, UploadedFile,
};
pub use outcome::{Answer, Change, Emitted, Outcome, rejected, retry};

/// Method and route of the requests with which `sandman import` passes documents, as the body, to a handler that
/// [imports](Contract::imports). No client can send such a request, because it is neither an HTTP method nor a path.
pub const IMPORT: (&str, &str) = ("IMPORT", "state");

/// The names that a handler uses, for a glob import.
pub mod prelude {
    pub use crate::IMPORT;
    pub use crate::collections::{HashMap, HashSet};
    pub use crate::log;
    pub use crate::{Context, Contract, Emitted, Event, Failure, Outcome, Request, rejected, retry};
}

/// Exports plain functions as a component.
///
/// `export!(describe, event = on_event)`, `export!(describe, request = on_request)`, or both:
/// `export!(describe, event = on_event, request = on_request)`. The functions are
///
/// - `fn describe() -> Contract`
/// - `fn on_event(Event, Option<State>, Context) -> Result<Outcome<State>, Failure>`
/// - `fn on_request(Request, Option<State>, Context) -> Result<Outcome<State>, Failure>`
///
/// with any `State` that serde can read and write. On targets other than WebAssembly the macro only checks their types.
#[macro_export]
macro_rules! export {
    ($describe:path, event = $event:path $(,)?) => {
        $crate::export!(@component $describe, $event, $crate::wire::no_requests::<()>);
    };
    ($describe:path, request = $request:path $(,)?) => {
        $crate::export!(@component $describe, $crate::wire::no_events::<()>, $request);
    };
    ($describe:path, event = $event:path, request = $request:path $(,)?) => {
        $crate::export!(@component $describe, $event, $request);
    };
    (@component $describe:path, $event:path, $request:path) => {
        const _: () = {
            struct Component;
            impl $crate::wire::Guest for Component {
                fn describe() -> $crate::Contract {
                    $crate::wire::ready();
                    $describe()
                }
                fn handle(
                    trigger: $crate::wire::Trigger,
                    state: ::core::option::Option<::std::string::String>,
                    context: $crate::Context,
                ) -> ::core::result::Result<$crate::wire::Outcome, $crate::Failure> {
                    $crate::wire::ready();
                    match trigger {
                        $crate::wire::Trigger::Event(event) => $crate::wire::run($event, event, state, context),
                        $crate::wire::Trigger::Request(request) => $crate::wire::run($request, request, state, context),
                    }
                }
            }
            #[cfg(target_family = "wasm")]
            $crate::bindings::export_component!(Component with_types_in $crate::bindings);
            // In tests nobody calls the component: without this the compiler would say that the handler is never used.
            #[cfg(not(target_family = "wasm"))]
            const _: fn() = || {
                let _ = (<Component as $crate::wire::Guest>::describe, <Component as $crate::wire::Guest>::handle);
            };
        };
    };
}
