//! Memory to give to a heap.

use std::alloc::{GlobalAlloc, Layout, alloc, alloc_zeroed, dealloc};
use std::mem::MaybeUninit;

/// Memory that starts at a page, so that what happens does not depend on where it lies. Freed when dropped.
pub struct Memory {
    start: *mut u8,
    layout: Layout,
}

impl Memory {
    /// `bytes` bytes that hold rubbish.
    pub fn new(bytes: usize) -> Memory {
        let memory = Memory::with(bytes, alloc);
        // SAFETY: the memory is ours and as long.
        unsafe { memory.start.write_bytes(0xA5, bytes) };
        memory
    }

    /// `bytes` bytes that are zero.
    pub fn zeroed(bytes: usize) -> Memory {
        Memory::with(bytes, alloc_zeroed)
    }

    /// `bytes` bytes that are zero and take no physical memory until they are touched, wherever they lie.
    pub fn untouched(bytes: usize) -> Memory {
        Memory::at(Layout::from_size_align(bytes, 16).unwrap(), alloc_zeroed)
    }

    fn with(bytes: usize, alloc: unsafe fn(Layout) -> *mut u8) -> Memory {
        Memory::at(Layout::from_size_align(bytes, 4096).unwrap(), alloc)
    }

    fn at(layout: Layout, alloc: unsafe fn(Layout) -> *mut u8) -> Memory {
        // SAFETY: no caller asks for no bytes.
        let start = unsafe { alloc(layout) };
        assert!(!start.is_null(), "the test has memory");
        Memory { start, layout }
    }

    /// The first byte.
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.layout.size()
    }

    /// Whether `bytes` bytes at `address` lie in it.
    pub fn contains(&self, address: usize, bytes: usize) -> bool {
        let start = self.start as usize;
        address >= start && bytes <= self.bytes() && address - start <= self.bytes() - bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and whoever used it is gone.
        unsafe { dealloc(self.start, self.layout) };
    }
}

/// A static of `N` bytes, given away once.
#[repr(C, align(64))]
pub struct StaticMemory<const N: usize>(
    std::cell::UnsafeCell<[MaybeUninit<u8>; N]>,
    std::sync::atomic::AtomicBool,
);

// SAFETY: the bytes are reached only through `take`, which gives them to one caller.
unsafe impl<const N: usize> Sync for StaticMemory<N> {}

impl<const N: usize> StaticMemory<N> {
    /// Memory that nobody has.
    pub const fn new() -> Self {
        StaticMemory(
            std::cell::UnsafeCell::new([MaybeUninit::uninit(); N]),
            std::sync::atomic::AtomicBool::new(false),
        )
    }

    /// The bytes.
    #[allow(clippy::mut_from_ref, reason = "once")]
    pub fn take(&'static self) -> &'static mut [MaybeUninit<u8>] {
        assert!(!self.1.swap(true, std::sync::atomic::Ordering::Relaxed), "taken twice");
        // SAFETY: this is the only reference that is ever made.
        unsafe { &mut *self.0.get() }
    }
}

/// What was made for good stays reachable here, so that it is no leak.
static KEPT: std::sync::Mutex<Vec<usize>> = std::sync::Mutex::new(Vec::new());

/// A value for good.
pub fn for_good<T>(value: T) -> &'static mut T {
    let value = Box::leak(Box::new(value));
    KEPT.lock().unwrap().push(std::ptr::from_mut(value).expose_provenance());
    value
}

/// A heap for good, without memory.
pub fn empty_heap_for_good() -> &'static terrace::LocalHeap {
    for_good(terrace::LocalHeap::new())
}

/// A heap for good, over as many bytes, for arenas.
pub fn heap_for_good(bytes: usize) -> &'static terrace::LocalHeap {
    let (heap, memory) = (empty_heap_for_good(), for_good(Memory::new(bytes)));
    // SAFETY: the memory is this heap's for good.
    unsafe { heap.claim_raw(memory.start(), bytes).unwrap() };
    heap
}

/// Runs `work` with a heap over as many bytes, for arenas, and frees it.
///
/// # Safety
/// Whatever `work` made of the heap is gone when it returns: arenas, handles and blocks. If it unwinds, the heap stays.
pub unsafe fn with_heap(bytes: usize, work: impl FnOnce(&'static terrace::LocalHeap)) {
    let memory = std::mem::ManuallyDrop::new(Memory::new(bytes));
    let heap = Box::into_raw(Box::new(terrace::LocalHeap::new()));
    // SAFETY: the memory is this heap's, which the caller uses no more when `work` has returned.
    unsafe {
        (*heap).claim_raw(memory.start(), bytes).unwrap();
        work(&*heap);
        drop(Box::from_raw(heap));
    }
    drop(std::mem::ManuallyDrop::into_inner(memory));
}

/// All of a heap's free memory, until it is dropped.
pub struct Hog<'a> {
    heap: &'a terrace::LocalHeap,
    blocks: Vec<(*mut u8, Layout)>,
}

impl<'a> Hog<'a> {
    /// Takes it all.
    pub fn new(heap: &'a terrace::LocalHeap) -> Hog<'a> {
        let mut blocks = Vec::new();
        for size in [4096, 512, 64, 8] {
            let layout = Layout::from_size_align(size, 8).unwrap();
            loop {
                // SAFETY: the layout's size is not 0.
                let block = unsafe { heap.alloc(layout) };
                if block.is_null() {
                    break;
                }
                blocks.push((block, layout));
            }
        }
        Hog { heap, blocks }
    }
}

impl Drop for Hog<'_> {
    fn drop(&mut self) {
        for (block, layout) in self.blocks.drain(..) {
            // SAFETY: the block is this heap's, of this layout.
            unsafe { self.heap.dealloc(block, layout) };
        }
    }
}
