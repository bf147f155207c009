//! The shadow model: a heap, and beside it everything that must be true of it.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::collections::BTreeMap;

use lock_api::RawMutex;
use terrace::{Cause, CoreId, Heap, NoLock, Pressure, SingleCore, Threshold, Watermarks};

use super::watch::{self, Watch};
use super::{Memory, Operation};

thread_local! {
    static CORE: Cell<usize> = const { Cell::new(0) };
}

/// The core that [`Operation::Core`] chose last on this thread.
pub struct ChosenCore;

impl CoreId for ChosenCore {
    fn core_id() -> usize {
        CORE.get()
    }
}

/// Goes on as another core, on this thread.
pub fn choose_core(index: usize) {
    CORE.set(index);
}

/// A block that the heap handed out.
struct Block {
    start: *mut u8,
    layout: Layout,
    fill: u8,
}

/// A heap and its model. Every method panics if the heap does what the model does not expect.
pub struct Shadow<L, C = SingleCore, const CONTEXTS: usize = 1> {
    heap: Heap<L, C, CONTEXTS>,
    spans: Vec<Memory>,
    capacity: usize,
    blocks: Vec<Block>,
    /// Start and length of each live block.
    extents: BTreeMap<usize, usize>,
    used: usize,
    most_used: usize,
    served: usize,
    failures: usize,
    last_failed: usize,
    watch: Watch,
    fill: u8,
}

/// The model of a heap for one thread of control.
pub type LocalShadow = Shadow<NoLock>;

fn granules(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

/// The byte at `at` of a block; differs between neighbours, and between bytes 256 apart.
fn pattern(fill: u8, at: usize) -> u8 {
    fill.wrapping_add(at as u8) ^ (at >> 8) as u8
}

impl Block {
    fn write(&self, from: usize) {
        for at in from..self.layout.size() {
            // SAFETY: the block has so many bytes, which are ours.
            unsafe { self.start.add(at).write(pattern(self.fill, at)) };
        }
    }

    fn verify(&self, bytes: usize) {
        for at in 0..bytes {
            // SAFETY: the block has so many bytes, which were written.
            let found = unsafe { self.start.add(at).read() };
            assert_eq!(
                found,
                pattern(self.fill, at),
                "byte {at} of {:?} at {:p}",
                self.layout,
                self.start
            );
        }
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Shadow<L, C, CONTEXTS> {
    /// A heap with a first span of `bytes`, which is zero at first if `zeroed`.
    pub fn new(bytes: usize, zeroed: bool) -> Self {
        CORE.set(0);
        let (heap, memory) = (
            Heap::new(),
            if zeroed {
                Memory::zeroed(bytes)
            } else {
                Memory::new(bytes)
            },
        );
        // SAFETY: the memory outlives the heap, see `spans`, and nothing else uses it.
        unsafe {
            if zeroed {
                heap.claim_zeroed(memory.start(), bytes).unwrap();
            } else {
                heap.claim_raw(memory.start(), bytes).unwrap();
            }
        }
        heap.on_low_memory(watch::record, &()).unwrap();
        let capacity = heap.load().capacity;
        assert!(capacity < bytes && capacity > bytes / 2);
        Shadow {
            heap,
            spans: vec![memory],
            capacity,
            blocks: Vec::new(),
            extents: BTreeMap::new(),
            used: 0,
            most_used: 0,
            served: 0,
            failures: 0,
            last_failed: 0,
            watch: Watch::new(capacity),
            fill: 0,
        }
    }

    /// The heap.
    pub fn heap(&self) -> &Heap<L, C, CONTEXTS> {
        &self.heap
    }

    /// The number of live blocks.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Requests that failed so far.
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// Does `operation` to the heap and to the model.
    pub fn apply(&mut self, operation: Operation) {
        let some_block = |block: usize| (!self.blocks.is_empty()).then(|| block % self.blocks.len());
        match operation {
            Operation::Allocate { size, align, zeroed } => {
                if let Ok(layout) = Layout::from_size_align(size, 1 << align) {
                    self.allocate(layout, zeroed);
                }
            }
            Operation::Free { block } => {
                if let Some(at) = some_block(block) {
                    self.free(at);
                }
            }
            Operation::Resize { block, size } => {
                if let Some(at) = some_block(block) {
                    self.resize(at, size);
                }
            }
            Operation::Trim => self.trim(),
            Operation::Poll => self.poll(),
            Operation::Post { level } => self.post(level),
            Operation::Extend { bytes } => self.extend(bytes),
            Operation::Watermarks { high, low, bytes } => self.watermarks(high, low, bytes),
            Operation::Core { index } => CORE.set(usize::from(index)),
        }
    }

    /// Verifies what takes a look at everything.
    pub fn check(&self) {
        self.heap.check().unwrap_or_else(|fault| panic!("{fault}"));
        let stats = self.heap.stats();
        assert_eq!((stats.used, stats.capacity), (self.used, self.capacity));
        assert_eq!(stats.load(), self.heap.load());
        assert_eq!(stats.used + stats.free, stats.capacity);
        assert!(stats.peak >= self.most_used && stats.peak <= stats.capacity);
        assert!(stats.largest_free + stats.idle <= stats.free);
        assert_eq!((stats.failures, stats.last_failed), (self.failures, self.last_failed));
        assert_eq!(stats.spans, self.spans.len());
    }

    /// Frees everything and verifies that the heap is as it was at first.
    pub fn finish(mut self) {
        while !self.blocks.is_empty() {
            self.free(self.blocks.len() - 1);
        }
        self.trim();
        self.check();
        let stats = self.heap.stats();
        assert_eq!((stats.used, stats.idle), (0, 0));
        if self.spans.len() == 1 {
            assert_eq!(stats.largest_free, stats.capacity, "not whole again");
        }
        assert!(stats.allocations >= self.served);
        self.poll();
    }

    fn allocate(&mut self, layout: Layout, zeroed: bool) {
        if layout.size() == 0 {
            return; // not for a `GlobalAlloc`
        }
        // SAFETY: the layout is not empty.
        let start = unsafe {
            if zeroed {
                self.heap.alloc_zeroed(layout)
            } else {
                self.heap.alloc(layout)
            }
        };
        if start.is_null() {
            self.fail(layout);
            return;
        }
        if zeroed {
            // SAFETY: the block has so many bytes.
            let bytes = unsafe { std::slice::from_raw_parts(start, layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == 0), "a zeroed block is zero");
        }
        self.fill = self.fill.wrapping_add(77);
        let block = Block {
            start,
            layout,
            fill: self.fill,
        };
        block.write(0);
        self.enter(&block);
        self.blocks.push(block);
        self.served += 1;
        self.see();
    }

    fn free(&mut self, at: usize) {
        let block = self.blocks.swap_remove(at);
        block.verify(block.layout.size());
        self.leave(&block);
        // SAFETY: the heap handed the block out with this layout.
        unsafe { self.heap.dealloc(block.start, block.layout) };
        self.see();
    }

    fn resize(&mut self, at: usize, size: usize) {
        let old = self.blocks[at].layout;
        let Ok(layout) = Layout::from_size_align(size, old.align()) else {
            return;
        };
        if size == 0 {
            return;
        }
        // SAFETY: the heap handed the block out with this layout; the new size is neither 0 nor too large.
        let start = unsafe { self.heap.realloc(self.blocks[at].start, old, size) };
        if start.is_null() {
            assert!(granules(size) > granules(old.size()), "shrinking cannot fail");
            self.fail(layout);
            return;
        }
        let mut block = self.blocks.swap_remove(at);
        self.leave(&block);
        if start != block.start {
            // Either both blocks were there for a moment, or free memory on both sides was joined to the old one.
            self.watch.may_see(self.capacity);
        }
        (block.start, block.layout) = (start, layout);
        block.verify(size.min(old.size()));
        block.write(0);
        self.enter(&block);
        self.blocks.push(block);
        self.see();
    }

    fn trim(&mut self) {
        self.heap.trim();
        assert_eq!(self.heap.stats().idle, 0);
    }

    fn post(&mut self, level: u8) {
        let level = [Pressure::None, Pressure::Moderate, Pressure::Critical][usize::from(level) % 3];
        self.heap.post(level);
        self.watch.see(self.used);
        // Taken at once, so that the model need not know which post replaces which.
        if level != Pressure::None {
            self.watch.raise(level, Cause::Posted);
        }
        self.poll();
    }

    fn poll(&mut self) {
        let polled = self.heap.poll();
        let told = watch::told();
        assert_eq!(told.len(), polled.callbacks as usize);
        assert!(!polled.more);
        let count = self.heap.stats().low_memory;
        if CONTEXTS > 1 {
            return; // see the tests of the load with several contexts
        }
        if let Some(due) = self.watch.take(count) {
            assert_eq!(told.first().map(|event| (event.level, event.cause)), due, "{told:?}");
            assert_eq!(self.watch.count, count);
        }
    }

    fn extend(&mut self, bytes: usize) {
        let memory = Memory::new(bytes.max(8));
        // SAFETY: the memory outlives the heap, see `spans`, and nothing else uses it.
        let result = unsafe { self.heap.extend_raw(memory.start(), bytes, 7) };
        let capacity = self.heap.load().capacity;
        if result.is_err() {
            assert_eq!(capacity, self.capacity, "an error changes nothing");
            return;
        }
        assert!(capacity > self.capacity && capacity < self.capacity + bytes);
        self.spans.push(memory);
        self.capacity = capacity;
        self.watch.resize(capacity);
        self.watch.see(self.used);
    }

    fn watermarks(&mut self, high: u8, low: u8, bytes: bool) {
        let threshold = |value: u8| {
            if bytes {
                Threshold::BytesFree(self.capacity / 100 * (100 - usize::from(value.min(100))))
            } else {
                Threshold::Percent(value)
            }
        };
        let watermarks = Watermarks {
            high: threshold(high),
            low: threshold(low),
        };
        let accepted = self.watch.set(watermarks, self.capacity, self.used);
        assert_eq!(self.heap.set_watermarks(watermarks).is_ok(), accepted);
        assert_eq!(self.heap.watermarks(), self.watch.watermarks());
    }

    /// Takes note of a failed request, which must have been one that could fail.
    fn fail(&mut self, layout: Layout) {
        self.failures += 1;
        self.last_failed = layout.size();
        self.watch.see(self.used);
        self.watch
            .raise(Pressure::Critical, Cause::Failure { bytes: layout.size() });
        let stats = self.heap.stats();
        if CONTEXTS == 1 && layout.align() <= 8 {
            // A class of sizes is at most a quarter wide, or a power of two from 4 KiB on where addresses have 32 bits; the search of the
            // request's own class is bounded, that of the higher ones is not.
            let request = granules(layout.size());
            let enough = if usize::BITS == 64 || request < 3 << 10 {
                request + request / 4 + 8
            } else {
                request.saturating_mul(2)
            };
            assert!(stats.largest_free < enough, "{layout:?} failed: {stats}");
        }
        assert_eq!(stats.used, self.used, "a failure changes nothing");
    }

    /// Adds a block that must be inside the spans and apart from all others.
    fn enter(&mut self, block: &Block) {
        let (start, bytes) = (block.start as usize, granules(block.layout.size()));
        assert!(
            start.is_multiple_of(block.layout.align().max(8)),
            "{:?} at {start:#x}",
            block.layout
        );
        assert!(self.spans.iter().any(|span| span.contains(start, bytes)));
        if let Some((before, length)) = self.extents.range(..start).next_back() {
            assert!(
                before + length <= start,
                "{:?} overlaps the block before it",
                block.layout
            );
        }
        if let Some((behind, _)) = self.extents.range(start..).next() {
            assert!(
                start + bytes <= *behind,
                "{:?} overlaps the block behind it",
                block.layout
            );
        }
        self.extents.insert(start, bytes);
        self.used += bytes;
        self.most_used = self.most_used.max(self.used);
    }

    fn leave(&mut self, block: &Block) {
        let bytes = self.extents.remove(&(block.start as usize));
        self.used -= bytes.expect("a live block");
    }

    fn see(&mut self) {
        self.watch.see(self.used);
        assert_eq!(self.heap.load().used, self.used, "the load is exact");
    }
}
