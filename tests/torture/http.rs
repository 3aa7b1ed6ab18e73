//! Clients that are slow, greedy, many, or do not speak HTTP as it is meant.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use rustix::process::{Resource, getrlimit};

use crate::checker::Verdict;
use crate::wait::PATIENCE;
use crate::{Client, Result};

use super::crowd::Crowd;
use super::smuggling::smuggling;
use super::vitals::Vitals;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "http-crowd",
        "thousands of connections that say little or nothing, below the bound",
        crowd,
    ),
    Scenario::short(
        "http-over-bound",
        "more silent connections than are served at once, and new ones all the time",
        over_bound,
    ),
    Scenario::short(
        "http-bodies",
        "bodies of a gigabyte, and bodies that make no sense",
        bodies,
    ),
    Scenario::short(
        "http-smuggling",
        "requests hidden in requests, in every way that is known",
        smuggling,
    ),
];

const MIB: u64 = 1 << 20;
/// What a connection may cost the host in memory.
const EACH: u64 = 48 << 10;
/// What the load beside it may.
pub(super) const SOME: u64 = 32 * MIB;

fn crowd(run: &Run<'_>) -> Result<Verdict> {
    // Each costs a file here; some are needed for everything else.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = run.size(600, 10_000);
    let count = wanted.min(usize::try_from(files)?.saturating_sub(500));
    if count < wanted {
        run.note(format!(
            "{files} files may be open here: {count} connections instead of {wanted}"
        ));
    }
    let settings = run.settings()?.set("http.connections", &(count + 500).to_string());
    let host = run.host(&settings)?;
    run.under(&Load::default(), || {
        run.until_seen(100, PATIENCE);
        let before = Vitals::of(&host)?;
        let mut crowd = Crowd::of(host.http()?)?;
        let end = Instant::now() + run.size(Duration::from_secs(4), Duration::from_secs(60));
        let (mut most, mut files) = (0, 0);
        while Instant::now() < end || (most < count && Instant::now() < end + PATIENCE) {
            crowd.grow(count, true);
            most = most.max(crowd.len());
            files = files.max(Vitals::of(&host)?.files);
            crowd.dawdle();
            for address in [host.http()?, host.admin()] {
                Client::new(address).get("/health")?.has(200)?;
            }
            host.still_runs()?;
        }
        let after = before.grown_by_less(&host, SOME + count as u64 * EACH)?;
        run.note(format!(
            "{most} connections at once, {files} files open in the host, {} connections in all, {} ended by the host; {} \
             MiB before, {} MiB at most",
            crowd.made,
            crowd.ended,
            before.memory / MIB,
            after.peak / MIB
        ));
        ensure!(
            files > count as u64,
            "the host had {files} files open at most: this shows nothing"
        );
        run.fault();
        Ok(())
    })?;
    run.finish(host)
}

fn over_bound(run: &Run<'_>) -> Result<Verdict> {
    let bound = run.size(64, 1_024);
    let settings = run.settings()?.set("http.connections", &bound.to_string());
    let host = run.host(&settings)?;
    let load = Load {
        // Real clients come with new connections all the time.
        clients: 4,
        ..Load::default()
    };
    run.under(&load, || {
        run.until_seen(100, PATIENCE);
        let before = Vitals::of(&host)?;
        let mut crowd = Crowd::of(host.http()?)?;
        let end = Instant::now() + run.size(Duration::from_secs(5), Duration::from_secs(60));
        let (mut most, mut health) = (0, 0);
        while Instant::now() < end {
            crowd.grow(3 * bound, false);
            most = most.max(crowd.len());
            crowd.dawdle();
            for address in [host.admin(), host.http()?] {
                // Each with a connection of its own.
                Client::new(address).get("/health")?.has(200)?;
                health += 1;
            }
            host.still_runs()?;
        }
        before.grown_by_less(&host, SOME + bound as u64 * EACH)?;
        run.note(format!(
            "{bound} are served at once; {most} silent connections at once, {} in all; health answered {health} times \
             meanwhile",
            crowd.made
        ));
        ensure!(
            most > bound && crowd.made > 2 * bound,
            "{most} connections at once, {} in all: this shows nothing",
            crowd.made
        );
        run.fault();
        Ok(())
    })?;
    run.finish(host)
}

fn bodies(run: &Run<'_>) -> Result<Verdict> {
    let host = run.host(&run.settings()?)?;
    run.under(&Load::default(), || {
        run.until_seen(100, PATIENCE);
        let before = Vitals::of(&host)?;
        let address = host.http()?;
        let taken = thread::scope(|scope| {
            let pouring: Vec<_> = (0..run.size(4, 32))
                .map(|number| scope.spawn(move || pour(address, number % 2 == 0)))
                .collect();
            while !pouring.iter().all(ScopedJoinHandle::is_finished) {
                for address in [host.http()?, host.admin()] {
                    Client::new(address).get("/health")?.has(200)?;
                }
                run.for_long(Duration::from_millis(50));
            }
            let mut most = 0;
            for each in pouring {
                most = most.max(each.join().map_err(|_| anyhow!("a client panicked"))??);
                run.fault();
            }
            Ok::<_, anyhow::Error>(most)
        })?;
        for body in senseless() {
            let head = format!(
                "POST /work/odd HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let reply = Client::new(address).raw(&[head.as_bytes(), &body].concat())?;
            let start = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            // Text in another encoding is no media type that is taken; the rest is no JSON object.
            let wanted: &[u16] = match std::str::from_utf8(&body) {
                Err(_) => &[415],
                Ok(_) if body.contains(&0) => &[400, 415],
                Ok(_) => &[400],
            };
            ensure!(
                wanted.contains(&reply.status),
                "{start:?} was answered {} {}",
                reply.status,
                reply.text()
            );
            run.fault();
        }
        let after = before.grown_by_less(&host, 4 * SOME)?;
        run.note(format!(
            "of a gigabyte {} MiB were taken at most; {} MiB of memory before, {} MiB at most",
            taken / MIB,
            before.memory / MIB,
            after.peak / MIB
        ));
        ensure!(taken < 64 * MIB, "{taken} bytes of a gigabyte were taken");
        Ok(())
    })?;
    run.finish(host)
}

/// Sends a gigabyte of body until the host hangs up; answers how much it took.
fn pour(base: &str, announced: bool) -> Result<u64> {
    let mut stream = connect(base)?;
    let length = match announced {
        true => "Content-Length: 1073741824",
        false => "Transfer-Encoding: chunked",
    };
    let head = format!("POST /work/greedy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut part = vec![b' '; 64 << 10];
    if !announced {
        part = [b"10000\r\n", part.as_slice(), b"\r\n"].concat();
    }
    let mut taken = 0;
    while taken < 1 << 30 && stream.write_all(&part).is_ok() {
        taken += part.len() as u64;
    }
    let mut answer = Vec::new();
    // Nothing, where the answer was lost with the connection.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    ensure!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "a gigabyte was answered {answer}"
    );
    Ok(taken)
}

/// A connection that gives up in the end.
pub(super) fn connect(base: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(base.strip_prefix("http://").context("no http address")?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Bodies that are no input.
fn senseless() -> Vec<Vec<u8>> {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    vec![
        deep("[", "]"),
        deep("{\"id\":", "}"),
        "[".repeat(500_000).into_bytes(),
        b"{\"id\":1,\"seq\":1,\"pad\":\"\xff\xfe\"}".to_vec(),
        b"{\"id\":1,\"seq\":1,\"\xc0\xaf\":1}".to_vec(),
        b"{\"id\":\"\xed\xa0\x80\"}".to_vec(),
        b"\xef\xbb\xbf{\"id\":1,\"seq\":1}".to_vec(),
        b"{\"id\":1,\"seq\":1}\0".to_vec(),
        b"{\"id\":1,\"seq\":1}{\"id\":2,\"seq\":2}".to_vec(),
        b"\0\0\0\0".to_vec(),
    ]
}
