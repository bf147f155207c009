//! All cores at work on one heap: each has an allocation context and an arena of its own, and they hand each other blocks.
//!
//! Each core allocates blocks of all sizes, lets them grow, and frees them or gives them to its neighbour, who frees them; it
//! builds lists of objects in its arena and drops them, and it polls. All that is written is verified before it goes. At the
//! end the heap is what it was at the beginning.
//!
//! On a board of one core, that core does it alone.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::vec::Vec;
use core::hint::spin_loop;

use heapless::Deque as Queue;
use lock_api::Mutex;
use portable_atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use terrace::{Arena, Brand, CoreId, Cx, FairSpin, Gc, Heap, OutOfMemory, Root, Slot, Trace, brand};
use terrace_board::{CORES, NAME, REGION_BYTES, core_id, on_all_cores, println};

/// Allocations, frees and objects made, of all cores together.
const OPERATIONS: u32 = if CORES > 1 { 10_000_000 } else { 20_000 };
/// Operations after which a core looks whether that is enough.
const TURN: u32 = 1000;
/// Blocks of a core, and bytes of the largest of them; of 16 blocks, 15 are small.
const BLOCKS: usize = 24;
const LARGEST: usize = REGION_BYTES / 64;
const SMALL: usize = 128;
/// Lists in a core's arena, and objects of the longest of them.
const LISTS: usize = 4;
const LONGEST: usize = 64;

struct Hart;

impl CoreId for Hart {
    #[inline(always)]
    fn core_id() -> usize {
        core_id()
    }
}

#[global_allocator]
static HEAP: Heap<FairSpin, Hart, CORES> = <Heap<FairSpin, Hart, CORES>>::new();

/// What each core has received and not looked at.
static MAIL: [Mutex<FairSpin, Queue<Block, 64>>; CORES] = [const { Mutex::new(Queue::new()) }; CORES];

/// Cores that have an arena: none begins before all have one, as there may be no memory for it later.
static READY: AtomicU32 = AtomicU32::new(0);

/// What each core has done.
static DONE: [Done; CORES] = [const { Done::nothing() }; CORES];

/// Counts of one core.
struct Done {
    native: AtomicU32,
    managed: AtomicU32,
    /// Blocks of another core that it has freed.
    foreign: AtomicU32,
    /// Requests that failed, as other cores had the memory.
    refused: AtomicU32,
    /// Collections of its arena.
    collections: AtomicU32,
}

impl Done {
    const fn nothing() -> Done {
        Done {
            native: AtomicU32::new(0),
            managed: AtomicU32::new(0),
            foreign: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            collections: AtomicU32::new(0),
        }
    }

    fn operations(&self) -> u32 {
        self.native.load(Relaxed) + self.managed.load(Relaxed)
    }
}

/// xorshift32.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    /// 1 to `limit`; small ones are as likely as all of a power of two.
    fn size(&mut self, limit: usize) -> usize {
        let bits = self.below(limit.ilog2() as usize + 1);
        (1 << bits) + self.below(1 << bits).min(limit - (1 << bits))
    }
}

/// A block, full of one byte.
struct Block {
    bytes: Vec<u8>,
    owner: usize,
}

impl Block {
    /// A block of `size` bytes; of twice as many if `grow`. Nothing, if there is no memory for it.
    fn new(random: &mut Random, owner: usize, size: usize, grow: bool) -> Option<Block> {
        let (mut bytes, mark) = (Vec::new(), random.next() as u8);
        bytes.try_reserve_exact(size).ok()?;
        bytes.resize(size, mark);
        if grow && bytes.try_reserve_exact(size).is_ok() {
            bytes.resize(2 * size, mark);
        }
        Some(Block { bytes, owner })
    }

    /// Verifies the block, and frees it.
    fn free(self, done: &Done, core: usize) {
        let mark = self.bytes[0];
        assert!(
            self.bytes.iter().all(|byte| *byte == mark),
            "core {core} finds another one's bytes in a block of core {}",
            self.owner
        );
        done.native.add(1, Relaxed);
        done.foreign.add(u32::from(self.owner != core), Relaxed);
    }
}

brand!(Arena0);
brand!(Arena1);
brand!(Arena2);
brand!(Arena3);

/// An object of a list.
#[derive(Trace)]
struct Link<'g, A: Brand> {
    number: u32,
    next: Slot<'g, Link<'g, A>, A>,
}

/// A list of objects that count down to 0.
struct List<A: Brand> {
    first: Root<Link<'static, A>, A>,
    length: u32,
}

impl<A: Brand> List<A> {
    fn new(cx: &mut Cx<A>, length: u32, done: &Done) -> Result<List<A>, OutOfMemory> {
        let mut first = cx.new::<Link<A>>(|_| Link {
            number: 0,
            next: Slot::null(),
        })?;
        for number in 1..length {
            let next = first;
            first = cx.new::<Link<A>>(|g| Link {
                number,
                next: Slot::new(g, next.get(g)),
            })?;
            done.managed.add(1, Relaxed);
        }
        done.managed.add(1, Relaxed);
        Ok(List { first, length })
    }

    fn verify(&self, cx: &Cx<A>) {
        let mut expected = self.length;
        let mut at: Option<Gc<Link<A>, A>> = Some(self.first.get(cx));
        while let Some(link) = at {
            expected -= 1;
            assert_eq!(link.number, expected);
            at = link.next.get(cx);
        }
        assert_eq!(expected, 0, "a list has lost its end");
    }
}

/// One core, with what it has.
struct Core<A: Brand> {
    number: usize,
    done: &'static Done,
    random: Random,
    blocks: [Option<Block>; BLOCKS],
    lists: [Option<List<A>>; LISTS],
}

impl<A: Brand> Core<A> {
    /// Works until all cores together have done enough.
    fn run(number: usize) {
        let mut core = Core::<A> {
            number,
            done: &DONE[number],
            random: Random(number as u32 + 1),
            blocks: [const { None }; BLOCKS],
            lists: [const { None }; LISTS],
        };
        let mut arena = Arena::<A>::branded(&HEAP).expect("there is room for an arena");
        READY.add(1, SeqCst);
        while (READY.load(SeqCst) as usize) < CORES {
            spin_loop();
        }
        arena.enter(|cx| {
            while DONE.iter().map(Done::operations).sum::<u32>() < OPERATIONS {
                let turn = core.done.operations() + TURN;
                while core.done.operations() < turn {
                    core.replace_blocks();
                    core.replace_list(cx);
                }
                cx.poll();
                let _ = HEAP.poll();
            }
            core.end(cx);
        });
        let collections = arena.stats().collections.iter().sum();
        core.done.collections.store(collections, Relaxed);
    }

    /// Replaces some blocks; every second one of the old ones goes to the next core.
    fn replace_blocks(&mut self) {
        for _ in 0..LONGEST / 4 {
            let limit = if self.random.below(16) == 0 { LARGEST } else { SMALL };
            let size = self.random.size(limit);
            let grow = self.random.below(4) == 0;
            let new = Block::new(&mut self.random, self.number, size, grow);
            match new {
                Some(_) => self.done.native.add(1, Relaxed),
                None => self.done.refused.add(1, Relaxed),
            }
            let at = self.random.below(BLOCKS);
            if let Some(old) = core::mem::replace(&mut self.blocks[at], new) {
                if self.random.below(2) == 0 {
                    self.send(old);
                } else {
                    old.free(self.done, self.number);
                }
            }
            let received = MAIL[self.number].lock().pop_front();
            received
                .into_iter()
                .for_each(|block| block.free(self.done, self.number));
        }
    }

    /// Hands a block to the next core, unless that has not looked at what it got for long.
    fn send(&self, block: Block) {
        let returned = MAIL[next(self.number)].lock().push_back(block).err();
        returned
            .into_iter()
            .for_each(|block| block.free(self.done, self.number));
    }

    fn replace_list(&mut self, cx: &mut Cx<A>) {
        let at = self.random.below(LISTS);
        if let Some(old) = self.lists[at].take() {
            old.verify(cx);
        }
        let length = 1 + self.random.below(LONGEST) as u32;
        match List::new(cx, length, self.done) {
            Ok(list) => self.lists[at] = Some(list),
            Err(_) => self.done.refused.add(1, Relaxed),
        }
    }

    /// Frees all, but for what is in the mail.
    fn end(&mut self, cx: &mut Cx<A>) {
        for list in self.lists.iter_mut().filter_map(Option::take) {
            list.verify(cx);
        }
        for block in self.blocks.iter_mut().filter_map(Option::take) {
            block.free(self.done, self.number);
        }
    }
}

/// A brand is a type: one for each core.
fn work(core: usize) {
    const { assert!(CORES <= 4) };
    match core {
        0 => Core::<Arena0>::run(core),
        1 => Core::<Arena1>::run(core),
        2 => Core::<Arena2>::run(core),
        _ => Core::<Arena3>::run(core),
    }
}

/// Prints what each core has done, and how fair that was.
fn report() {
    for (core, done) in DONE.iter().enumerate() {
        println!(
            "core {core}: {} blocks allocated or freed, {} of them from another core; {} objects, {} collections; {} refused",
            done.native.load(Relaxed),
            done.foreign.load(Relaxed),
            done.managed.load(Relaxed),
            done.collections.load(Relaxed),
            done.refused.load(Relaxed),
        );
    }
    let operations = || DONE.iter().map(Done::operations);
    let (least, most) = (operations().min().unwrap_or(0), operations().max().unwrap_or(0));
    println!(
        "{NAME}: {} operations on {CORES} cores; the one that did least, {least}, did {} % of what the busiest did",
        operations().sum::<u32>(),
        u64::from(least) * 100 / u64::from(most)
    );
}

/// The core whose turn is after this one's.
fn next(core: usize) -> usize {
    if core + 1 < CORES { core + 1 } else { 0 }
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES * CORES).expect("the heap is claimed once");
    // On a host the first threads and the first line leave memory of their own behind.
    on_all_cores(|_| ());
    println!("{} bytes for {CORES} cores", HEAP.stats().capacity);
    let before = HEAP.stats().used;

    on_all_cores(work);
    for mail in &MAIL {
        let left = core::mem::take(&mut *mail.lock());
        left.into_iter().for_each(|block| block.free(&DONE[0], 0));
    }

    report();
    println!("{}", HEAP.stats());
    assert_eq!(HEAP.stats().used, before, "nothing is lost");
    for done in &DONE {
        assert!(
            done.managed.load(Relaxed) > 0 && done.native.load(Relaxed) > 0,
            "no core was left out"
        );
        assert!(
            CORES == 1 || done.foreign.load(Relaxed) > 0,
            "blocks were freed on other cores"
        );
        assert!(
            done.collections.load(Relaxed) > 0,
            "more objects were made than there is memory"
        );
    }
    HEAP.check().expect("the heap is sound");
}
