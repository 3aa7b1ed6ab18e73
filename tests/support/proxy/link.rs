//! One connection through the proxy.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::{CHUNK, Call, Net};

/// A frame with its length in front of it. No frame of the tests is near it; more is a sign that we lost the beat.
const LONGEST: usize = 256 << 20;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) key: i16,
    pub(super) version: i16,
}

/// One connection, and its other half.
pub(super) struct Link {
    client: TcpStream,
    broker: TcpStream,
    /// By their correlation ids, the requests that are not answered.
    asked: Mutex<HashMap<i32, Asked>>,
    lost: AtomicBool,
    cut: AtomicBool,
    /// The half to the broker outlives the client: a request of it is held.
    kept: AtomicBool,
}

impl Link {
    pub(super) fn new(client: TcpStream, broker: TcpStream) -> io::Result<Self> {
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        Ok(Self {
            client,
            broker,
            asked: Mutex::default(),
            lost: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            kept: AtomicBool::new(false),
        })
    }

    /// Whether an answer was lost on it.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Ends it, on both sides, unless the broker's half is kept.
    pub(super) fn cut(&self) {
        self.cut_client();
        if !self.kept.load(Ordering::Relaxed) {
            self.cut.store(true, Ordering::Relaxed);
            let _ = self.broker.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn cut_client(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
    }

    /// Keeps the broker's half, or no longer.
    pub(super) fn keep(&self, kept: bool) {
        self.kept.store(kept, Ordering::Relaxed);
    }

    /// Sends a request on.
    pub(super) fn ask(&self, net: &Net, frame: &[u8]) -> io::Result<()> {
        write(net, &self.broker, frame, 0)
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, HashMap<i32, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one of the threads of a link does.
type Work = Box<dyn FnOnce(&Net, &Arc<Link>) -> io::Result<()> + Send>;

/// Carries what comes from either side to the other one, on threads of their own, until one of them ends.
pub(super) fn run(net: &Arc<Net>, link: &Arc<Link>) {
    let (sender, receiver) = mpsc::channel();
    let carry = |work: Work| {
        let (net, link) = (Arc::clone(net), Arc::clone(link));
        thread::spawn(move || {
            // However it ends, so does the link.
            let _ = work(&net, &link);
            link.cut();
        });
    };
    carry(Box::new(requests));
    carry(Box::new(move |net, link| answers(net, link, &sender)));
    carry(Box::new(move |net, link| deliver(net, link, &receiver)));
}

fn requests(net: &Net, link: &Arc<Link>) -> io::Result<()> {
    loop {
        let frame = read(&link.client)?;
        let asked = Asked {
            key: i16_at(&frame, 4),
            version: i16_at(&frame, 6),
        };
        link.asked().insert(i32_at(&frame, 8), asked);
        let ends = Call::EndTransaction.is(asked.key);
        if !(ends && net.late.takes(link, asked, &frame)) {
            link.ask(net, &frame)?;
        }
    }
}

/// Answers go on in the order in which they came.
fn answers(net: &Net, link: &Arc<Link>, out: &Sender<(Instant, Vec<u8>)>) -> io::Result<()> {
    loop {
        let frame = read(&link.broker)?;
        let correlation = i32_at(&frame, 4);
        let Some(asked) = link.asked().remove(&correlation) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let rules = *net.rules();
        if let Some((_, cut)) = rules.lose.filter(|(call, _)| call.is(asked.key)) {
            net.touch();
            if rules.once {
                net.rules().lose = None;
            }
            if cut {
                return Ok(());
            }
            link.lost.store(true, Ordering::Relaxed);
            continue;
        }
        net.late.sees(net, link, asked, &frame)?;
        if !rules.delay.is_zero() {
            net.touch();
        }
        if out.send((Instant::now() + rules.delay, frame)).is_err() && !link.kept.load(Ordering::Relaxed) {
            return Ok(());
        }
    }
}

fn deliver(net: &Net, link: &Arc<Link>, answers: &Receiver<(Instant, Vec<u8>)>) -> io::Result<()> {
    for (due, frame) in answers {
        while let Some(left) = due
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            thread::park_timeout(left);
        }
        write(net, &link.client, &frame, 1)?;
    }
    Ok(())
}

/// The next frame, with its length in front.
fn read(mut from: &TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let wanted = u32::from_be_bytes(length) as usize;
    if !(4..=LONGEST).contains(&wanted) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = Vec::from(length);
    frame.resize(4 + wanted, 0);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

fn write(net: &Net, mut to: &TcpStream, frame: &[u8], way: usize) -> io::Result<()> {
    if net.rules().rate.is_none() {
        return to.write_all(frame);
    }
    for chunk in frame.chunks(CHUNK) {
        net.pace(chunk.len(), way);
        to.write_all(chunk)?;
    }
    Ok(())
}

/// The number at this place of a frame; 0 where it is too short.
pub(super) fn i16_at(frame: &[u8], at: usize) -> i16 {
    let bytes = frame.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, i16::from_be_bytes)
}

/// The same for a longer number.
pub(super) fn i32_at(frame: &[u8], at: usize) -> i32 {
    let bytes = frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, i32::from_be_bytes)
}
