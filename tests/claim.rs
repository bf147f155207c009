//! Giving memory to a heap: every way in, every error, and that errors change nothing (rows E1, E5, B10).

mod support;

use std::alloc::{GlobalAlloc, Layout};

use support::Memory;
use support::memory::StaticMemory;
use terrace::{ClaimError, CriticalSectionHeap, Load, LocalHeap, MIN_SPAN};

const WORD: Layout = Layout::new::<u64>();

/// Claims what may be wrong with it.
fn claim(heap: &LocalHeap, start: *mut u8, bytes: usize) -> Result<(), ClaimError> {
    // SAFETY: a claim that succeeds is of the caller's memory; one that fails does not touch it.
    unsafe { heap.claim_raw(start, bytes) }
}

/// Extends by what may be wrong with it.
fn extend(heap: &LocalHeap, start: *mut u8, bytes: usize) -> Result<(), ClaimError> {
    // SAFETY: as in `claim`.
    unsafe { heap.extend_raw(start, bytes, 1) }
}

fn assert_empty(heap: &LocalHeap) {
    assert_eq!(heap.load(), Load::default());
    assert_eq!(heap.check(), Ok(()));
    // SAFETY: the layout is not empty.
    assert!(unsafe { heap.alloc(WORD) }.is_null());
}

#[test]
fn e5_a_heap_without_memory_refuses_everything_and_works_afterwards() {
    let heap = LocalHeap::new();
    assert_empty(&heap);
    // SAFETY: the layout is not empty.
    assert!(unsafe { heap.alloc_zeroed(Layout::new::<[u8; 4000]>()) }.is_null());
    // SAFETY: as above.
    assert!(unsafe { heap.alloc(Layout::from_size_align(8, 4096).unwrap()) }.is_null());
    heap.trim();
    let _ = heap.poll();
    assert_eq!(heap.stats().capacity, 0);
    assert!(heap.map::<8>().to_string().contains("one cell"));
    let memory = Memory::new(4096);
    claim(&heap, memory.start(), 4096).unwrap();
    // SAFETY: the layout is not empty.
    assert!(!unsafe { heap.alloc(WORD) }.is_null());
}

#[test]
fn e5_a_claim_that_fails_says_why_and_changes_nothing() {
    let heap = LocalHeap::new();
    let memory = Memory::new(8192);
    let start = memory.start();
    for offset in 1..8 {
        let at = start.wrapping_add(offset);
        assert_eq!(
            claim(&heap, at, 4096),
            Err(ClaimError::Misaligned {
                address: at as usize,
                required: 8
            })
        );
    }
    let null = claim(&heap, std::ptr::null_mut(), 4096);
    assert!(matches!(null, Err(ClaimError::Misaligned { address: 0, .. })));
    for bytes in [0, 1, 8, MIN_SPAN - 1] {
        assert_eq!(
            claim(&heap, start, bytes),
            Err(ClaimError::TooSmall {
                bytes,
                required: MIN_SPAN
            })
        );
    }
    for bytes in [isize::MAX as usize + 1, usize::MAX - 4096, usize::MAX] {
        assert!(
            matches!(claim(&heap, start, bytes), Err(ClaimError::TooLarge { .. })),
            "{bytes}"
        );
    }
    // SAFETY: the end is not behind the start, so nothing is claimed.
    let backwards = unsafe { heap.claim_symbols(start.wrapping_add(4096), start) };
    assert!(matches!(backwards, Err(ClaimError::TooSmall { bytes: 0, .. })));
    assert_eq!(extend(&heap, start, 4096), Err(ClaimError::NotClaimed));
    assert_empty(&heap);

    claim(&heap, start, 4096).unwrap();
    let load = heap.load();
    assert_eq!(claim(&heap, start, 4096), Err(ClaimError::AlreadyClaimed));
    assert_eq!(
        claim(&heap, start.wrapping_add(4096), 4096),
        Err(ClaimError::AlreadyClaimed)
    );
    assert_eq!((heap.load(), heap.check()), (load, Ok(())));
}

#[test]
fn e1_spans_must_be_apart_and_may_touch() {
    let heap = LocalHeap::new();
    let memory = Memory::new(64 << 10);
    let at = |kib: usize| memory.start().wrapping_add(kib << 10);
    claim(&heap, at(16), 16 << 10).unwrap();
    let load = heap.load();
    for (from, to) in [(16, 32), (18, 22), (0, 64), (0, 17), (31, 64), (8, 32), (16, 24)] {
        let result = extend(&heap, at(from), (to - from) << 10);
        let address = at(16) as usize;
        assert_eq!(result, Err(ClaimError::Overlaps { address }), "{from}..{to}");
    }
    let one_granule = extend(&heap, at(0), (16 << 10) + 8);
    assert!(matches!(one_granule, Err(ClaimError::Overlaps { .. })));
    assert_eq!((heap.load(), heap.check(), heap.stats().spans), (load, Ok(()), 1));

    extend(&heap, at(0), 16 << 10).unwrap();
    extend(&heap, at(32), 16 << 10).unwrap();
    let address = at(32) as usize;
    assert_eq!(extend(&heap, at(40), 16 << 10), Err(ClaimError::Overlaps { address }));
    assert_eq!((heap.check(), heap.stats().spans), (Ok(()), 3));
}

#[test]
fn e1_a_heap_has_at_most_eight_spans() {
    let heap = LocalHeap::new();
    let spans: [Memory; 9] = std::array::from_fn(|_| Memory::new(4096));
    claim(&heap, spans[0].start(), 4096).unwrap();
    for span in &spans[1..8] {
        let before = heap.load().capacity;
        extend(&heap, span.start(), 4096).unwrap();
        assert!(heap.load().capacity > before + 2048);
    }
    let load = heap.load();
    assert_eq!(
        extend(&heap, spans[8].start(), 4096),
        Err(ClaimError::TooManySpans { limit: 8 })
    );
    assert_eq!((heap.load(), heap.check()), (load, Ok(())));
}

#[test]
fn e1_an_extension_serves_when_the_first_span_is_full_and_takes_back() {
    let heap = LocalHeap::new();
    let (first, second) = (Memory::new(2048), Memory::new(1 << 20));
    claim(&heap, first.start(), 2048).unwrap();
    let large = Layout::new::<[u8; 100_000]>();
    // SAFETY: no layout is empty, and each block is used, resized and freed as it was allocated.
    unsafe {
        assert!(heap.alloc(large).is_null());
        extend(&heap, second.start(), 1 << 20).unwrap();
        let block = heap.alloc(large);
        assert!(second.contains(block as usize, large.size()));
        block.write_bytes(1, large.size());
        let small = heap.alloc(WORD);
        assert!(first.contains(small as usize, 8), "the first span comes first");
        let grown = heap.realloc(block, large, 200_000);
        assert_eq!(grown, block, "in place, in a further span as well");
        let over = Layout::from_size_align(4096, 4096).unwrap();
        let page = heap.alloc(over);
        assert!((page as usize).is_multiple_of(4096) && second.contains(page as usize, 4096));
        heap.dealloc(page, over);
        heap.dealloc(small, WORD);
        heap.dealloc(grown, Layout::new::<[u8; 200_000]>());
    }
    heap.trim();
    assert_eq!((heap.load().used, heap.check()), (0, Ok(())));
    assert!(heap.stats().largest_free > 1_000_000);
}

/// The self-description of an extension carries its tag, for whoever decodes a dump.
#[test]
fn e7_a_span_describes_itself() {
    let heap = LocalHeap::new();
    let (first, second) = (Memory::new(4096), Memory::new(8192));
    claim(&heap, first.start(), 4096).unwrap();
    // SAFETY: the memory outlives the heap.
    unsafe { heap.extend_raw(second.start(), 8192, 42) }.unwrap();
    for (span, tag) in [(&first, 0), (&second, 42)] {
        // SAFETY: the header has 16 bytes, written by the claim.
        let header = unsafe { span.start().cast::<[u8; 16]>().read() };
        assert_eq!((&header[..4], header[4]), (b"TERR".as_slice(), 1));
        assert_eq!(1usize << header[5], size_of::<usize>());
        assert_eq!((1 << header[6], header[7]), (8, tag));
        let granules = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let bits = u32::from_le_bytes(header[12..].try_into().unwrap()) as usize;
        assert!(bits + granules / 8 + granules * 8 <= span.bytes());
    }
}

/// Whatever the length: nothing outside of the span is written, and all of the capacity can be had in 8-byte blocks.
#[test]
fn e1_every_length_is_used_to_the_end_and_not_beyond() {
    let memory = Memory::new(16 << 10);
    let lengths = (MIN_SPAN..1100).chain((1100..8192).step_by(257)).chain([8192]);
    for bytes in lengths {
        // SAFETY: the memory is ours; the former heap is gone.
        unsafe { memory.start().write_bytes(0xA5, memory.bytes()) };
        let start = memory.start().wrapping_add(4096);
        let heap = LocalHeap::new();
        claim(&heap, start, bytes).unwrap();
        let capacity = heap.load().capacity;
        let least = if cfg!(feature = "check") { 85 } else { 90 };
        assert!(capacity * 100 >= bytes * least, "{capacity} of {bytes}");
        let mut blocks = 0;
        loop {
            // SAFETY: the layout is not empty, and the block has 8 bytes.
            unsafe {
                let block = heap.alloc(WORD);
                if block.is_null() {
                    break;
                }
                let offset = block as usize - start as usize;
                assert!(offset.is_multiple_of(8) && offset + 8 <= bytes);
                block.cast::<u64>().write(u64::MAX);
            }
            blocks += 1;
        }
        assert_eq!((blocks * 8, heap.load().used), (capacity, capacity), "{bytes}");
        heap.check().unwrap();
        for at in (0..4096).chain(4096 + bytes..memory.bytes()) {
            // SAFETY: the byte is the memory's, outside of the span.
            assert_eq!(unsafe { *memory.start().add(at) }, 0xA5, "byte {at} outside of {bytes}");
        }
    }
}

/// At 64 KiB and above the bookkeeping takes at most 1.7 % of the memory, all of it inside the memory; 4.7 % with the tables
/// of feature `check`.
#[test]
fn e1_bookkeeping_is_small_and_inside() {
    let most = if cfg!(feature = "check") { 47 } else { 17 };
    for bytes in [64 << 10, 100_000, 1 << 20, 16 << 20] {
        let heap = LocalHeap::new();
        let memory = Memory::new(bytes);
        claim(&heap, memory.start(), bytes).unwrap();
        let stats = heap.stats();
        assert!(stats.bookkeeping + stats.capacity <= bytes);
        assert!(
            (bytes - stats.capacity) * 1000 <= bytes * most,
            "{} of {bytes}",
            bytes - stats.capacity
        );
    }
}

#[test]
fn init_is_one_expression_and_gives_memory_once() {
    static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    mod inner {
        pub static INNER: terrace::CriticalSectionHeap = terrace::CriticalSectionHeap::new();
    }
    fn start() -> Result<(), ClaimError> {
        terrace::init!(HEAP, 4 * 1024)
    }
    assert_eq!(start(), Ok(()));
    assert_eq!(start(), Err(ClaimError::AlreadyClaimed));
    assert_eq!(terrace::init!(HEAP, 4096), Err(ClaimError::AlreadyClaimed));
    assert!(HEAP.load().capacity > 3800);
    terrace::init!(inner::INNER, 100 + 900).expect("the path may lead into a module");
    assert!(inner::INNER.load().capacity > 900);
    static TINY: CriticalSectionHeap = CriticalSectionHeap::new();
    assert!(matches!(
        terrace::init!(TINY, 16),
        Err(ClaimError::TooSmall { bytes: 16, .. })
    ));
    assert!(terrace::init!(TINY, MIN_SPAN).is_ok(), "an error changes nothing");
}

#[test]
fn slices_pointers_and_symbols_are_claimed_alike() {
    static MEMORY: [StaticMemory<4096>; 2] = [const { StaticMemory::new() }; 2];
    static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    HEAP.claim(MEMORY[0].take()).unwrap();
    let capacity = HEAP.load().capacity;
    HEAP.extend(MEMORY[1].take(), 3).unwrap();
    assert_eq!(HEAP.stats().spans, 2);

    let memory = Memory::new(8192);
    let by_pointer = LocalHeap::new();
    claim(&by_pointer, memory.start(), 4096).unwrap();
    assert_eq!(by_pointer.load().capacity, capacity);

    let by_symbols = LocalHeap::new();
    let (start, end) = (memory.start().wrapping_add(4096), memory.start().wrapping_add(8192));
    // SAFETY: the memory between them is ours and outlives the heap.
    unsafe { by_symbols.claim_symbols(start.cast::<u32>(), end.cast()) }.unwrap();
    assert_eq!(by_symbols.load().capacity, capacity);
    // SAFETY: the layout is not empty; the block has 8 bytes.
    unsafe { by_symbols.alloc(WORD).cast::<u64>().write(7) };
}

/// Positions have 31 bits and addresses more: the far end of a large region works like the near one.
#[test]
#[cfg(target_pointer_width = "64")]
fn e5_a_region_beyond_4_gib_works_at_its_far_end() {
    const GIB: usize = 1 << 30;
    if support::scale() < 100 {
        return; // checkers keep a shadow of it
    }
    let heap = LocalHeap::new();
    let memory = Memory::untouched(5 * GIB);
    // SAFETY: the memory outlives the heap and is zero.
    unsafe { heap.claim_zeroed(memory.start(), memory.bytes()) }.unwrap();
    let large = Layout::from_size_align(4 * GIB + GIB / 2, 8).unwrap();
    let small = Layout::from_size_align(5000, 4096).unwrap();
    // SAFETY: no layout is empty, and each block is used and freed as it was allocated.
    unsafe {
        let block = heap.alloc_zeroed(large);
        assert!(!block.is_null());
        let last = block.add(large.size() - 1);
        assert_eq!(*last, 0);
        *last = 9;
        let behind = heap.alloc(small);
        assert!((behind as usize).is_multiple_of(4096) && behind > last);
        assert_eq!(heap.load().percent(), 91);
        heap.dealloc(block, large);
        let again = heap.realloc(behind, small, 6000);
        assert!(!again.is_null());
        heap.dealloc(again, Layout::from_size_align(6000, 4096).unwrap());
    }
    heap.trim();
    let stats = heap.stats();
    assert_eq!((stats.used, stats.largest_free), (0, stats.capacity));
}

/// Names that the macro might use itself.
mod names {
    pub static MEMORY: terrace::CriticalSectionHeap = terrace::CriticalSectionHeap::new();
    #[allow(non_upper_case_globals)]
    pub const Memory: usize = 8 << 10;

    /// Not that of the core library.
    #[allow(dead_code, clippy::extra_unused_type_parameters)]
    pub const fn size_of<T>() -> usize {
        1 << 30
    }
}

#[test]
fn e5_init_takes_no_name_of_the_callers_for_its_own() {
    #[allow(unused_imports)]
    use names::{MEMORY, Memory, size_of};
    terrace::init!(MEMORY, Memory).unwrap();
    assert!(MEMORY.stats().capacity < Memory && MEMORY.stats().capacity > Memory / 2);
}

#[test]
fn e1_a_further_span_leaves_the_peak_what_it_was() {
    let heap = LocalHeap::new();
    let memory = Memory::new(64 << 10);
    claim(&heap, memory.start(), 32 << 10).unwrap();
    let layout = Layout::from_size_align(20 << 10, 8).unwrap();
    // SAFETY: the layout is not empty, and the block is given back with it.
    unsafe {
        let block = heap.alloc(layout);
        assert!(!block.is_null());
        heap.dealloc(block, layout);
    }
    assert_eq!(heap.stats().peak, 20 << 10);
    extend(&heap, memory.start().wrapping_add(32 << 10), 32 << 10).unwrap();
    assert_eq!(heap.stats().peak, 20 << 10, "more memory is not more in use");
}
