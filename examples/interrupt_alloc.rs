//! An interrupt allocates and frees while the main loop does: one million operations, after which the heap is sound and
//! empty. Blocks also change sides: what the interrupt allocates the main loop may free, and the other way round.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::{boxed::Box, vec};
use core::cell::RefCell;

use critical_section::Mutex;
use heapless::Deque;
use terrace::CriticalSectionHeap;
use terrace_board::{NAME, REGION_BYTES, every, println, stop};

const OPERATIONS: u32 = 1_000_000;
/// What the interrupt does of them at least. On a board it is far more; a host's thread is a slow timer.
const ITS_SHARE: u32 = 1000;

/// A block, filled with the low byte of its length, so that whoever frees it can tell whether it is still whole.
type Block = Box<[u8]>;

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// Blocks on their way to the other side.
static EXCHANGE: Mutex<RefCell<Deque<Block, 8>>> = Mutex::new(RefCell::new(Deque::new()));
static INTERRUPT: Mutex<RefCell<Side<4>>> = Mutex::new(RefCell::new(Side::new(1)));

/// One who allocates: the main loop, or the interrupt.
struct Side<const BLOCKS: usize> {
    blocks: [Option<Block>; BLOCKS],
    random: u32,
    operations: u32,
}

impl<const BLOCKS: usize> Side<BLOCKS> {
    const fn new(seed: u32) -> Self {
        Self {
            blocks: [const { None }; BLOCKS],
            random: seed,
            operations: 0,
        }
    }

    /// A number below `end`, from a xorshift generator.
    fn below(&mut self, end: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random % end
    }

    /// Takes a place at random: frees the block there, or allocates one. Now and then a block comes from or goes to the
    /// other side.
    fn step(&mut self) {
        let place = self.below(BLOCKS as u32) as usize;
        let old = match self.blocks[place].take() {
            None if self.below(8) == 0 => receive(),
            None => {
                self.blocks[place] = Some(self.allocate());
                return;
            }
            Some(block) if self.below(8) == 0 => send(block),
            block => block,
        };
        if let Some(block) = old {
            self.free(block);
        }
    }

    fn allocate(&mut self) -> Block {
        self.operations += 1;
        let length = 1 + self.below(96) as usize;
        vec![length as u8; length].into_boxed_slice()
    }

    fn free(&mut self, block: Block) {
        self.operations += 1;
        assert!(
            block.iter().all(|byte| *byte == block.len() as u8),
            "a block was overwritten"
        );
        drop(block);
    }
}

/// Puts a block into the exchange. It comes back if the exchange is full.
fn send(block: Block) -> Option<Block> {
    critical_section::with(|cs| EXCHANGE.borrow_ref_mut(cs).push_back(block).err())
}

fn receive() -> Option<Block> {
    critical_section::with(|cs| EXCHANGE.borrow_ref_mut(cs).pop_front())
}

/// The interrupt. It leaves half of the work to the main loop, however slow that is.
fn interrupt() {
    critical_section::with(|cs| {
        let mut side = INTERRUPT.borrow_ref_mut(cs);
        if side.operations < OPERATIONS / 2 {
            side.step();
        }
    });
}

fn interrupt_operations() -> u32 {
    critical_section::with(|cs| INTERRUPT.borrow_ref(cs).operations)
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    println!(
        "{NAME}: {OPERATIONS} operations in a heap of {} bytes",
        HEAP.stats().capacity
    );
    let before = HEAP.stats();

    let mut side = Side::<16>::new(2);
    every(200, interrupt);
    while side.operations + interrupt_operations() < OPERATIONS || interrupt_operations() < ITS_SHARE {
        for _ in 0..64 {
            side.step();
        }
    }
    stop();

    println!(
        "{} by the main loop, {} by the interrupt",
        side.operations,
        interrupt_operations()
    );
    let stats = HEAP.stats();
    println!("{stats}");
    assert!(stats.allocations - before.allocations >= OPERATIONS as usize / 2);
    HEAP.check().expect("the heap is sound");

    drop(side);
    critical_section::with(|cs| INTERRUPT.replace(cs, Side::new(1)));
    while receive().is_some() {}
    let after = HEAP.stats();
    assert_eq!(after.used, before.used, "nothing is lost");
    assert_eq!(after.failures, 0);
    HEAP.check().expect("the heap is sound");
}
