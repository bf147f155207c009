//! Replays traces on the board and prints the mean instructions per allocation and per free.
//!
//! Output: a line per allocator, trace and region, fields separated by tabs: allocator, trace, bytes of the region,
//! allocations, instructions in them, frees, instructions in them, resizes, instructions in them, refused requests.
#![no_std]
#![no_main]

mod bump;
mod embedded;
mod lock;
#[path = "../../src/peers.rs"]
#[allow(dead_code, reason = "the host uses all of it")]
mod peers;
#[path = "../../src/subject.rs"]
#[allow(dead_code, reason = "the host uses all of it")]
mod subject;
mod tape;
mod ticks;

use core::{alloc::Layout, cell::UnsafeCell, hint::black_box, mem::MaybeUninit};
use lock::Critical;
use semihosting::println;
use subject::Subject;
use tape::{Op, Tape};
use ticks::Ticks;

const TRACES: [(&str, &[u8]); 3] = [
    ("small", include_bytes!(concat!(env!("OUT_DIR"), "/small"))),
    ("fw", include_bytes!(concat!(env!("OUT_DIR"), "/fw"))),
    ("device", include_bytes!(concat!(env!("OUT_DIR"), "/device"))),
];

/// Sizes of the region, in bytes.
const REGIONS: [usize; 2] = [256 << 10, 64 << 10];

/// The most blocks that a trace holds at a time.
const SLOTS: usize = 4096;

#[repr(align(4096))]
struct Region(UnsafeCell<MaybeUninit<[u8; REGIONS[0]]>>);

// SAFETY: used by one heap at a time, on one core, outside of interrupts.
unsafe impl Sync for Region {}

static REGION: Region = Region(UnsafeCell::new(MaybeUninit::uninit()));

/// Some peers want to be linked with one; nothing here allocates from it.
#[global_allocator]
static GLOBAL: subject::Locked<Critical, bump::Bump> = subject::Locked::new(bump::Bump::new());

#[derive(Clone, Copy)]
struct Block {
    start: *mut u8,
    layout: Layout,
}

const NONE: Block = Block {
    start: core::ptr::null_mut(),
    layout: Layout::new::<()>(),
};

#[derive(Default)]
struct Sum {
    calls: u64,
    ticks: u64,
}

impl Sum {
    fn add(&mut self, ticks: u64) {
        self.calls += 1;
        self.ticks += ticks;
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let ticks = Ticks::start();
    let blocks = &mut [NONE; SLOTS];
    for (name, bytes) in TRACES {
        for len in REGIONS {
            run::<terrace::Heap<Critical>>(&ticks, name, bytes, len, blocks);
            run::<peers::Talc<Critical>>(&ticks, name, bytes, len, blocks);
            run::<peers::Rlsf<Critical>>(&ticks, name, bytes, len, blocks);
            run::<peers::LinkedList<Critical>>(&ticks, name, bytes, len, blocks);
            run::<embedded::Llff>(&ticks, name, bytes, len, blocks);
            run::<embedded::Tlsf>(&ticks, name, bytes, len, blocks);
            run::<peers::Buddy<Critical>>(&ticks, name, bytes, len, blocks);
            run::<peers::Dlmalloc<Critical>>(&ticks, name, bytes, len, blocks);
        }
    }
    semihosting::process::exit(0)
}

#[cortex_m_rt::exception]
unsafe fn HardFault(_: &cortex_m_rt::ExceptionFrame) -> ! {
    semihosting::process::exit(102)
}

#[inline(never)]
fn counted_alloc<A: Subject>(heap: &A, size: usize, align: usize) -> *mut u8 {
    // SAFETY: the heap was claimed; size and align come from a layout.
    unsafe { heap.alloc(Layout::from_size_align_unchecked(size, align)) }
}

#[inline(never)]
fn counted_free<A: Subject>(heap: &A, block: *mut u8, size: usize, align: usize) {
    // SAFETY: a block in use, with its layout.
    unsafe { heap.dealloc(block, Layout::from_size_align_unchecked(size, align)) }
}

#[inline(never)]
fn counted_resize<A: Subject>(heap: &A, block: *mut u8, size: usize, align: usize, new_size: usize) -> *mut u8 {
    // SAFETY: a block in use, with its layout.
    unsafe { heap.realloc(block, Layout::from_size_align_unchecked(size, align), new_size) }
}

/// Replays one trace against a new heap of `len` bytes and prints the sums.
///
/// Never inlined, so that one heap at a time is on the stack.
#[inline(never)]
fn run<A: Subject>(ticks: &Ticks, name: &str, bytes: &[u8], len: usize, blocks: &mut [Block; SLOTS]) {
    let mut tape = Tape::new(bytes);
    assert!(tape.slots <= SLOTS);
    let heap = A::fresh();
    // SAFETY: the region is large enough for every size, and the heap that had it before is gone.
    assert!(unsafe { heap.claim(REGION.0.get().cast(), len) });
    blocks.fill(NONE);
    let (mut allocs, mut frees, mut resizes) = (Sum::default(), Sum::default(), Sum::default());
    let (mut refused, warm) = (0, tape.warm);
    for n in 0..tape.ops {
        let measured = n >= warm;
        match tape.next() {
            Op::Alloc { slot, layout } => {
                let (size, align) = black_box((layout.size(), layout.align()));
                let (start, took) = ticks.count(|| counted_alloc(&heap, size, align));
                blocks[slot] = Block { start, layout };
                refused += usize::from(start.is_null());
                if measured {
                    allocs.add(took);
                }
            }
            Op::Resize { slot, size } => {
                let Block { start, layout } = blocks[slot];
                if start.is_null() {
                    continue;
                }
                let (new, took) = ticks.count(|| counted_resize(&heap, start, layout.size(), layout.align(), size));
                refused += usize::from(new.is_null());
                if !new.is_null() {
                    let layout = Layout::from_size_align(size, layout.align()).expect("sizes are small");
                    blocks[slot] = Block { start: new, layout };
                }
                if measured {
                    resizes.add(took);
                }
            }
            Op::Free { slot } => {
                let Block { start, layout } = core::mem::replace(&mut blocks[slot], NONE);
                if start.is_null() {
                    continue;
                }
                let ((), took) = ticks.count(|| counted_free(&heap, start, layout.size(), layout.align()));
                if measured {
                    frees.add(took);
                }
            }
        }
    }
    let insns = |sum: &Sum| ticks::instructions(sum.ticks);
    println!(
        "{}\t{name}\t{len}\t{}\t{}\t{}\t{}\t{}\t{}\t{refused}",
        A::NAME,
        allocs.calls,
        insns(&allocs),
        frees.calls,
        insns(&frees),
        resizes.calls,
        insns(&resizes)
    );
}
