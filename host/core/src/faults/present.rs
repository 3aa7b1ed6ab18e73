//! The faults that the environment asks for.

use std::any::Any;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::Step;

/// What a variable asks for: `NAME`, `NAME:N` or `NAME:N:FILE`, and how often it was asked for.
pub struct FaultSetting {
    name: String,
    every: u64,
    /// Occasions count when this file exists.
    from: Option<PathBuf>,
    asked: AtomicU64,
}

impl FaultSetting {
    /// What a variable of the environment asks for, if it is set.
    pub fn read(variable: &str) -> Option<Self> {
        Some(Self::parse(&std::env::var(variable).ok()?))
    }

    fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next();
        Self {
            name: next().unwrap_or_default().to_owned(),
            every: next().and_then(|every| every.parse().ok()).unwrap_or(1).max(1),
            from: next().map(PathBuf::from),
            asked: AtomicU64::new(0),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts an occasion: its number, from 1.
    fn occasion(&self) -> Option<u64> {
        let counts = self.from.as_ref().is_none_or(|file| file.exists());
        counts.then(|| self.asked.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Counts an occasion, and returns whether the fault is due at it.
    pub fn is_due(&self) -> bool {
        self.occasion().is_some_and(|number| number % self.every == 0)
    }
}

/// `Committed` as the environment writes it: `committed`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

/// The function that changes values at the steps.
static ALTER: OnceLock<fn(Step, &mut dyn Any)> = OnceLock::new();

/// Registers the function that changes values at the steps. Only the first one is used.
pub fn install(alter: fn(Step, &mut dyn Any)) {
    ALTER.set(alter).ok();
}

/// Changes the value at this step if a planted bug does so.
pub fn alter<T: Any>(step: Step, value: &mut T) {
    if let Some(alter) = ALTER.get() {
        alter(step, value);
    }
}

/// Kills or pauses the process here if a test asks for it.
pub fn at(step: Step) {
    hold_at(step);
    static SETTING: OnceLock<Option<FaultSetting>> = OnceLock::new();
    let Some(setting) = SETTING.get_or_init(|| FaultSetting::read("SANDMAN_TEST_CRASH")) else {
        return;
    };
    if setting.name() == kebab(&format!("{step:?}")) && setting.occasion() == Some(setting.every) {
        kill_process(getpid(), Signal::KILL).ok();
        // The signal may take a moment; nothing more may happen until then.
        loop {
            std::thread::park();
        }
    }
}

fn hold_at(step: Step) {
    static FILE: OnceLock<Option<String>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var("SANDMAN_TEST_HOLD").ok()) else {
        return;
    };
    let wanted = std::fs::read_to_string(file).unwrap_or_default();
    let held = format!("{file}.held");
    // Only one of several threads can rename it.
    if wanted.trim() == kebab(&format!("{step:?}")) && std::fs::rename(file, &held).is_ok() {
        while std::path::Path::new(&held).exists() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

/// Whether the store should refuse this commit.
pub fn store_busy() -> bool {
    static SETTING: OnceLock<Option<FaultSetting>> = OnceLock::new();
    let setting = SETTING.get_or_init(|| FaultSetting::read("SANDMAN_TEST_STORE"));
    let busy = setting
        .as_ref()
        .is_some_and(|setting| setting.name() == "busy" && setting.is_due());
    REFUSED.fetch_add(u64::from(busy), Ordering::Relaxed);
    busy
}

/// How many commits the store has refused because a test asked for it.
pub fn refused() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

static REFUSED: AtomicU64 = AtomicU64::new(0);

/// The wall clock, changed as a test asks for it.
pub fn wall_millis(real: i64) -> i64 {
    static FILE: OnceLock<Option<String>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var("SANDMAN_TEST_CLOCK").ok()) else {
        return real;
    };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    match text.trim().strip_prefix("still") {
        Some(at) => at.trim().parse().unwrap_or(real),
        None => real + text.trim().parse::<i64>().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_with_dashes() {
        assert_eq!(kebab("DropBatch"), "drop-batch");
        assert_eq!(kebab("Committed"), "committed");
    }

    #[test]
    fn a_wish_is_due_at_every_nth_occasion() {
        let setting = FaultSetting::parse("drop-batch:3");
        let due: Vec<_> = (0..6).map(|_| setting.is_due()).collect();
        assert_eq!(due, [false, false, true, false, false, true]);
        assert_eq!(setting.name(), "drop-batch");
    }

    #[test]
    fn occasions_count_once_the_file_is_there() {
        let there = std::env::current_exe().unwrap();
        let setting = FaultSetting::parse(&format!("committed:2:{}", there.display()));
        let occasions: Vec<_> = (0..2).map(|_| setting.occasion()).collect();
        assert_eq!((occasions, setting.every), (vec![Some(1), Some(2)], 2));
        let setting = FaultSetting::parse(&format!("committed:2:{}/none", there.display()));
        assert_eq!(setting.occasion(), None);
    }
}
