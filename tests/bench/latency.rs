//! How long an event takes from its sending to its outcome being visible, at a rate that the contender can well take.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use sandman_tests::Result;

use super::input::{Input, Sender, USERS};
use super::outputs::Outputs;

/// What is not counted at the start of a run: a consumer joins, a Java VM compiles.
pub(crate) const WARM_UP: Duration = Duration::from_secs(4);

/// Latencies of a run, milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<f64>);

impl Latencies {
    pub(crate) fn of(mut values: Vec<Duration>) -> Self {
        values.sort_unstable();
        Self(values.into_iter().map(|value| value.as_secs_f64() * 1e3).collect())
    }

    /// The latency that this share of the events does not exceed.
    pub(crate) fn part(&self, share: f64) -> f64 {
        let at = ((self.0.len() as f64 * share) as usize).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or_default()
    }
}

/// What became of inputs that were due at known times.
pub(crate) struct Paced {
    began: Instant,
    rate: f64,
    /// When the first outcome of each input was seen.
    seen: Vec<Option<Instant>>,
}

impl Paced {
    /// Latencies behind the warm-up. They count from the appointed time, so that an input that is sent late is late.
    pub(crate) fn latencies(&self) -> Latencies {
        self.between(self.began + WARM_UP, self.began + Duration::from_secs(3_600))
    }

    /// Latencies of the inputs that were due in this span.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Latencies {
        let all = self.seen.iter().enumerate().filter_map(|(seq, seen)| {
            let due = due(self.began, seq as u64, self.rate);
            (from..to)
                .contains(&due)
                .then_some((*seen)?.saturating_duration_since(due))
        });
        Latencies::of(all.collect())
    }
}

fn due(began: Instant, seq: u64, rate: f64) -> Instant {
    began + Duration::from_secs_f64(seq as f64 / rate)
}

/// Sends inputs at `rate` a second for `time` and a warm-up, each at its own appointed time, and reads what comes of them.
/// `start` is given how many there are, and makes the one who sends, on a thread of its own.
pub(crate) fn paced<S: FnMut() -> Result>(
    outputs: &mut Outputs,
    (rate, time): (f64, Duration),
    start: impl FnOnce(u64) -> Result<S> + Send,
) -> Result<Paced> {
    let total = inputs(rate, time);
    let began = Instant::now() + Duration::from_millis(200);
    let topics = outputs.topics();
    thread::scope(|scope| {
        let sending = scope.spawn(move || -> Result {
            let mut send = start(total)?;
            for seq in 0..total {
                until(due(began, seq, rate));
                send()?;
            }
            Ok(())
        });
        let mut seen = vec![None; usize::try_from(total)?];
        outputs.read_to(total * topics, |seq| {
            if let Some(seen) = usize::try_from(seq).ok().and_then(|seq| seen.get_mut(seq)) {
                seen.get_or_insert_with(Instant::now);
            }
        })?;
        sending.join().map_err(|_| anyhow!("the sender panicked"))??;
        Ok(Paced { began, rate, seen })
    })
}

/// Returns at this time.
pub(crate) fn until(due: Instant) {
    while let Some(left) = due
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        thread::park_timeout(left);
    }
}

/// Sends the events of the bench to a topic.
pub(crate) fn sent(brokers: &str, input: &str, total: u64) -> Result<impl FnMut() -> Result + use<>> {
    let sender = Sender::open(brokers, input, "0")?;
    let mut made = Input::new(USERS);
    let mut left = total;
    Ok(move || {
        sender.send(&made.next())?;
        left -= 1;
        if left == 0 { sender.finish() } else { Ok(()) }
    })
}

/// The most inputs that such a run has.
pub(crate) fn inputs(rate: f64, time: Duration) -> u64 {
    ((time + WARM_UP).as_secs_f64() * rate) as u64
}
