//! HTTP: the listeners, and nothing that decides. Only this folder names the web framework.

mod admin;
mod answer;
mod body;
mod correlation;
mod cors;
#[doc(hidden)]
pub mod doors;
mod edge;
mod form;
mod guard;
mod health;
mod measure;
mod parameters;
mod picture;
mod refusal;
mod routes;
mod serve;
mod server;
mod silent;
mod token;
mod uploads;

use tokio::sync::oneshot;

pub use admin::AdminServer;
pub use serve::{Bounds, ListenError};
pub use server::{HttpError, HttpServer, LiveRoutes};

use crate::pipeline::Pipeline;
use crate::work::{Answer, RequestWork};

/// Who carries requests out: the pipeline, or a test in its place.
pub trait Requests: Send + Sync + 'static {
    /// Takes a request. The answer comes after its commit; that none comes says that nobody knows what became of it.
    fn request(&self, work: RequestWork) -> oneshot::Receiver<Answer>;
}

impl Requests for Pipeline {
    fn request(&self, work: RequestWork) -> oneshot::Receiver<Answer> {
        Self::request(self, work)
    }
}
