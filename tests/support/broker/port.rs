//! Free loopback ports that stay ours while a broker is stopped.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::bail;

use crate::Result;

/// Below the range that systems give to outgoing connections: nobody takes such a port by chance while our broker is down.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
/// Ports between those of neighbouring processes: more than a run needs, and prime to [`COUNT`].
const APART: u64 = 251;

/// A port that nobody listens on, and that this run has not handed out before.
pub(super) fn free() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs that start side by side have neighbouring ids, and bind what they were given only later.
    let offset = u16::try_from(u64::from(std::process::id()) * APART % u64::from(COUNT))?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (offset + step) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free loopback port between {FIRST} and {}", FIRST + COUNT)
}
