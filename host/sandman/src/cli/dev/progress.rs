//! Reports that long work is still in progress.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::cli::output;

/// The time between two lines about the same work; faster work has no line.
const EACH: Duration = Duration::from_secs(10);

/// Compiles and tries a handler's component; reports every ten seconds that it is still in progress.
pub(super) fn compiling<T>(handler: &str, work: impl FnOnce() -> T) -> T {
    let say = |seconds| {
        output::error(&format!(
            "{handler}: its component is still being compiled for this machine and tried, after {seconds} s"
        ));
    };
    telling(EACH, say, work)
}

fn telling<T>(each: Duration, say: impl Fn(u64) + Send, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (working, end) = bounded::<()>(0);
        scope.spawn(move || {
            let mut waited = Duration::ZERO;
            while end.recv_timeout(each) == Err(RecvTimeoutError::Timeout) {
                waited += each;
                say(waited.as_secs());
            }
        });
        let done = work();
        drop(working);
        done
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::unbounded;

    use super::telling;

    #[test]
    fn long_work_is_told_of_until_it_ends() {
        let (said, heard) = unbounded();
        let done = telling(
            Duration::from_secs(1),
            move |seconds| said.send(seconds).unwrap(),
            || (heard.recv().unwrap(), heard.recv().unwrap()),
        );
        assert_eq!(done, (1, 2));
        assert_eq!(heard.try_iter().count(), 0, "told of after its end");
    }

    #[test]
    fn short_work_is_not_told_of() {
        telling(Duration::from_secs(600), |_| panic!("told of"), || ());
    }
}
