//! Clients that hold connections and hardly ever say anything.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

use crate::Result;

/// For a connection; a host that does not accept just now lets more wait.
const CONNECT: Duration = Duration::from_millis(500);

/// What a slow client does with its connection.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Says nothing.
    Idle,
    /// Sends the head of a request, a letter at a time.
    Head,
    /// Sends the body of a request, a letter at a time.
    Body,
}

impl Manner {
    fn first(self) -> &'static [u8] {
        match self {
            Self::Idle => b"",
            Self::Head => b"POST /work/slow HTTP/1.1\r\nHost: x\r\nX-Slow: ",
            Self::Body => {
                b"POST /work/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{\"id\":"
            }
        }
    }

    fn more(self) -> &'static [u8] {
        match self {
            Self::Idle => b"",
            Self::Head => b"x",
            Self::Body => b" ",
        }
    }
}

/// Many of them.
pub(super) struct Crowd {
    address: SocketAddr,
    open: Vec<(TcpStream, Manner)>,
    /// How many connections were made in all, and how many the host has ended.
    pub(super) made: usize,
    pub(super) ended: usize,
}

impl Crowd {
    /// Nobody yet, for a host's address such as `http://127.0.0.1:1`.
    pub(super) fn of(base: &str) -> Result<Self> {
        let address = base.strip_prefix("http://").context("no http address")?;
        Ok(Self {
            address: address.parse()?,
            open: Vec::new(),
            made: 0,
            ended: 0,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Comes to so many, or to as many as get through; with `bodies`, a third of them has a request under way.
    pub(super) fn grow(&mut self, count: usize, bodies: bool) {
        while self.open.len() < count {
            let Ok(mut stream) = TcpStream::connect_timeout(&self.address, CONNECT) else {
                return;
            };
            let manner = match self.made % 3 {
                0 => Manner::Idle,
                1 if bodies => Manner::Body,
                _ => Manner::Head,
            };
            self.made += 1;
            if stream.set_nonblocking(true).is_ok() && stream.write_all(manner.first()).is_ok() {
                self.open.push((stream, manner));
            }
        }
    }

    /// Each says a little more; those that the host has ended go.
    pub(super) fn dawdle(&mut self) {
        let before = self.open.len();
        self.open.retain_mut(|(stream, manner)| {
            let mut answer = [0; 512];
            let waits = matches!(stream.read(&mut answer), Err(error) if error.kind() == ErrorKind::WouldBlock);
            waits && stream.write_all(manner.more()).is_ok()
        });
        self.ended += before - self.open.len();
    }
}
