//! A network between a host and its broker that is ours to break. It knows Kafka's frames, and what each request asks for.

mod late;
mod link;

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::broker::Detour;
use crate::wait::eventually;
use crate::{Result, World};
use late::Late;
use link::Link;

/// What is sent at once where the network is narrow: small enough for connections to take turns.
const CHUNK: usize = 512;
/// Between two looks whether the network is still narrow.
const LOOK: Duration = Duration::from_millis(50);

/// A request, by Kafka's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Records are sent.
    Produce = 0,
    /// Records are asked for.
    Fetch = 1,
    /// A member joins its group.
    JoinGroup = 11,
    /// The producer gets its epoch, and fences the one before it.
    InitProducer = 22,
    /// A partition takes part in the transaction.
    AddPartitions = 24,
    /// The transaction is committed or aborted.
    EndTransaction = 26,
}

impl Call {
    fn is(self, key: i16) -> bool {
        key == self as i16
    }
}

/// What the network does to everybody.
#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    /// Answers to this are lost; whether their connection is cut at once, or when all is well again.
    lose: Option<(Call, bool)>,
    /// Only one answer to it is lost.
    once: bool,
    /// Every answer is so late.
    delay: Duration,
    /// Bytes a second in each direction, of all connections together.
    rate: Option<f64>,
}

/// A way to the broker that is not as it should be. The host's `kafka.brokers` is its address.
pub struct Proxy {
    address: String,
    net: Arc<Net>,
}

struct Net {
    behind: u16,
    rules: Mutex<Rules>,
    /// Answers that were lost or late, and chunks that had to wait.
    touched: AtomicUsize,
    links: Mutex<Vec<Arc<Link>>>,
    /// When the way is free again, to the broker and from it.
    free: [Mutex<Instant>; 2],
    late: Late,
    closed: AtomicBool,
}

impl Proxy {
    /// Opens the way.
    pub(crate) fn start(detour: Detour) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, detour.front)).context("the proxy cannot listen")?;
        let now = Instant::now();
        let net = Arc::new(Net {
            behind: detour.behind,
            rules: Mutex::default(),
            touched: AtomicUsize::new(0),
            links: Mutex::default(),
            free: [Mutex::new(now), Mutex::new(now)],
            late: Late::default(),
            closed: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&net);
        thread::spawn(move || accepting.accept(&listener));
        Ok(Self {
            address: format!("127.0.0.1:{}", detour.front),
            net,
        })
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on, answers to this are lost. Their connections are cut at once, or stay silent until [`Self::heal`].
    pub fn lose(&self, call: Call, cut_at_once: bool) {
        self.net.rules().lose = Some((call, cut_at_once));
    }

    /// The next answer to this is lost; its connection stays.
    pub fn lose_next(&self, call: Call) {
        let mut rules = self.net.rules();
        (rules.lose, rules.once) = (Some((call, false)), true);
    }

    /// From now on, every answer is so late.
    pub fn delay(&self, delay: Duration) {
        self.net.rules().delay = delay;
    }

    /// From now on, no more bits a second get through, in each direction.
    pub fn narrow(&self, bits: u32) {
        self.net.rules().rate = Some(f64::from(bits) / 8.0);
    }

    /// All is well again; connections on which an answer was lost are cut.
    pub fn heal(&self) {
        *self.net.rules() = Rules::default();
        let links = self.net.links();
        links.iter().filter(|link| link.has_lost()).for_each(|link| link.cut());
    }

    /// How many answers were lost or late, and how many pieces had to wait, until now.
    pub fn touched(&self) -> usize {
        self.net.touched.load(Ordering::Relaxed)
    }

    /// Holds the next request that ends a transaction, and sends it on in the middle of the transaction behind that one,
    /// on its old connection. The client hears nothing of it, or, with `cut`, finds its connection gone.
    pub fn hold_end(&self, cut: bool) {
        self.net.late.want(cut);
    }

    /// Waits until the request that was held is answered, and returns Kafka's error code: 0 says that it took effect.
    ///
    /// # Errors
    /// If that does not happen in time.
    pub fn late_answer(&self) -> Result<i16> {
        eventually("the request that was held is sent on and answered", || {
            Ok(self.net.late.answer())
        })
    }
}

impl World {
    /// A way to this world's own broker that can be broken.
    ///
    /// # Errors
    /// If there is no broker, or one's own cannot be started.
    pub fn proxy(&self) -> Result<Proxy> {
        Proxy::start(self.own_broker()?.detour())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.net.closed.store(true, Ordering::Relaxed);
        self.net.links().iter().for_each(|link| link.cut());
        // Wakes whoever accepts.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Net {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.closed.load(Ordering::Relaxed) {
                return;
            }
            // A broker that is away looks from here as it does without us: the connection is gone.
            let _ = client.and_then(|client| self.connect(client));
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let broker = TcpStream::connect((Ipv4Addr::LOCALHOST, self.behind))?;
        let link = Arc::new(Link::new(client, broker)?);
        let mut links = self.links();
        links.retain(|link| !link.is_cut());
        links.push(Arc::clone(&link));
        drop(links);
        link::run(self, &link);
        Ok(())
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.touched.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until so many bytes may pass; `way` is 0 to the broker and 1 from it.
    fn pace(&self, bytes: usize, way: usize) {
        let Some(rate) = self.rules().rate else { return };
        let due = {
            let mut free = self.free[way].lock().unwrap_or_else(PoisonError::into_inner);
            *free = (*free).max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / rate);
            *free
        };
        self.touch();
        while self.rules().rate.is_some() {
            match due.checked_duration_since(Instant::now()) {
                Some(left) => thread::park_timeout(left.min(LOOK)),
                None => return,
            }
        }
        // Wide again: what was booked before is void.
        *self.free[way].lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

#[cfg(test)]
mod tests;
