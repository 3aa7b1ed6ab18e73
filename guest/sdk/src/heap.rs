//! The heap of a handler, whose first part is in the initial memory.
//!
//! Rust's own allocator asks WebAssembly for more memory at the first allocation of every instance. With a fresh instance
//! per call, this costs two system calls of the host and an interruption of its other processors each time, which takes about as
//! long as a small handler (5 of 16 µs in a measurement). This is the same allocator (`dlmalloc`) with an initial region that already exists;
//! beyond it, memory grows as usual.
#![expect(unsafe_code, reason = "an allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::{Cell, UnsafeCell};

use dlmalloc::Dlmalloc;

/// Size of the region. Memory that is not touched costs nothing but its share of the handler's memory limit.
const REGION: usize = 256 << 10;
/// Size of a page of WebAssembly memory.
const PAGE: usize = 64 << 10;

/// Aligned like its contents instead of to a page, so that its ends share pages with the other statics: each page that a
/// call writes to is reset afterwards.
#[repr(C, align(16))]
struct Region(UnsafeCell<[u8; REGION]>);

// SAFETY: a component without threads; the region is handed out once, to the allocator.
unsafe impl Sync for Region {}

static FIRST: Region = Region(UnsafeCell::new([0; REGION]));

/// Where the allocator gets its memory from: the region first, then the instance's memory.
struct Source {
    given: Cell<bool>,
}

// SAFETY: what is handed out is valid, zeroed, handed out once and never taken back: the region to the first request that
// it is large enough for, fresh pages to the others.
unsafe impl dlmalloc::Allocator for Source {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        if size <= REGION && !self.given.replace(true) {
            return (FIRST.0.get().cast(), REGION, 0);
        }
        let pages = size.div_ceil(PAGE);
        match wasm32::memory_grow::<0>(pages) {
            usize::MAX => (core::ptr::null_mut(), 0, 0),
            before => (core::ptr::with_exposed_provenance_mut(before * PAGE), pages * PAGE, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        core::ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}

struct Heap(UnsafeCell<Dlmalloc<Source>>);

// SAFETY: a component without threads.
unsafe impl Sync for Heap {}

// SAFETY: every call goes to dlmalloc, and the reference lives for that call only; dlmalloc does not call back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(at, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(at, layout.size(), layout.align(), size) }
    }
}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Source {
    given: Cell::new(false),
})));
