//! Several cores on one heap with a fair lock (row C22): each has a context and an arena of its own, and they free each other's
//! blocks.

#[path = "support/node.rs"]
mod node;
mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use node::Node;
use support::{Memory, Random, memory, scaled};
use terrace::{Arena, Brand, CoreId, Cx, FairSpin, Heap, Root, brand};

const CORES: usize = 4;
/// Small enough that memory is short at times, so that requests fail and contexts are closed and opened.
const BYTES: usize = 512 << 10;
const STEPS: usize = 100_000;
/// Blocks that wait for a core at most.
const MAIL: usize = 20;

/// Where all wait for each other, so that none is done before another one begins.
static START: Barrier = Barrier::new(CORES);

thread_local! {
    static CORE: Cell<usize> = const { Cell::new(0) };
}

/// Each thread counts as a core.
struct Threads;

impl CoreId for Threads {
    fn core_id() -> usize {
        CORE.get()
    }
}

type SharedHeap = Heap<FairSpin, Threads, CORES>;

/// A block, full of a pattern that no other block has.
struct Block {
    start: *mut u8,
    layout: Layout,
    seed: u64,
    owner: usize,
}

// SAFETY: whoever has it is the only one who uses the memory.
unsafe impl Send for Block {}

impl Block {
    fn new(heap: &SharedHeap, random: &mut Random, owner: usize) -> Option<Block> {
        let (size, align) = (random.size(3000).max(1), 1 << random.below(8));
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: the layout is not empty.
        let start = unsafe {
            if random.one_in(4) {
                heap.alloc_zeroed(layout)
            } else {
                heap.alloc(layout)
            }
        };
        let block = Block {
            start,
            layout,
            seed: random.next(),
            owner,
        };
        if start.is_null() {
            return None;
        }
        assert!(start.addr().is_multiple_of(align));
        block.write(0);
        Some(block)
    }

    fn byte(&self, at: usize) -> u8 {
        (self.seed >> (at % 6 * 8)) as u8 ^ at as u8
    }

    fn write(&self, from: usize) {
        for at in from..self.layout.size() {
            // SAFETY: the byte lies in the block, which is ours.
            unsafe { self.start.add(at).write(self.byte(at)) };
        }
    }

    fn verify(&self) {
        for at in 0..self.layout.size() {
            // SAFETY: the byte lies in the block, which is ours, and was written.
            let found = unsafe { self.start.add(at).read() };
            assert_eq!(
                found,
                self.byte(at),
                "byte {at} of a block of core {}, {:?}",
                self.owner,
                self.layout
            );
        }
    }

    /// Gives the block another size, if there is memory for that.
    fn resize(&mut self, heap: &SharedHeap, random: &mut Random) {
        let size = random.size(3000).max(1);
        // SAFETY: the block is ours, and was allocated with this layout; the size is not 0.
        let start = unsafe { heap.realloc(self.start, self.layout, size) };
        if !start.is_null() {
            let before = self.layout.size();
            self.start = start;
            self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
            self.write(before.min(size));
        }
        self.verify();
    }

    fn free(self, heap: &SharedHeap) {
        self.verify();
        // SAFETY: the block is ours, and was allocated with this layout.
        unsafe { heap.dealloc(self.start, self.layout) };
    }
}

fn unsent(error: TrySendError<Block>) -> Block {
    match error {
        TrySendError::Full(block) | TrySendError::Disconnected(block) => block,
    }
}

/// The native load of one core.
struct Native<'a> {
    heap: &'a SharedHeap,
    core: usize,
    random: Random,
    blocks: Vec<Block>,
    neighbour: SyncSender<Block>,
    mail: Receiver<Block>,
    foreign: usize,
}

impl Native<'_> {
    fn step(&mut self) {
        let heap = self.heap;
        if self.blocks.len() < 30 {
            self.blocks.extend(Block::new(heap, &mut self.random, self.core));
        } else {
            let block = self.blocks.swap_remove(self.random.below(30));
            if self.random.one_in(2) {
                // A neighbour that sleeps need not have all memory when it wakes up.
                let returned = self.neighbour.try_send(block).err();
                returned.into_iter().for_each(|error| unsent(error).free(heap));
            } else {
                block.free(heap);
            }
        }
        if let Some(block) = self.blocks.last_mut().filter(|_| self.random.one_in(8)) {
            block.resize(heap, &mut self.random);
        }
        if let Ok(block) = self.mail.try_recv() {
            self.take(block);
        }
    }

    fn take(&mut self, block: Block) {
        assert_ne!(block.owner, self.core);
        self.foreign += 1;
        block.free(self.heap);
    }

    /// Frees everything, what the others still send as well. Returns the number of blocks of other cores.
    fn end(mut self) -> usize {
        self.blocks.drain(..).for_each(|block| block.free(self.heap));
        // The neighbours' senders end with them; this one must go for the ring to come to rest.
        self.neighbour = sync_channel(0).0;
        while let Ok(block) = self.mail.recv() {
            self.take(block);
        }
        self.foreign
    }
}

/// A tree of `size` nodes, whose values are those of a heap-ordered array; less, where memory ends.
fn tree<A: Brand>(cx: &mut Cx<A>, size: u32) -> Vec<Root<Node<'static, A>, A>> {
    let mut nodes: Vec<Root<Node<A>, A>> = Vec::new();
    for value in 0..size {
        let Ok(node) = cx.new::<Node<A>>(|_| Node::new(value)) else {
            break;
        };
        if let Some(parent) = (value as usize).checked_sub(1).map(|index| &nodes[index / 2]) {
            let (parent, child) = (parent.get(cx), node.get(cx));
            let side = if value % 2 == 1 { &parent.left } else { &parent.right };
            side.set(cx, Some(child));
        }
        nodes.push(node);
    }
    nodes
}

/// Counts the nodes below the first one of [`tree`], and verifies them.
fn verify<A: Brand>(cx: &Cx<A>, root: &Root<Node<'static, A>, A>) -> usize {
    let (mut left, mut count) = (vec![root.get(cx)], 0);
    while let Some(node) = left.pop() {
        count += 1;
        let value = node.value.get();
        for (child, expected) in [(&node.left, 2 * value + 1), (&node.right, 2 * value + 2)] {
            if let Some(child) = child.get(cx) {
                assert_eq!(child.value.get(), expected);
                left.push(child);
            }
        }
    }
    count
}

/// What one core does; returns the blocks of others that it has freed, and the collections of its arena.
fn work<A: Brand>(heap: &'static SharedHeap, mut native: Native<'_>) -> (usize, u32) {
    CORE.set(native.core);
    let mut arena = Arena::<A>::branded(heap).unwrap();
    START.wait();
    arena.enter(|cx| {
        cx.set_budget(8 << 10);
        let mut kept = None::<(Root<Node<A>, A>, usize)>;
        for step in 0..scaled(STEPS) {
            native.step();
            if step % 20 == 0 {
                if let Some((root, count)) = &kept {
                    assert_eq!(verify(cx, root), *count, "a tree has lost nodes");
                }
                let size = 1 + native.random.below(100) as u32;
                let mut nodes = tree(cx, size);
                kept = (!nodes.is_empty()).then(|| (nodes.swap_remove(0), nodes.len() + 1));
            }
            if step % 50 == 0 {
                cx.poll();
                let _ = heap.poll();
            }
        }
        cx.collect(terrace::Generation::Old);
        cx.verify().unwrap();
    });
    let collections = arena.stats().collections.iter().sum();
    drop(arena);
    (native.end(), collections)
}

type Work = fn(&'static SharedHeap, Native<'_>) -> (usize, u32);

brand!(Arena0);
brand!(Arena1);
brand!(Arena2);
brand!(Arena3);

#[test]
fn c22_cores_with_arenas_of_their_own_share_a_heap_with_a_fair_lock() {
    let heap: &'static SharedHeap = memory::for_good(SharedHeap::new());
    let memory = memory::for_good(Memory::new(BYTES));
    // SAFETY: the memory is this heap's for good.
    unsafe { heap.claim_raw(memory.start(), memory.bytes()) }.unwrap();
    let seed = 22;
    println!("seed {seed}");

    let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..CORES).map(|_| sync_channel(MAIL)).unzip();
    senders.rotate_left(1); // each to the next one
    let works: [Work; CORES] = [work::<Arena0>, work::<Arena1>, work::<Arena2>, work::<Arena3>];
    let threads: Vec<_> = senders
        .into_iter()
        .zip(receivers)
        .zip(works)
        .enumerate()
        .map(|(core, ((neighbour, mail), work))| {
            let native = Native {
                heap,
                core,
                random: Random::new(seed + core as u64),
                blocks: Vec::new(),
                neighbour,
                mail,
                foreign: 0,
            };
            thread::spawn(move || work(heap, native))
        })
        .collect();
    for (core, thread) in threads.into_iter().enumerate() {
        let (foreign, collections) = thread.join().unwrap();
        assert!(foreign > 0, "core {core} has freed no block of another one");
        assert!(collections > 0, "core {core} has collected nothing");
    }
    heap.check().unwrap();
    let stats = heap.stats();
    assert_eq!(stats.used, 0, "{stats}");
    heap.trim();
    assert_eq!(
        heap.stats().largest_free,
        heap.stats().capacity,
        "all is one piece again"
    );
}
