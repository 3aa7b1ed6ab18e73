//! What HTTP can take: `cargo run --release -p sandman-tests --bin http_load`.
//!
//! A request is the settings form with a new name and a new language: two handlers, one commit, two events. First as many
//! as go, a request after the other on each connection; then half of that, each request at its own appointed time, and
//! the latency counted from that time, so that a slow answer makes those behind it late too. The answer leaves after the
//! commit, so the commit is in it. The client and Kafka share the machine with the host; the CPU time is the host's alone.
//!
//! Then a thousand users send 50 requests each, and their chains of old and new values are checked.
//!
//! `SECONDS` (10) is how long each part takes, `CONNECTIONS` (64) how many there are.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use sandman_tests::{Behaviour, Diaries, DreamScape, Result, User, World, note};
use serde_json::json;

const USERS: usize = 1_000;
const LANGUAGES: [&str; 3] = ["fr", "en", "de"];

fn main() -> ExitCode {
    sandman_tests::main(&[
        Behaviour::new("http_load", measure),
        Behaviour::new("http_chains", chains),
    ])
}

/// The behaviour of a thousand users at once in its full size: 50,000 requests, and every chain of old and new values.
fn chains(world: &World) -> Result {
    const REQUESTS: usize = 50;
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let mut diaries = Diaries::new(&app, USERS, number("CONNECTIONS", 64))?;
    let began = Instant::now();
    // The check writes the last one.
    let unanswered = diaries.write(|round| round + 1 < REQUESTS)?;
    ensure!(unanswered == 0, "{unanswered} requests were not answered");
    let done = (REQUESTS - 1) * USERS;
    let rate = done as f64 / began.elapsed().as_secs_f64();
    diaries.check(&mut events)?;
    note(&format!(
        "chains: {USERS} users with {REQUESTS} requests each, {rate:.0} requests/s, none broken"
    ));
    Ok(())
}

fn number(name: &str, default: usize) -> usize {
    let wanted = std::env::var(name).ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn measure(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let time = Duration::from_secs(number("SECONDS", 10).try_into()?);
    let connections = number("CONNECTIONS", 64);
    let entry = AtomicUsize::new(0);
    // Everybody has a state before anything is measured.
    let warm_up = Load::all_at_once(Duration::from_secs(3));
    warm_up.run(&app, connections, &entry)?;

    let (cpu, began) = (app.host().cpu()?, Instant::now());
    let done = Load::all_at_once(time).run(&app, connections, &entry)?.len();
    let (cpu, wall) = (app.host().cpu()? - cpu, began.elapsed());
    let rate = done as f64 / wall.as_secs_f64();
    note(&format!(
        "full load: {rate:.0} requests/s on {connections} connections, {:.0} us of the host's CPU a request",
        cpu.as_secs_f64() / done as f64 * 1e6
    ));

    let (cpu, pace) = (app.host().cpu()?, Duration::from_secs_f64(2.0 / rate));
    let mut latencies = Load::paced(time, pace).run(&app, connections, &entry)?;
    let cpu = app.host().cpu()? - cpu;
    latencies.sort_unstable();
    let part = |share: f64| {
        latencies
            .get((latencies.len() as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    };
    note(&format!(
        "half load: {:.0} requests/s, p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms, {:.0} us of the host's CPU a request",
        latencies.len() as f64 / time.as_secs_f64(),
        part(0.5).as_secs_f64() * 1e3,
        part(0.99).as_secs_f64() * 1e3,
        latencies.last().copied().unwrap_or_default().as_secs_f64() * 1e3,
        cpu.as_secs_f64() / latencies.len() as f64 * 1e6,
    ));
    Ok(())
}

/// For how long requests are sent, and how far apart; `None` is one behind the other.
struct Load {
    time: Duration,
    pace: Option<Duration>,
}

impl Load {
    fn all_at_once(time: Duration) -> Self {
        Self { time, pace: None }
    }

    fn paced(time: Duration, pace: Duration) -> Self {
        Self { time, pace: Some(pace) }
    }

    /// The latency of each request, in no order.
    fn run(&self, app: &DreamScape<'_>, connections: usize, entry: &AtomicUsize) -> Result<Vec<Duration>> {
        let (began, next) = (Instant::now(), AtomicUsize::new(0));
        let users: Vec<Vec<User>> = (0..connections)
            .map(|connection| {
                let ids = (connection..USERS).step_by(connections);
                let first = app.user("nobody")?;
                Ok(ids.map(|id| first.called(&format!("user-{id}"))).collect())
            })
            .collect::<Result<_>>()?;
        let next = &next;
        thread::scope(|scope| {
            let clients: Vec<_> = users
                .iter()
                .map(|users| scope.spawn(move || self.client(users, began, next, entry)))
                .collect();
            let mut all = Vec::new();
            for client in clients {
                all.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
            }
            Ok(all)
        })
    }

    fn client(&self, users: &[User], began: Instant, next: &AtomicUsize, entry: &AtomicUsize) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        for user in users.iter().cycle() {
            let due = match self.pace {
                None => Instant::now(),
                Some(pace) => {
                    let turn = u32::try_from(next.fetch_add(1, Ordering::Relaxed))?;
                    began + pace * turn
                }
            };
            if due >= began + self.time {
                break;
            }
            // Parked until its time comes; whatever wakes it early sends it back.
            while let Some(left) = due
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())
            {
                thread::park_timeout(left);
            }
            let number = entry.fetch_add(1, Ordering::Relaxed);
            let form = json!({
                "profile": { "name": format!("Entry {number}") },
                "preferences": { "language": LANGUAGES[number % LANGUAGES.len()] },
            });
            let reply = user.put(&form)?;
            ensure!(reply.status == 200, "answered {} {}", reply.status, reply.text());
            latencies.push(due.elapsed());
        }
        Ok(latencies)
    }
}
