//! HTTP: the listeners, without any decisions. Besides `operate`, only this crate uses the web framework.

pub mod answer;
pub mod body;
mod correlation;
mod cors;
#[doc(hidden)]
pub mod fuzzing;
mod edge;
mod files;
mod form;
pub mod health;
mod measure;
mod parameters;
mod picture;
pub mod refusal;
mod routes;
pub mod serve;
mod server;
mod silent;
mod token;
mod uploads;

use tokio::sync::oneshot;

pub use files::{Sweep, UploadsError, check_uploads};
pub use server::{HttpError, HttpServer, LiveRoutes};

use sandman_core::work::{Answer, RequestWork};
use sandman_engine::pipeline::Pipeline;

/// Handles requests: the pipeline, or a test in its place.
pub trait Requests: Send + Sync + 'static {
    /// Accepts a request. The answer comes after its commit; if the sender is dropped without one, its outcome is not known.
    fn request(&self, work: RequestWork) -> oneshot::Receiver<Answer>;
}

impl Requests for Pipeline {
    fn request(&self, work: RequestWork) -> oneshot::Receiver<Answer> {
        Self::request(self, work)
    }
}
