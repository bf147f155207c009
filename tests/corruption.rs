//! Memory that is overwritten is reported, and never followed out of the region (row C17 for native memory, E5).

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::ops::Range;

use support::{Memory, Random, scaled};
use terrace::{Event, FaultKind, LocalHeap, Threshold, Watermarks};

const BYTES: usize = 32 << 10;

/// A heap with free blocks of many sizes between live ones.
struct Patient {
    heap: LocalHeap,
    memory: Memory,
    /// The words of free blocks that mean something: links and sizes.
    meaningful: Vec<usize>,
}

/// The words, counted from the start of the memory, in which a free block says where it belongs and how long it is.
fn words_of(first: usize, last: usize) -> Vec<usize> {
    if last - first == 2 {
        vec![first, first + 1]
    } else {
        vec![first, first + 1, first + 2, last - 1]
    }
}

impl Patient {
    fn new() -> Patient {
        let (heap, memory) = (LocalHeap::new(), Memory::new(BYTES));
        // SAFETY: the memory outlives the heap: both are in the same struct.
        unsafe { heap.claim_raw(memory.start(), BYTES) }.unwrap();
        let mut random = Random::new(5);
        let (mut live, mut meaningful) = (Vec::new(), Vec::new());
        // Memory counts as short from here on, so that each freed block goes to its bucket.
        let (high, low) = (Threshold::Percent(1), Threshold::Percent(0));
        heap.set_watermarks(Watermarks { high, low }).unwrap();
        let layout = Layout::new::<[u64; 100]>();
        // SAFETY: the layout is not empty.
        assert!(!unsafe { heap.alloc(layout) }.is_null());
        heap.trim();
        loop {
            let layout = Layout::from_size_align(8 + 8 * random.below(40), 8).unwrap();
            // SAFETY: the layout is not empty.
            let block = unsafe { heap.alloc(layout) };
            if block.is_null() {
                break;
            }
            live.push((block, layout.size()));
        }
        live.sort_unstable();
        for (block, bytes) in live.iter().step_by(3) {
            let first = (*block as usize - memory.start() as usize) / 4;
            meaningful.extend(words_of(first, first + bytes / 4));
            // SAFETY: the block was allocated with this layout.
            unsafe { heap.dealloc(*block, Layout::from_size_align(*bytes, 8).unwrap()) };
        }
        assert_eq!(heap.check(), Ok(()));
        Patient {
            heap,
            memory,
            meaningful,
        }
    }

    fn words(&self) -> Range<usize> {
        0..BYTES / 4
    }

    fn word(&self, at: usize) -> *mut u32 {
        self.memory.start().cast::<u32>().wrapping_add(at)
    }

    /// Overwrites a word, checks, and puts everything back, as checking itself may touch bits that mean nothing.
    fn check_with(&self, at: usize, value: u32) -> Result<(), FaultKind> {
        let mut copy = vec![0u8; BYTES];
        let start = self.memory.start();
        // SAFETY: the memory has so many bytes, and the heap does not use it meanwhile.
        unsafe {
            start.copy_to_nonoverlapping(copy.as_mut_ptr(), BYTES);
            self.word(at).write(value);
        }
        let result = self.heap.check();
        // SAFETY: as above.
        unsafe { start.copy_from_nonoverlapping(copy.as_ptr(), BYTES) };
        if let Err(fault) = result {
            let (from, to) = (start as usize, start as usize + BYTES);
            // A cached block is reported as it is found, wherever that leads.
            assert!(
                (from..=to).contains(&fault.address) || fault.kind == FaultKind::WrongCache,
                "{fault}"
            );
            assert!(!fault.to_string().is_empty());
        }
        result.map_err(|fault| fault.kind)
    }
}

/// Values that are wrong in different ways: small, large, near the old one, flags.
fn values(old: u32, random: &mut Random) -> [u32; 8] {
    [
        0,
        u32::MAX,
        old ^ 1,
        old.wrapping_add(8),
        old ^ 1 << 31,
        old << 1 | 1,
        random.below(BYTES / 8) as u32,
        random.next() as u32,
    ]
}

#[test]
fn c17_an_overwritten_free_block_is_reported() {
    let patient = Patient::new();
    let mut random = Random::new(1);
    let mut kinds = Vec::new();
    for at in patient.meaningful.iter().take(scaled(1000)) {
        // SAFETY: the word is the memory's.
        let old = unsafe { patient.word(*at).read() };
        for value in values(old, &mut random) {
            let result = patient.check_with(*at, value);
            assert!(result.is_err() || value == old, "word {at} from {old:#x} to {value:#x}");
            kinds.extend(result.err());
        }
    }
    for kind in [FaultKind::BrokenLink, FaultKind::OutOfBounds, FaultKind::WrongSize] {
        assert!(kinds.contains(&kind), "{kind:?} is never reported");
    }
    assert_eq!(patient.heap.check(), Ok(()), "put back, it is sound again");
}

#[test]
fn e7_an_overwritten_self_description_is_reported() {
    let patient = Patient::new();
    for byte in (0..16).filter(|byte| *byte != 7) {
        // SAFETY: the word is the memory's. Byte 7 is the user's tag.
        let old = unsafe { patient.word(byte / 4).read() };
        let value = old ^ 0x10 << (byte % 4 * 8);
        assert_eq!(
            patient.check_with(byte / 4, value),
            Err(FaultKind::Header),
            "byte {byte}"
        );
    }
}

/// Cached blocks hold addresses of each other.
#[test]
fn c17_an_overwritten_cached_block_is_reported() {
    let (heap, memory) = (LocalHeap::new(), Memory::new(BYTES));
    // SAFETY: the memory outlives the heap; the blocks are freed as they were allocated, and the words are the memory's.
    unsafe {
        heap.claim_raw(memory.start(), BYTES).unwrap();
        let blocks: Vec<*mut u8> = (0..10).map(|_| heap.alloc(Layout::new::<u64>())).collect();
        blocks[..9]
            .iter()
            .for_each(|block| heap.dealloc(*block, Layout::new::<u64>()));
        assert!(heap.stats().idle >= 72);
        for block in &blocks[1..9] {
            let word = block.cast::<usize>();
            let old = word.read();
            for value in [
                0,
                1,
                old ^ 1,
                old ^ 4,
                usize::MAX,
                memory.start() as usize,
                blocks[9] as usize + BYTES,
            ] {
                word.write(value);
                assert!(heap.check().is_err(), "{value:#x} instead of {old:#x}");
                word.write(old);
            }
        }
    }
    assert_eq!(heap.check(), Ok(()));
}

/// Whatever is overwritten, wherever: an answer, no crash, no endless loop.
#[test]
fn e5_no_overwritten_word_makes_the_check_crash() {
    let patient = Patient::new();
    let mut random = Random::new(2);
    let mut reported = 0;
    for at in patient.words() {
        // SAFETY: the word is the memory's.
        let old = unsafe { patient.word(at).read() };
        let values = values(old, &mut random);
        for value in values.iter().take(scaled(8)) {
            reported += usize::from(patient.check_with(at, *value).is_err());
        }
    }
    assert!(reported > patient.meaningful.len());
    assert_eq!(patient.heap.check(), Ok(()));
}

#[test]
fn c21_a_fault_is_kept_and_told() {
    let patient = Patient::new();
    support::watch::events();
    patient.heap.set_sink(Some(support::watch::record_event));
    assert_eq!(patient.heap.fault(), None);
    let first = patient.check_with(0, 0).unwrap_err();
    let _ = patient.check_with(patient.meaningful[4], 77);
    let fault = patient.heap.fault().unwrap();
    assert_eq!(
        (fault.kind, first),
        (FaultKind::Header, FaultKind::Header),
        "the first one stays"
    );
    let _ = patient.heap.poll();
    let told = support::watch::events()
        .into_iter()
        .filter(|event| matches!(event, Event::Fault(_)))
        .count();
    let _ = patient.heap.poll();
    assert_eq!((told, support::watch::events().len()), (1, 0), "told once");
}
