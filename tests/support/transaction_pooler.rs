//! A pooler in transaction mode: PgBouncer where it is installed, else one that does what matters here. Each transaction of a
//! client gets the session of the server that has been idle for longest, and so nearly always another one than the client's last.
//!
//! It needs nothing but the standard library, since the conformance tests of the stores use this file as well.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::{env, fs};

/// Sessions that the pooler has with the server.
const SESSIONS: usize = 3;

/// PgBouncer refuses to run as root: nobody's number.
const NOBODY: u32 = 65_534;

/// Runs PgBouncer until the standard input ends, which it does with the process that holds the other side.
const SCRIPT: &str = r#"
"$1" -q "$2/pooler.ini" &
pooler=$!
read -r end
kill -INT $pooler
wait $pooler
rm -rf "$2"
"#;

/// A running pooler.
pub struct TransactionPooler {
    port: u16,
    closed: Arc<AtomicBool>,
    /// Its standard input is what keeps PgBouncer running.
    _process: Option<Child>,
}

#[derive(Default)]
struct Sessions {
    idle: Mutex<VecDeque<TcpStream>>,
    back: Condvar,
}

impl TransactionPooler {
    /// Starts one before the server on that port, which lets everybody in without a password.
    ///
    /// # Errors
    /// If the server does not let it in.
    pub fn start(server: u16) -> io::Result<Self> {
        match installed() {
            Some(program) => Self::start_program(&program, server),
            None => Self::start_own(server),
        }
    }

    fn start_program(program: &PathBuf, server: u16) -> io::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = env::temp_dir().join(format!("sandman-pooler-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\n\
             default_pool_size = {SESSIONS}\nserver_round_robin = 1\nmax_client_conn = 1000\nlogfile = {folder}/log\n",
            folder = folder.display()
        );
        fs::write(folder.join("pooler.ini"), text)?;
        fs::write(folder.join("users"), "\"sandman\" \"\"\n")?;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(program).arg(&folder);
        if fs::metadata(&folder)?.uid() == 0 {
            chown(&folder, Some(NOBODY), Some(NOBODY))?;
            command.uid(NOBODY).gid(NOBODY);
        }
        let process = command.current_dir(&folder).stdin(Stdio::piped()).spawn()?;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            thread::yield_now();
        }
        Ok(Self {
            port,
            closed: Arc::default(),
            _process: Some(process),
        })
    }

    /// Starts the one that gives each transaction another session, also where there is one client.
    ///
    /// # Errors
    /// If the server does not let it in.
    pub fn start_own(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let closed = Arc::new(AtomicBool::new(false));
        let sessions = Arc::new(Sessions::default());
        for _ in 0..SESSIONS {
            sessions.give_back(session(server)?);
        }
        let ends = Arc::clone(&closed);
        thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                let sessions = Arc::clone(&sessions);
                if let Ok(client) = client {
                    // What ends badly ends its client alone.
                    thread::spawn(move || serve(client, &sessions, server).ok());
                }
            }
        });
        Ok(Self {
            port,
            closed,
            _process: None,
        })
    }

    /// Where its clients find the store.
    pub fn url(&self) -> String {
        format!("postgres://sandman@127.0.0.1:{}/postgres?pooler=transaction", self.port)
    }
}

impl Drop for TransactionPooler {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes whoever accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// PgBouncer, where it is installed.
fn installed() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
}

impl Sessions {
    fn take(&self) -> TcpStream {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(session) = idle.pop_front() {
                return session;
            }
            idle = self.back.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, session: TcpStream) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back(session);
        self.back.notify_one();
    }
}

/// A session of the pooler's own with the server.
fn session(server: u16) -> io::Result<TcpStream> {
    let mut session = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    session.set_nodelay(true)?;
    let words = b"user\0sandman\0database\0postgres\0client_encoding\0UTF8\0\0";
    let length = u32::try_from(words.len() + 8).unwrap_or_default();
    session.write_all(&length.to_be_bytes())?;
    session.write_all(&(3_u32 << 16).to_be_bytes())?;
    session.write_all(words)?;
    while message(&mut session)?.0 != b'Z' {}
    Ok(session)
}

/// A message: its kind, and all of its bytes.
fn message(from: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let mut bytes = head.to_vec();
    bytes.resize(u32::from_be_bytes(length) as usize + 1, 0);
    from.read_exact(bytes.get_mut(5..).unwrap_or_default())?;
    Ok((kind, bytes))
}

fn serve(mut client: TcpStream, sessions: &Sessions, server: u16) -> io::Result<()> {
    client.set_nodelay(true)?;
    welcome(&mut client)?;
    let mut held: Option<TcpStream> = None;
    loop {
        match exchange(&mut client, sessions, &mut held) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                if held.is_some() {
                    // The transaction that it leaves behind goes with its session.
                    sessions.give_back(session(server)?);
                }
                return Err(error);
            }
        }
    }
}

/// Passes on what a client sends until it waits for an answer, and the answer. Returns whether it goes on.
fn exchange(client: &mut TcpStream, sessions: &Sessions, held: &mut Option<TcpStream>) -> io::Result<bool> {
    loop {
        let (kind, bytes) = message(client)?;
        if kind == b'X' {
            return Ok(false);
        }
        let session = held.get_or_insert_with(|| sessions.take());
        session.write_all(&bytes)?;
        if kind == b'Q' || kind == b'S' {
            break;
        }
    }
    let Some(session) = held else { return Ok(true) };
    loop {
        let (kind, bytes) = message(session)?;
        client.write_all(&bytes)?;
        if kind == b'Z' {
            if bytes.last() == Some(&b'I') {
                held.take().into_iter().for_each(|session| sessions.give_back(session));
            }
            return Ok(true);
        }
    }
}

/// Lets a client in.
fn welcome(client: &mut TcpStream) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        let mut rest = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
        client.read_exact(&mut rest)?;
        if rest.starts_with(&(3_u32 << 16).to_be_bytes()) {
            break;
        }
        // It asks for encryption.
        client.write_all(b"N")?;
    }
    let mut said = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0];
    for (name, value) in [
        ("server_version", "15.0"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ] {
        let length = u32::try_from(name.len() + value.len() + 6).unwrap_or_default();
        said.push(b'S');
        said.extend(length.to_be_bytes());
        said.extend([name.as_bytes(), &[0], value.as_bytes(), &[0]].concat());
    }
    said.extend([b'K', 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 1, b'Z', 0, 0, 0, 5, b'I']);
    client.write_all(&said)
}
