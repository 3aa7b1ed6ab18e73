//! The transport to the bucket: hyper, with the OpenSSL that the Kafka client needs in any case.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use http::uri::Scheme;
use http_body_util::BodyExt;
use hyper_openssl::client::legacy::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod};
use thiserror::Error;
use tokio::time::timeout;
use tower_http::timeout::TimeoutBody;

/// For opening a connection; AWS recommends 3.1 s.
const CONNECT: Duration = Duration::from_secs(3);
/// Until a response begins, including sending the request: enough for an upload of 64 MiB at 35 Mbit/s.
const ANSWER: Duration = Duration::from_secs(15);
/// Until the next part of a response comes.
const PIECE: Duration = Duration::from_secs(15);
/// S3 closes idle connections after about 20 s; ours are closed before that.
const IDLE: Duration = Duration::from_secs(10);

/// Creates the HTTP clients of an object store.
#[derive(Debug)]
pub(super) struct OpensslConnector;

/// An HTTP client of an object store.
#[derive(Debug)]
struct OpensslService {
    client: Client<HttpsConnector<TcpConnector>, HttpRequestBody>,
    /// Whether connections without TLS are allowed.
    plain: bool,
}

#[derive(Debug, Error)]
enum TransportError {
    #[error("{0} is not encrypted")]
    Plain(http::Uri),
    #[error("no answer within {} s", ANSWER.as_secs())]
    Silent,
}

impl HttpConnector for OpensslConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let https = tls().and_then(|tls| HttpsConnector::with_connector(tcp, tls));
        let https = https.map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: Box::new(error),
        })?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(https);
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        Ok(HttpClient::new(OpensslService {
            client,
            plain: plain.is_some_and(|allowed| allowed == "true"),
        }))
    }
}

/// TLS that trusts this machine's CAs, and those of `SSL_CERT_FILE` and `SSL_CERT_DIR`: the default paths of the
/// built-in OpenSSL are not those of any distribution.
fn tls() -> Result<SslConnectorBuilder, ErrorStack> {
    let mut tls = SslConnector::builder(SslMethod::tls_client())?;
    let found = openssl_probe::probe();
    let folder = found.cert_dir.first().map(|folder| &**folder);
    if found.cert_file.is_some() || folder.is_some() {
        tls.load_verify_locations(found.cert_file.as_deref(), folder)?;
    }
    Ok(tls)
}

#[async_trait]
impl HttpService for OpensslService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.plain && request.uri().scheme() == Some(&Scheme::HTTP) {
            let error = TransportError::Plain(request.uri().clone());
            return Err(HttpError::new(HttpErrorKind::Unknown, error));
        }
        let answer = timeout(ANSWER, self.client.request(request)).await;
        let answer = answer.map_err(|_| HttpError::new(HttpErrorKind::Timeout, TransportError::Silent))?;
        let answer = answer.map_err(|error| match error.is_connect() {
            true => HttpError::new(HttpErrorKind::Connect, error),
            false => HttpError::new(kind(&error), error),
        })?;
        Ok(answer.map(|body| {
            let body = TimeoutBody::new(PIECE, body);
            HttpResponseBody::new(body.map_err(|error| HttpError::new_boxed(HttpErrorKind::Interrupted, error)))
        }))
    }
}

/// Classifies an error, so that a request on a connection that was closed while idle is sent again.
fn kind(error: &(dyn Error + 'static)) -> HttpErrorKind {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let closed =
        |error: &hyper::Error| error.is_closed() || error.is_incomplete_message() || error.is_body_write_aborted();
    for cause in causes {
        if cause.downcast_ref().is_some_and(closed) {
            return HttpErrorKind::Request;
        }
        if cause.is::<std::io::Error>() {
            return HttpErrorKind::Interrupted;
        }
    }
    HttpErrorKind::Unknown
}
