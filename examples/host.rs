//! RAM banks that go on and off with the load: a heap in four banks, of which as many have power as it needs.
//!
//! The heap commits a bank when a request finds no room, and gives back what is free at the end. Native blocks stay where they are,
//! but objects of an arena move: a full collection empties the memory from the top, so that the banks there can go off.
//!
//! The banks are modelled: one that goes off is filled with a pattern, and when it goes on it is looked whether anyone has touched it
//! meanwhile. Real ones would lose what is in them, or the program would end.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use heapless::Vec;
use terrace::{
    Arena, Bank, Banks, Contents, CriticalSectionHeap, Criticality, Cx, FixedMemory, Generation, Growth, HostError,
    OutOfMemory, Root, Slot, Trace,
};
use terrace_board::{NAME, println};

const BANKS: usize = 4;
const BANK: usize = 8 << 10;

/// Native blocks at a time, and what stays of them.
const BLOCKS: usize = 160;
const BLOCKS_KEPT: usize = 4;
/// What stays of the records.
const RECORDS_KEPT: usize = 24;
/// The load rises to this, in percent, and falls to less than that.
const HIGH: u8 = 85;
const LOW: u8 = 20;

/// What is in a bank without power.
const OFF: u8 = 0xD0;

/// What switches the banks, and counts.
struct Power {
    on: AtomicU32,
    off: AtomicU32,
}

impl Power {
    fn count(counter: &AtomicU32) {
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed); // one at a time
    }
}

// SAFETY: the memory of all banks is there, whatever is told.
unsafe impl Banks for Power {
    unsafe fn switch_on(&self, bank: Bank, _: Criticality) -> Result<Contents, HostError> {
        assert!(
            is_untouched(bank.start),
            "bank {} was touched without power",
            bank.index
        );
        Power::count(&self.on);
        Ok(Contents::Undefined)
    }

    unsafe fn switch_off(&self, bank: Bank) -> Result<(), HostError> {
        // SAFETY: the bank is there, and nobody uses it.
        unsafe { bank.start.write_bytes(OFF, bank.bytes) };
        Power::count(&self.off);
        Ok(())
    }
}

fn is_untouched(bank: *const u8) -> bool {
    // SAFETY: the bank is there, and was filled when it went off.
    let bytes = unsafe { slice::from_raw_parts(bank, BANK) };
    bytes.iter().all(|byte| *byte == OFF)
}

static mut MEMORY: [[u64; BANK / 8]; BANKS] = [[0; BANK / 8]; BANKS];

static HOST: FixedMemory<Power, BANKS> = {
    let power = Power {
        on: AtomicU32::new(0),
        off: AtomicU32::new(0),
    };
    // SAFETY: the memory is the host's alone, but for what the banks do; they are as long as each other.
    unsafe { FixedMemory::from_raw((&raw mut MEMORY).cast(), BANKS * BANK, power) }
};

/// The heap, which nobody else uses: not even the standard library of a host.
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// A native block.
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

impl Block {
    fn new(bytes: usize) -> Option<Block> {
        let layout = Layout::from_size_align(bytes, 8).ok().filter(|_| bytes != 0)?;
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { HEAP.alloc(layout) })?;
        Some(Block { start, layout })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the heap handed the block out with this layout, and this value alone has it.
        unsafe { HEAP.dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// A record of a log; the newest comes first.
#[derive(Trace)]
struct Record<'g> {
    number: u32,
    text: Slot<'g, str>,
    next: Slot<'g, Record<'g>>,
}

type Log = Option<Root<Record<'static>>>;

/// Adds a record.
fn push(cx: &mut Cx, log: &mut Log, number: u32) -> Result<(), OutOfMemory> {
    let text = cx.new_str(if number.is_multiple_of(2) {
        "the pump is running"
    } else {
        "the valve is shut, and will stay so until the pressure has fallen"
    })?;
    let record = cx.new::<Record>(|g| Record {
        number,
        text: Slot::new(g, text.get(g)),
        next: log.as_ref().map_or(Slot::null(), |log| Slot::new(g, log.get(g))),
    })?;
    *log = Some(record);
    Ok(())
}

/// Forgets all records but the newest.
fn forget(cx: &Cx, log: &Log) {
    let mut at = log.as_ref().map(|log| log.get(cx));
    for _ in 1..RECORDS_KEPT {
        at = at.and_then(|record| record.next.get(cx));
    }
    if let Some(last) = at {
        last.next.set(cx, None);
    }
}

/// How many records there are, which have come one after the other.
fn verify(cx: &Cx, log: &Log) -> usize {
    let (mut count, mut at) = (0, log.as_ref().map(|log| log.get(cx)));
    while let Some(record) = at {
        let text = record.text.get(cx).expect("a record has a text");
        assert_eq!(text.contains("pump"), record.number.is_multiple_of(2));
        at = record.next.get(cx);
        assert!(at.is_none_or(|next| next.number + 1 == record.number));
        count += 1;
    }
    count
}

/// The banks: those that are on, with what is in use, and those that are off, which nobody has touched.
struct Picture;

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for index in 0..BANKS {
            let is_on = HOST.is_on(index);
            let start = (&raw const MEMORY).cast::<u8>().wrapping_add(index * BANK);
            assert!(is_on || is_untouched(start), "bank {index} was touched without power");
            f.write_str(if is_on { "[##]" } else { "[  ]" })?;
        }
        Ok(())
    }
}

fn banks_on() -> usize {
    (0..BANKS).filter(|index| HOST.is_on(*index)).count()
}

fn print(what: &str) {
    let (load, stats) = (HEAP.load(), HEAP.stats());
    println!(
        "  {what:<17}{Picture}{:>6} %{:>8} B committed{:>8} B in use",
        load.percent(),
        stats.host.committed,
        load.used
    );
}

/// The load rises, and falls.
fn rise_and_fall(
    cx: &mut Cx,
    blocks: &mut Vec<Block, BLOCKS>,
    log: &mut Log,
    next: &mut u32,
) -> Result<(), OutOfMemory> {
    while HEAP.load().percent() < HIGH {
        push(cx, log, *next)?;
        if next.is_multiple_of(2) {
            let block = Block::new(24 + *next as usize % 100).ok_or(OutOfMemory { requested: 24 })?;
            assert!(blocks.push(block).is_ok(), "there is room for a block");
        }
        *next += 1;
    }
    print("the load is high");
    assert_eq!(banks_on(), BANKS);

    blocks.truncate(BLOCKS_KEPT);
    forget(cx, log);
    assert_eq!(banks_on(), BANKS, "nobody knows yet what is garbage");
    cx.collect(Generation::Old);
    print("one collection");
    assert!(HEAP.load().percent() <= LOW, "the load is low");
    assert_eq!(banks_on(), 1, "three of four banks are off");
    assert_eq!(verify(cx, log), RECORDS_KEPT, "nothing is lost");
    Ok(())
}

terrace_board::entry!(main);

fn main() {
    // SAFETY: nobody has the memory yet.
    unsafe { (&raw mut MEMORY).cast::<u8>().write_bytes(OFF, BANKS * BANK) };
    HEAP.claim_from(&HOST, Growth::new(BANKS * BANK))
        .expect("the heap is claimed once");
    println!("  {BANKS} banks of {} KiB on {NAME}\n", BANK >> 10);
    print("an empty heap");
    let mut arena = Arena::new(&HEAP).expect("there is room for an arena");
    let mut blocks = Vec::new();
    arena.enter(|cx| {
        let (mut log, mut next) = (None, 0);
        for _ in 0..3 {
            rise_and_fall(cx, &mut blocks, &mut log, &mut next).expect("the banks hold the load");
        }
    });
    drop((arena, blocks));
    HEAP.trim();
    print("in the end");
    HEAP.check().expect("the heap is sound");

    let (host, power) = (HEAP.stats().host, HOST.banks());
    let (on, off) = (power.on.load(Ordering::Relaxed), power.off.load(Ordering::Relaxed));
    println!(
        "\n  {} commits switched {on} banks on, {} gave {off} back",
        host.commits, host.decommits
    );
    assert_eq!((on - off, host.denied + host.out_of_memory + host.failed), (1, 0));
}
