//! Arenas that nobody is using are collected for those who need memory (rows A2, B6, B7, E1, E2).

#[path = "support/node.rs"]
mod node;
mod support;
#[path = "support/threads.rs"]
mod threads;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use node::Node;
use support::{Random, heap_for_good as heap};
use terrace::*;
use threads::spin_heap_for_good;

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

/// Fills an arena with lists of nodes, of which the roots keep a part; leaves `spare` bytes to the heap.
fn fill<A: Brand>(
    cx: &mut Cx<A>,
    load: impl Fn() -> Load,
    spare: usize,
    keep: usize,
) -> Vec<Root<Node<'static, A>, A>> {
    cx.set_budget(1 << 30);
    let mut kept = Vec::new();
    for i in 0.. {
        if load().free() < spare {
            break;
        }
        let Ok(node) = cx.new::<Node<A>>(|_| Node::new(i)) else {
            break; // what is left is in pieces
        };
        if i as usize % 100 < keep {
            kept.push(node);
        }
    }
    kept
}

#[test]
fn e2_a_native_request_that_fails_collects_parked_arenas_and_succeeds() {
    brand!(Here);
    let heap = heap(256 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let kept = arena.enter(|cx| fill(cx, || heap.load(), 8 << 10, 10));
    let bytes = 100 << 10;
    assert!(heap.stats().largest_free < bytes);
    for zeroed in [false, true] {
        // SAFETY: the layout is not empty, and the block is given up.
        unsafe {
            let block = if zeroed {
                heap.alloc_zeroed(layout(bytes))
            } else {
                heap.alloc(layout(bytes))
            };
            assert!(!block.is_null());
            heap.dealloc(block, layout(bytes));
        }
    }
    let stats = heap.gc_stats();
    assert_eq!(
        (stats.collections[2], stats.for_others),
        (1, 1),
        "the second time there was room"
    );
    assert_eq!(heap.stats().failures, 0, "no request has failed");
    assert_eq!(heap.poll().callbacks, 0);
    arena.enter(|cx| {
        assert!(
            kept.iter()
                .map(|node| node.get(cx).value.get())
                .all(|value| value % 100 < 10)
        );
        cx.verify().unwrap();
    });
    heap.check().unwrap();
}

#[test]
fn e2_a_block_that_must_grow_finds_room_as_well() {
    brand!(Here);
    let heap = heap(128 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    // SAFETY: the layouts are not empty; the block is as large as its layout says.
    unsafe {
        let block = heap.alloc(layout(1000));
        block.write_bytes(7, 1000);
        let kept = arena.enter(|cx| fill(cx, || heap.load(), 4 << 10, 5));
        let grown = heap.realloc(block, layout(1000), 60_000);
        assert!(!grown.is_null());
        assert!((0..1000).all(|index| grown.add(index).read() == 7));
        heap.dealloc(grown, layout(60_000));
        arena.enter(|cx| assert!(kept.iter().all(|node| node.get(cx).value.get() % 100 < 5)));
    }
    assert_eq!(heap.gc_stats().for_others, 1);
}

#[test]
fn e2_what_cannot_be_helped_fails_once_and_is_told() {
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let kept = arena.enter(|cx| fill(cx, || heap.load(), 8 << 10, 100));
    for round in 1..=3 {
        // SAFETY: the layout is not empty.
        assert!(unsafe { heap.alloc(layout(40 << 10)) }.is_null());
        assert_eq!(heap.stats().failures, round, "each request fails once");
        assert_eq!(
            heap.gc_stats().for_others,
            1,
            "what nobody has used since is not collected again"
        );
    }
    arena.enter(|cx| assert_eq!(kept.last().unwrap().get(cx).value.get() as usize, kept.len() - 1));
}

#[test]
fn e2_no_user_code_runs_in_such_a_collection() {
    struct Noisy(Rc<Cell<u32>>);
    impl Drop for Noisy {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let dropped = Rc::new(Cell::new(0));
    arena.enter(|cx| {
        for _ in 0..10 {
            cx.new::<Plain<Noisy>>(|_| Plain(Noisy(dropped.clone()))).unwrap();
        }
        fill(cx, || heap.load(), 4 << 10, 0);
    });
    // SAFETY: the layout is not empty, and the block is given up.
    unsafe {
        let block = heap.alloc(layout(30 << 10));
        assert!(!block.is_null());
        heap.dealloc(block, layout(30 << 10));
    }
    assert_eq!(dropped.get(), 0, "destructors wait for a poll");
    assert_eq!(arena.enter(|cx| cx.poll()), 10);
    assert_eq!(dropped.get(), 10);
}

#[test]
fn e2_an_arena_that_is_entered_is_left_alone() {
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        fill(cx, || heap.load(), 4 << 10, 0);
        let node = cx.try_new(Node::<Here>::new(5));
        // SAFETY: the layout is not empty.
        assert!(unsafe { heap.alloc(layout(40 << 10)) }.is_null());
        assert_eq!(node.unwrap().value.get(), 5, "the window is open all the time");
    });
    assert_eq!(heap.gc_stats().for_others, 0);
}

#[test]
fn e1_an_arena_gets_what_another_one_holds_for_nothing() {
    brand!(Rich);
    brand!(Poor);
    let heap = heap(128 << 10);
    let mut rich = Arena::<Rich>::branded(heap).unwrap();
    let mut poor = Arena::<Poor>::branded(heap).unwrap();
    rich.enter(|cx| fill(cx, || heap.load(), 8 << 10, 0));
    let kept = poor
        .enter(|cx| cx.new_slice::<u8>(60_000, |_, index| index as u8))
        .unwrap();
    poor.enter(|cx| {
        assert!(
            kept.get(cx)
                .iter()
                .enumerate()
                .all(|(index, byte)| *byte == index as u8)
        )
    });
}

#[test]
fn e2_a_program_that_needs_it_runs_in_little_more_than_its_live_data() {
    // A native buffer of half of the live data comes and goes; the rest is an arena's, of which much is garbage in between.
    brand!(Here);
    let live = 256 << 10;
    // Feature `check` keeps tables of its own.
    let heap = heap(live + live / if cfg!(feature = "check") { 6 } else { 10 });
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let mut random = Random::new(7);
    let count = (live / 2 / size_of_object::<Node<Here>>()) as u32;
    let list = arena.enter(|cx| {
        let mut list = cx.new::<Node<Here>>(|_| Node::new(0)).unwrap();
        for value in 1..count {
            list = cx
                .new::<Node<Here>>(|g| {
                    let node = Node::new(value);
                    node.left.set(g, Some(list.get(g)));
                    node
                })
                .unwrap();
        }
        list
    });
    for round in 0..200 {
        arena.enter(|cx| {
            for _ in 0..random.below(2000) {
                let _ = cx.new::<[u64; 3]>(|_| [0; 3]).unwrap();
            }
        });
        let size = layout(live / 2);
        // SAFETY: the layout is not empty, and the block is given up.
        unsafe {
            let block = heap.alloc(size);
            assert!(!block.is_null(), "round {round}: {}", heap.stats());
            block.write_bytes(round as u8, size.size());
            heap.dealloc(block, size);
        }
    }
    assert!(heap.gc_stats().for_others > 0, "without it, it would have failed");
    arena.enter(|cx| {
        let mut at = Some(list.get(cx));
        for value in (0..count).rev() {
            let node = at.unwrap();
            assert_eq!(node.value.get(), value);
            at = node.left.get(cx);
        }
    });
}

#[test]
fn e2_handles_come_and_go_while_another_thread_collects() {
    brand!(Here);
    let heap: &'static SpinHeap = spin_heap_for_good(256 << 10);
    let (start, done) = (Barrier::new(2), AtomicBool::new(false));
    let collections = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            while !done.load(Relaxed) {
                collections.fetch_add(heap.collect(Generation::Old).collected as usize, Relaxed);
                // SAFETY: the layout is not empty, and the block is given up.
                unsafe {
                    let block = heap.alloc(layout(150 << 10));
                    if !block.is_null() {
                        heap.dealloc(block, layout(150 << 10));
                    }
                }
            }
        });
        let mut arena = Arena::<Here>::branded(heap).unwrap();
        let mut random = Random::new(11);
        let mut kept = Vec::new();
        start.wait();
        let rounds = support::scaled(3000) as u32;
        for round in 0..rounds.max(50) {
            arena.enter(|cx| {
                for _ in 0..10 {
                    kept.push((round, cx.new::<Node<Here>>(|_| Node::new(round)).unwrap()));
                    let pinned = cx.new_buffer(8).unwrap();
                    drop(cx.pin(pinned.get(cx)).unwrap());
                }
            });
            let pin = arena.enter(|cx| {
                let buffer = cx.new_buffer(8).unwrap();
                cx.pin(buffer.get(cx)).unwrap()
            });
            while kept.len() > 100 {
                // Outside of `enter`, whatever the other thread does.
                kept.swap_remove(random.below(kept.len()));
            }
            drop(pin);
            arena.enter(|cx| assert!(kept.iter().all(|(value, node)| node.get(cx).value.get() == *value)));
            let _ = arena.stats();
        }
        done.store(true, Relaxed);
        drop(kept);
    });
    heap.check().unwrap();
    assert_eq!(heap.gc_stats().arenas, 0, "all is withdrawn");
}

#[test]
fn e2_threads_that_need_memory_collect_each_others_arenas() {
    brand!(One);
    brand!(Two);
    fn run<A: Brand>(heap: &'static SpinHeap, seed: u64) {
        let mut arena = Arena::<A>::branded(heap).unwrap();
        let mut random = Random::new(seed);
        let mut kept = Vec::new();
        for round in 0..support::scaled(400).max(20) {
            arena.enter(|cx| {
                for i in 0..300 {
                    // If the other one has everything right now, that is an error and nothing else.
                    if let Ok(node) = cx.new::<Node<A>>(|_| Node::new(round as u32))
                        && i % 100 == 0
                    {
                        kept.push((round as u32, node));
                    }
                }
            });
            while kept.len() > 60 {
                kept.swap_remove(random.below(kept.len()));
            }
            let size = layout(1000 + random.below(20_000));
            // SAFETY: the layout is not empty, and the block is given up.
            unsafe {
                let block = heap.alloc(size);
                if !block.is_null() {
                    block.write_bytes(0xAA, size.size());
                    heap.dealloc(block, size);
                }
            }
            arena.enter(|cx| assert!(kept.iter().all(|(value, node)| node.get(cx).value.get() == *value)));
        }
    }
    let heap: &'static SpinHeap = spin_heap_for_good(96 << 10);
    thread::scope(|scope| {
        scope.spawn(|| run::<One>(heap, 1));
        scope.spawn(|| run::<Two>(heap, 2));
    });
    heap.check().unwrap();
    assert_eq!(heap.load().used, 0);
}

/// Says that an interrupt is being handled, if the thread wants that.
struct Interruptible;

thread_local! {
    static IN_INTERRUPT: Cell<bool> = const { Cell::new(false) };
}

impl CoreId for Interruptible {
    fn core_id() -> usize {
        0
    }

    fn in_interrupt() -> bool {
        IN_INTERRUPT.get()
    }
}

#[test]
fn e2_an_interrupt_never_collects() {
    brand!(Here);
    let heap: &'static Heap<Spin, Interruptible> = spin_heap_for_good(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| fill(cx, || heap.load(), 4 << 10, 0));
    IN_INTERRUPT.set(true);
    // SAFETY: the layout is not empty.
    assert!(unsafe { heap.alloc(layout(30 << 10)) }.is_null());
    assert_eq!(heap.collect(Generation::Old), Collected::default());
    assert_eq!(heap.pressure(Pressure::Critical), Collected::default());
    assert_eq!(heap.gc_stats().collections, [0; 3]);
    IN_INTERRUPT.set(false);
    assert!(heap.poll().collections > 0, "what the interrupt has posted");
    // SAFETY: the layout is not empty.
    assert!(!unsafe { heap.alloc(layout(30 << 10)) }.is_null());
}

#[test]
fn b7_collect_takes_a_generation_or_all_of_them() {
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| cx.new::<u32>(|_| 1).unwrap());
    for (generation, expected) in [
        (Generation::Young, [1, 0, 0]),
        (Generation::Middle, [1, 1, 0]),
        (Generation::Old, [1, 1, 1]),
    ] {
        assert_eq!(heap.collect(generation).collected, 1);
        assert_eq!(heap.gc_stats().collections, expected);
        assert_eq!(arena.stats().collections, expected);
    }
}

#[test]
fn b7_startup_limits_are_set_once() {
    brand!(Here);
    brand!(There);
    let heap = heap(512 << 10);
    for (segment, young) in [(1023, 4096), (4096, 0), (usize::MAX, 4096)] {
        let error = heap.set_startup_limits(segment, young).unwrap_err();
        assert!(matches!(error, StartupError::OutOfRange { least: 1024, .. }), "{error}");
    }
    let mut before = Arena::<There>::branded(heap).unwrap();
    heap.set_startup_limits(4 << 10, 8 << 10).unwrap();
    assert_eq!(heap.set_startup_limits(8 << 10, 8 << 10), Err(StartupError::AlreadySet));
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let segment = |segments: &mut dyn Iterator<Item = SegmentInfo>| segments.next().unwrap().bytes;
    arena.enter(|cx| {
        cx.new::<u32>(|_| 1).unwrap();
        assert_eq!(segment(&mut cx.segments()), 4 << 10);
        for _ in 0..1000 {
            cx.new::<[u64; 7]>(|_| [0; 7]).unwrap();
            assert!(cx.stats().young <= 12 << 10);
        }
        assert!(cx.stats().collections[0] >= 4);
    });
    before.enter(|cx| {
        cx.new::<u32>(|_| 1).unwrap();
        assert!(segment(&mut cx.segments()) > 8 << 10, "it was there before");
    });
}

#[test]
fn b6_low_collects_at_the_next_poll_and_the_others_steer() {
    brand!(Here);
    let heap = heap(256 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let collections = |arena: &mut Arena<Here>| {
        let before = arena.stats().collections.iter().sum::<u32>();
        arena.enter(|cx| {
            cx.safe_point();
            for _ in 0..20_000 {
                cx.new::<[u64; 7]>(|_| [0; 7]).unwrap();
            }
        });
        arena.stats().collections.iter().sum::<u32>() - before
    };
    // Budgets follow survival: let them settle.
    collections(&mut arena);
    let neutral = collections(&mut arena);
    heap.notify(Available::Low);
    assert_eq!(heap.gc_stats().collections[2], 0, "posting does nothing else");
    assert!(heap.poll().collections == 1 && heap.gc_stats().collections[2] == 1);
    let low = collections(&mut arena);
    arena.enter(|cx| cx.collect(Generation::Young));
    heap.notify(Available::High);
    assert_eq!(heap.poll().collections, 0);
    let high = collections(&mut arena);
    arena.enter(|cx| cx.collect(Generation::Young));
    heap.notify(Available::Neutral);
    assert_eq!(heap.poll().collections, 0);
    let again = collections(&mut arena);
    assert!(
        low > neutral * 3 / 2 && high < neutral * 3 / 4,
        "{low}, {neutral}, {high}"
    );
    assert!(again.abs_diff(neutral) <= 1, "{again}, {neutral}");
}

#[test]
fn a2_a_high_load_makes_the_next_collection_a_full_one_and_is_told() {
    brand!(Here);
    let heap = heap(128 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        cx.set_budget(4 << 10);
        let mut kept = Vec::new();
        while heap.load().percent() < 84 {
            kept.push(cx.new::<[u64; 15]>(|_| [1; 15]).unwrap());
        }
        let full = cx.stats().collections[2];
        assert_eq!(heap.poll().callbacks, 0, "silent so far");
        while heap.load().percent() < 86 && cx.stats().collections[2] == full {
            kept.push(cx.new::<[u64; 15]>(|_| [1; 15]).unwrap());
        }
        for _ in 0..100 {
            cx.new::<[u64; 15]>(|_| [1; 15]).unwrap();
        }
        assert!(cx.stats().collections[2] > full, "{}", cx.stats());
        assert_eq!(heap.stats().low_memory, 1);
    });
}
