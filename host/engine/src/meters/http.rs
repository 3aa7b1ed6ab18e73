//! Handles of the handlers' listener: by route and never by user or path, so that their number is bounded.

use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};

/// Handles of the listener as a whole.
#[derive(Clone, Debug)]
pub struct HttpMeters {
    /// Connections that are open.
    pub connections: Gauge,
    /// Files that were stored.
    pub uploads: Counter,
    /// Bytes of files that were stored.
    pub upload_bytes: Counter,
    /// Stored files that were removed because no state named them any more.
    pub uploads_removed: Counter,
    /// Completed searches for such files.
    pub upload_sweeps: Counter,
    rejections: [(UploadRejection, Counter); 5],
}

/// Why an upload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadRejection {
    /// It is larger than `http.upload`, or the form exceeds its limit.
    Size,
    /// It is not a picture of a known type.
    Kind,
    /// The form cannot be read, ends early, or has a file where none is accepted.
    Form,
    /// It could not be stored.
    Store,
    /// The handlers, or the host, did not carry the request out.
    Request,
}

impl UploadRejection {
    const ALL: [Self; 5] = [Self::Size, Self::Kind, Self::Form, Self::Store, Self::Request];

    fn label(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Kind => "kind",
            Self::Form => "form",
            Self::Store => "store",
            Self::Request => "request",
        }
    }
}

/// Handles of one route.
#[derive(Clone, Debug)]
pub struct RouteMeters {
    /// Seconds from a request's headers to its answer's.
    seconds: Histogram,
    /// Answers of each class, from 1xx to 5xx.
    answers: [Counter; 5],
}

impl HttpMeters {
    /// Registers with the current recorder.
    pub(super) fn new() -> Self {
        let rejection = |why: UploadRejection| {
            let reason = Label::from_static_parts("reason", why.label());
            (why, counter!("sandman_upload_rejections_total", vec![reason]))
        };
        Self {
            connections: gauge!("sandman_http_connections"),
            uploads: counter!("sandman_uploads_total"),
            upload_bytes: counter!("sandman_upload_bytes_total"),
            uploads_removed: counter!("sandman_uploads_removed_total"),
            upload_sweeps: counter!("sandman_upload_sweeps_total"),
            rejections: UploadRejection::ALL.map(rejection),
        }
    }

    /// Counts an upload that was refused.
    pub fn rejected(&self, why: UploadRejection) {
        if let Some((_, counter)) = self.rejections.iter().find(|(known, _)| *known == why) {
            counter.increment(1);
        }
    }
}

impl RouteMeters {
    /// Registers with the current recorder.
    pub(super) fn new(method: &str, route: &str) -> Self {
        let labels = || {
            vec![
                Label::new("method", method.to_owned()),
                Label::new("route", route.to_owned()),
            ]
        };
        let answers = |class: &'static str| {
            let status = Label::from_static_parts("status", class);
            counter!("sandman_http_requests_total", [labels(), vec![status]].concat())
        };
        Self {
            seconds: histogram!("sandman_http_request_seconds", labels()),
            answers: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(answers),
        }
    }

    /// Counts an answer with its HTTP status and the seconds that it took.
    pub fn answered(&self, status: u16, seconds: f64) {
        self.seconds.record(seconds);
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(counter) = class.and_then(|class| self.answers.get(class)) {
            counter.increment(1);
        }
    }
}
