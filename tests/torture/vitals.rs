//! What a host takes of its machine, as the kernel tells it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::{Host, Result};

/// One look at a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vitals {
    /// Memory in RAM, in bytes.
    pub(super) memory: u64,
    /// The most it ever was.
    pub(super) peak: u64,
    /// CPU time used since its start.
    pub(super) cpu: Duration,
    /// Open files, connections among them.
    pub(super) files: u64,
    /// Threads.
    pub(super) threads: u64,
}

impl Vitals {
    /// Looks at a host.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn of(host: &Host) -> Result<Self> {
        let folder = format!("/proc/{}", host.pid());
        let status = fs::read_to_string(format!("{folder}/status")).context("the host has no status: it has ended")?;
        let files = fs::read_dir(format!("{folder}/fd")).context("the host's files cannot be counted")?;
        Ok(Self {
            memory: 1024 * field(&status, "VmRSS")?,
            peak: 1024 * field(&status, "VmHWM")?,
            cpu: host.cpu()?,
            files: files.count() as u64,
            threads: field(&status, "Threads")?,
        })
    }

    /// The same later, of a host that must never have had as much memory as this beyond what it has now.
    ///
    /// # Errors
    /// If it has, or the host has ended.
    pub(super) fn grown_by_less(&self, host: &Host, bytes: u64) -> Result<Self> {
        let after = Self::of(host)?;
        let (before, most) = (self.memory, after.peak);
        ensure!(most < before + bytes, "it grew from {before} bytes to {most}");
        Ok(after)
    }
}

/// The most memory that a host ever had, in bytes.
pub(crate) fn peak_memory(host: &Host) -> Result<u64> {
    Ok(Vitals::of(host)?.peak)
}

/// The number in a line of `/proc/PID/status`.
fn field(status: &str, name: &str) -> Result<u64> {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(known, _)| *known == name);
    let value = values
        .next()
        .and_then(|(_, value)| value.split_whitespace().next()?.parse().ok());
    value.with_context(|| format!("the host's status has no {name}"))
}

/// The size of a file in bytes; 0 where there is none.
pub(super) fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_found_by_name() {
        let status = "Name:\tsandman\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t12\n";
        assert_eq!(super::field(status, "VmRSS").unwrap(), 10_240);
        assert_eq!(super::field(status, "Threads").unwrap(), 12);
        assert!(super::field(status, "VmSwap").is_err());
    }
}
