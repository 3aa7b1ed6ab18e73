//! The handlers' listener over real connections, with a stand-in for the pipeline.

mod bodies;
mod bounds;
mod cors;
mod files;
mod measures;
mod replies;
mod tokens;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::{HttpServer, Requests};
use sandman_config::Config;
use sandman_core::work::{Answer, RequestWork};
use sandman_engine::health::HealthView;
use sandman_engine::meters::Meters;
use sandman_store::SqliteStore;

const SECRET: &str = "a secret that is long enough for HS256";

const ROUTES: &str = r#"
[host]
source = "test"
[handlers.profile]
component = "profile.wasm"
[handlers.preferences]
component = "preferences.wasm"
[[routes]]
method = "PUT"
path = "/own"
handlers = ["profile", "preferences"]
key = "claim:userId"
[[routes]]
method = "GET"
path = "/own"
handlers = ["profile"]
key = "claim:userId"
[[routes]]
method = "POST"
path = "/users/{userId}"
handlers = ["profile"]
key = "path:userId"
auth = "optional"
[[routes]]
method = "POST"
path = "/users/{userId}/avatar"
handlers = ["profile"]
key = "path:userId"
auth = "none"
files = ["avatar"]
"#;

/// What the stand-in answers; `None` waits for ever.
type Answering = Box<dyn Fn(&RequestWork) -> Option<Answer> + Send + Sync>;

/// The pipeline's stand-in.
struct Fake {
    answering: Answering,
    seen: Mutex<Vec<RequestWork>>,
    waiting: Mutex<Vec<oneshot::Sender<Answer>>>,
}

impl Requests for Fake {
    fn request(&self, work: RequestWork) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        match (self.answering)(&work) {
            Some(answer) => sender.send(answer).expect("somebody waits"),
            None => self.waiting.lock().push(sender),
        }
        self.seen.lock().push(work);
        receiver
    }
}

struct Served {
    address: SocketAddr,
    fake: Arc<Fake>,
    folder: TempDir,
    store: Arc<SqliteStore>,
    meters: Meters,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

fn ok() -> Answer {
    reply(200, r#"{"done":true}"#)
}

fn reply(status: u16, body: &str) -> Answer {
    let body = Some(body.to_owned());
    Answer::Reply { status, body }
}

/// A server that answers every request with 200.
async fn serve() -> Served {
    serve_with("", |_| Some(ok())).await
}

/// A server with these keys in `[http]`.
async fn serve_with(http: &str, answering: impl Fn(&RequestWork) -> Option<Answer> + Send + Sync + 'static) -> Served {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("[http]\nlisten = \"127.0.0.1:0\"\n{http}\n{ROUTES}");
    let secret = ("JWT_SECRET".to_owned(), SECRET.to_owned());
    let file = folder.path().join("sandman.toml");
    let config = Config::parse(Path::new(&file), &text, [secret].into_iter());
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let fake = Arc::new(Fake {
        answering: Box::new(answering),
        seen: Mutex::default(),
        waiting: Mutex::default(),
    });
    let requests: Arc<dyn Requests> = Arc::clone(&fake) as _;
    let meters = Meters::new();
    let store = Arc::new(SqliteStore::in_memory().expect("a store"));
    let server = HttpServer::bind(
        &config,
        (requests, Arc::clone(&store) as _),
        Arc::new(HealthView::new()),
        &meters,
    )
    .await
    .expect("a free port");
    let address = server.address();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(server.serve(stopped));
    Served {
        address,
        fake,
        folder,
        store,
        meters,
        stop,
        task,
    }
}

impl Served {
    /// The whole answer to a request: its first line, more headers (each with its line end), and its body.
    async fn ask(&self, line: &str, headers: &str, body: impl AsRef<[u8]>) -> String {
        let body = body.as_ref();
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.raw([head.as_bytes(), body].concat()).await
    }

    async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        // The server may answer before it has read everything.
        stream.write_all(request.as_ref()).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The client of a request that arrives and is not answered.
    async fn waiting(&self) -> oneshot::Sender<Answer> {
        loop {
            if let Some(sender) = self.fake.waiting.lock().pop() {
                return sender;
            }
            tokio::task::yield_now().await;
        }
    }

    fn last(&self) -> RequestWork {
        self.fake.seen.lock().last().cloned().expect("a request that arrived")
    }

    fn count(&self) -> usize {
        self.fake.seen.lock().len()
    }
}

#[track_caller]
fn has(answer: &str, status: u16, words: &str) {
    let line = format!("HTTP/1.1 {status} ");
    assert!(answer.starts_with(&line), "{status} expected: {answer}");
    assert!(answer.contains(words), "{words:?} expected: {answer}");
}

const JSON: &str = "Content-Type: application/json\r\n";
