//! Limits for all instances of one store together.

use wasmtime::ResourceLimiter;

use sandman_core::limits::{ComponentParts, Limits};

/// Counts the linear memories of a store, all together. wasmtime's own `StoreLimits` only limits each of them separately.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    memory: u64,
    limit: u64,
    parts: ComponentParts,
    refused: bool,
}

impl MemoryLimiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            limit: limits.memory,
            parts: limits.parts,
            refused: false,
        }
    }

    /// Bytes of all linear memories together, which never shrink.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    /// Whether memory has been refused since the last call.
    pub(super) fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let total = self.memory.saturating_add(more);
        if total > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= count(self.parts.table_elements))
    }

    fn instances(&self) -> usize {
        count(self.parts.core_instances)
    }

    fn tables(&self) -> usize {
        count(self.parts.tables)
    }

    fn memories(&self) -> usize {
        count(self.parts.memories)
    }
}

fn count(bound: u32) -> usize {
    usize::try_from(bound).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Limits, MemoryLimiter};
    use wasmtime::ResourceLimiter;

    #[test]
    fn memories_are_bounded_together() {
        let mut bounds = MemoryLimiter::new(&Limits {
            memory: 100,
            ..Limits::default()
        });
        assert!(bounds.memory_growing(0, 60, None).unwrap());
        assert!(!bounds.memory_growing(0, 41, None).unwrap());
        assert!(bounds.take_refused());
        assert!(bounds.memory_growing(0, 40, None).unwrap());
        assert!(!bounds.take_refused());
    }
}
