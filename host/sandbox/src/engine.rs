//! wasmtime's settings, each with its reason.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy};

use super::SandboxOptions;
use sandman_core::limits::{Allocation, ComponentParts};

/// Bytes of a linear memory that are zeroed in place instead of being released: about as much as a small guest touches
/// per call.
const KEEP_MEMORY: usize = 512 << 10;
/// The same for a table.
const KEEP_TABLE: usize = 16 << 10;

/// The only engine of the process.
pub(super) fn engine(options: &SandboxOptions) -> wasmtime::Result<Engine> {
    let mut config = settings();
    // Endless recursion traps long before the thread's own stack is exhausted.
    config.max_wasm_stack(options.stack);
    config.allocation_strategy(match options.allocation {
        Allocation::Pooling => InstanceAllocationStrategy::Pooling(pool(options)),
        // The limiter of each store enforces the same limits.
        Allocation::OnDemand => InstanceAllocationStrategy::OnDemand,
    });
    Engine::new(&config)
}

/// An engine that compiles for the one above and creates no instances: it reserves no address space, so that its
/// process can be limited. The allocation of instances does not affect compiled code.
pub(super) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&settings())
}

/// The settings for which code is compiled.
pub(super) fn settings() -> Config {
    let mut config = Config::new();
    proposals(&mut config);
    config
        // Cranelift is the compiler that wasmtime's own security process covers first.
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // The same outcome, to the byte, on every processor.
        .cranelift_nan_canonicalization(true)
        // Without component-model async its machinery is not needed, which has most of this release line's advisories.
        .concurrency_support(false)
        // Interrupts guests that do not return; fuel would cost each instruction.
        .epoch_interruption(true)
        // A fresh instance maps the initial memory instead of copying it.
        .memory_init_cow(true)
        // Tables are filled when they are first used: most entries never are.
        .table_lazy_init(true);
    config
}

/// Features that handlers do not need are switched off: less code that could have bugs, and nothing nondeterministic.
/// The crate's `gc` and `threads` features are compiled in all the same, since two advisories of 48.0.8 concern builds
/// without them. Component-model async is not compiled in at all.
fn proposals(config: &mut Config) {
    config
        .wasm_threads(false)
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_stack_switching(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        // Its results differ between processors.
        .wasm_relaxed_simd(false)
        .wasm_component_model(true)
        .wasm_component_model_gc(false)
        .wasm_component_model_memory64(false)
        .gc_support(false);
}

/// Slots for instances, created once: a fresh instance takes one in microseconds. Guard pages have their default size,
/// so that memory accesses need no check.
fn pool(options: &SandboxOptions) -> PoolingAllocationConfig {
    let slots = super::slots(options);
    let ComponentParts {
        core_instances,
        memories,
        tables,
        table_elements,
    } = options.parts;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(core_instances))
        .total_memories(slots.saturating_mul(memories))
        .total_tables(slots.saturating_mul(tables))
        .max_core_instances_per_component(core_instances)
        .max_memories_per_component(memories)
        .max_tables_per_component(tables)
        .max_memories_per_module(1)
        .table_elements(usize::try_from(table_elements).unwrap_or(usize::MAX))
        .max_memory_size(usize::try_from(options.memory).unwrap_or(usize::MAX))
        .max_unused_warm_slots(slots)
        .linear_memory_keep_resident(KEEP_MEMORY)
        .table_keep_resident(KEEP_TABLE)
        // Asks the kernel which pages were written and resets only those; on kernels before 6.7 all are reset.
        .pagemap_scan(Enabled::Auto);
    pool
}
