//! A network between hosts and PostgreSQL that cuts connections in the middle of commits.
//!
//! It works on bytes: the statement `COMMIT` and its answer are recognised by how they are written in the protocol.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The statement, as the driver sends it, and the server's answer.
const STATEMENT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
const ANSWER: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// What becomes of commits.
#[derive(Debug, Default)]
struct Rules {
    /// Every so many commits one is cut; 0 for none.
    every: AtomicUsize,
    seen: AtomicUsize,
    /// Cut before the statement has arrived, and after it was carried out.
    before: AtomicUsize,
    after: AtomicUsize,
    closed: AtomicBool,
}

/// A way to PostgreSQL that is not as it should be.
pub struct CommitProxy {
    port: u16,
    rules: Arc<Rules>,
}

impl CommitProxy {
    /// Opens the way to the server on that port.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let rules = Arc::new(Rules::default());
        let accepting = Arc::clone(&rules);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.closed.load(Ordering::Relaxed) {
                    return;
                }
                // A server that is away looks from here as it does without us: the connection is gone.
                let _ = client.and_then(|client| connect(client, server, &accepting));
            }
        });
        Ok(Self { port, rules })
    }

    /// Where it is, for `store.url`.
    pub fn url(&self) -> String {
        format!("postgres://sandman@127.0.0.1:{}/postgres", self.port)
    }

    /// From now on one of so many commits is cut, by turns before its statement has arrived and after it was carried out; 0
    /// for none.
    pub fn cut_every(&self, commits: usize) {
        self.rules.every.store(commits, Ordering::Relaxed);
    }

    /// How many were cut before their statement had arrived, and how many after it was carried out.
    pub fn cut(&self) -> (usize, usize) {
        let count = |cut: &AtomicUsize| cut.load(Ordering::Relaxed);
        (count(&self.rules.before), count(&self.rules.after))
    }
}

impl Drop for CommitProxy {
    fn drop(&mut self) {
        self.rules.closed.store(true, Ordering::Relaxed);
        // Wakes whoever accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// What a connection still lets pass.
#[derive(Debug, Default)]
struct Fate {
    /// The next answer to a commit is lost.
    lose: AtomicBool,
}

fn connect(client: TcpStream, server: u16, rules: &Arc<Rules>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let fate = Arc::new(Fate::default());
    let there = (client.try_clone()?, server.try_clone()?);
    let (rules_there, fate_there) = (Arc::clone(rules), Arc::clone(&fate));
    thread::spawn(move || pass(there, |bytes| rules_there.lets_order(bytes, &fate_there)));
    let rules = Arc::clone(rules);
    thread::spawn(move || pass((server, client), |bytes| rules.lets_answer(bytes, &fate)));
    Ok(())
}

/// Passes bytes on for as long as they may; then both sides find their connection gone.
fn pass((mut from, mut to): (TcpStream, TcpStream), may: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !may(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Rules {
    fn lets_order(&self, bytes: &[u8], fate: &Fate) -> bool {
        let every = self.every.load(Ordering::Relaxed);
        if every == 0 || !holds(bytes, STATEMENT) {
            return true;
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if !seen.is_multiple_of(every) {
            return true;
        }
        if (seen / every).is_multiple_of(2) {
            self.before.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        fate.lose.store(true, Ordering::Relaxed);
        true
    }

    fn lets_answer(&self, bytes: &[u8], fate: &Fate) -> bool {
        let lost = holds(bytes, ANSWER) && fate.lose.swap(false, Ordering::Relaxed);
        if lost {
            self.after.fetch_add(1, Ordering::Relaxed);
        }
        !lost
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
