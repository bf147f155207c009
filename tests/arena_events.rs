//! What an arena tells of its collections: events, counters, pauses (rows C7, C15, C21).

mod support;

use std::cell::{Cell, RefCell};

use support::heap_for_good as heap;
use terrace::*;

thread_local! {
    /// What the sink was told.
    static TOLD: RefCell<Vec<ArenaEvent>> = const { RefCell::new(Vec::new()) };
    /// What the clock says next.
    static NOW: Cell<u32> = const { Cell::new(0) };
}

fn sink(event: &ArenaEvent) {
    TOLD.with_borrow_mut(|told| told.push(*event));
}

/// Takes what the sink was told.
fn told() -> Vec<ArenaEvent> {
    TOLD.take()
}

/// Each look at it takes 10 ticks, and each further one 10 more.
fn clock() -> u32 {
    NOW.set(NOW.get().wrapping_mul(2).wrapping_add(10));
    NOW.get()
}

fn causes(events: &[ArenaEvent]) -> Vec<(Generation, CollectionCause)> {
    let started = |event: &ArenaEvent| match *event {
        ArenaEvent::Started { generation, cause, .. } => Some((generation, cause)),
        _ => None,
    };
    events.iter().filter_map(started).collect()
}

#[test]
fn c21_a_collection_is_told_from_start_to_end() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(256 << 10)).unwrap();
    arena.enter(|cx| {
        cx.set_sink(Some(sink)).unwrap();
        cx.set_clock(Some(clock)).unwrap();
        NOW.set(0);
        let mut kept: Vec<_> = (0..100).map(|i| cx.new::<u64>(|_| i).unwrap()).collect();
        let held = cx.stats().held;
        let pin = cx.pin(kept[99].get(cx)).unwrap();
        for i in 0..30 {
            kept.remove(i);
        }
        cx.collect(Generation::Young);
        assert!(told().is_empty(), "nothing before a poll");
        cx.poll();
        let size = size_of_object::<u64>();
        let live = 70 * size;
        assert_eq!(
            told(),
            [
                ArenaEvent::Started {
                    generation: Generation::Young,
                    cause: CollectionCause::Asked,
                    ticks: 10
                },
                ArenaEvent::Marked {
                    live,
                    dead: held - live,
                    cards: 0
                },
                ArenaEvent::Pinned { count: 1 },
                ArenaEvent::Decided {
                    compacts: true,
                    reason: Reason::Fragmentation,
                    plugs: 30,
                    gaps: 31,
                    moving: 69 * size
                },
                ArenaEvent::Promoted {
                    to: Generation::Middle,
                    bytes: live
                },
                ArenaEvent::Segments { taken: held, given: 0 },
                ArenaEvent::Ended { held, pause: 20 },
            ]
        );
        let stats = cx.stats();
        assert_eq!((stats.last_pause, stats.largest_pause), (20, 20));
        assert_eq!((stats.plugs, stats.gaps, stats.survived), (30, 31, [live, 0, 0]));
        drop((kept, pin));
        cx.compact();
        cx.poll();
        let events = told();
        assert!(
            events.contains(&ArenaEvent::Segments { taken: 0, given: held }),
            "{events:?}"
        );
        assert!(
            matches!(events.last(), Some(ArenaEvent::Ended { held: 0, pause: 80 })),
            "{events:?}"
        );
        assert_eq!((cx.stats().last_pause, cx.stats().largest_pause), (80, 80));
        cx.poll();
        assert!(told().is_empty(), "once");
    });
}

#[test]
fn c21_the_cause_is_told() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        cx.set_sink(Some(sink)).unwrap();
        let last = |cx: &mut Cx<Here>, work: &mut dyn FnMut(&mut Cx<Here>)| {
            cx.poll();
            told();
            work(cx);
            cx.poll();
            *causes(&told()).last().unwrap()
        };
        let all = last(cx, &mut |cx| cx.collect(Generation::Middle));
        assert_eq!(all, (Generation::Middle, CollectionCause::Asked));
        let budget = last(cx, &mut |cx| {
            cx.set_budget(2048);
            (0..200).for_each(|_| drop(cx.new::<u64>(|_| 0).unwrap()));
        });
        assert_eq!(budget, (Generation::Young, CollectionCause::Budget));
        let reserve = last(cx, &mut |cx| assert!(cx.reserve(1 << 20).is_err()));
        assert_eq!(reserve, (Generation::Old, CollectionCause::Reserve));
        let exhaustion = last(cx, &mut |cx| assert!(cx.new_slice::<u64>(1 << 20, |_, _| 0).is_err()));
        assert_eq!(exhaustion, (Generation::Old, CollectionCause::Exhaustion));
        let stress = last(cx, &mut |cx| {
            cx.set_stress(true);
            cx.safe_point();
        });
        assert_eq!(stress.1, CollectionCause::Stress);
    });
}

#[test]
fn c15_the_reason_for_the_choice_is_told() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(256 << 10)).unwrap();
    arena.enter(|cx| {
        cx.set_sink(Some(sink)).unwrap();
        cx.set_budget(1 << 20);
        let decided = || {
            told().into_iter().find_map(|event| match event {
                ArenaEvent::Decided { compacts, reason, .. } => Some((compacts, reason)),
                _ => None,
            })
        };
        for (every, compacts) in [(10, false), (2, true)] {
            let mut kept = Vec::new();
            for i in 0..4000 {
                let root = cx.new::<u64>(|_| i).unwrap();
                if (i % every != 0) == (every == 10) {
                    kept.push(root);
                }
            }
            cx.collect(Generation::Young);
            cx.poll();
            assert_eq!(decided(), Some((compacts, Reason::Fragmentation)), "{every}");
            kept.remove(0);
            cx.compact();
            cx.poll();
            assert_eq!(decided(), Some((true, Reason::Cause)));
            cx.compact();
            cx.poll();
            assert_eq!(decided(), Some((false, Reason::Nothing)));
            drop(kept);
            cx.collect(Generation::Old);
            cx.poll();
            told();
        }
    });
}

#[test]
fn c21_what_is_not_polled_is_counted() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        cx.set_sink(Some(sink)).unwrap();
        for _ in 0..REMEMBERED + 5 {
            cx.collect(Generation::Young);
        }
        cx.poll();
        let events = told();
        assert_eq!(events[0], ArenaEvent::Lost { collections: 5 });
        assert_eq!(causes(&events).len(), REMEMBERED);
        cx.collect(Generation::Young);
        cx.set_sink(None).unwrap();
        cx.set_sink(Some(sink)).unwrap();
        cx.poll();
        assert!(told().is_empty(), "a sink is told of what comes after it");
    });
}

#[test]
fn c21_a_sink_may_allocate_and_drop_handles() {
    brand!(Here);
    thread_local! {
        static HEAP: Cell<Option<&'static LocalHeap>> = const { Cell::new(None) };
        static HANDLES: RefCell<Vec<Root<u64, Here>>> = const { RefCell::new(Vec::new()) };
    }
    fn greedy(event: &ArenaEvent) {
        let heap = HEAP.get().unwrap();
        let layout = std::alloc::Layout::new::<[u64; 100]>();
        // SAFETY: the layout is not empty, and the block is this heap's, of this layout.
        unsafe {
            let block = std::alloc::GlobalAlloc::alloc(heap, layout);
            assert!(!block.is_null());
            std::alloc::GlobalAlloc::dealloc(heap, block, layout);
        }
        drop(HANDLES.with_borrow_mut(Vec::pop));
        sink(event);
    }
    let heap = heap(64 << 10);
    HEAP.set(Some(heap));
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let handles = cx.stats().handles;
        for i in 0..10 {
            let root = cx.new::<u64>(|_| i).unwrap();
            HANDLES.with_borrow_mut(|handles| handles.push(root));
        }
        cx.set_sink(Some(greedy)).unwrap();
        cx.collect(Generation::Young);
        cx.collect(Generation::Young);
        cx.poll();
        assert!(told().len() >= 8);
        assert!(cx.stats().handles < handles + 10);
        cx.compact();
        assert_eq!(cx.walk().count() + handles, cx.stats().handles);
        HANDLES.take();
    });
    drop(arena);
    heap.check().unwrap();
}

#[test]
fn c21_a_clock_that_drops_handles_does_no_harm() {
    brand!(Here);
    thread_local! {
        static HANDLES: RefCell<Vec<Root<u64, Here>>> = const { RefCell::new(Vec::new()) };
        static PINS: RefCell<Vec<Pinned<u64, Here>>> = const { RefCell::new(Vec::new()) };
    }
    fn clumsy() -> u32 {
        drop(HANDLES.with_borrow_mut(Vec::pop));
        drop(PINS.with_borrow_mut(Vec::pop));
        0
    }
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        for i in 0..5 {
            let root = cx.new::<u64>(|_| i).unwrap();
            let pin = cx.pin(root.get(cx)).unwrap();
            HANDLES.with_borrow_mut(|handles| handles.push(root));
            PINS.with_borrow_mut(|pins| pins.push(pin));
        }
        let handles = cx.stats().handles;
        cx.set_clock(Some(clumsy)).unwrap();
        cx.compact();
        cx.compact();
        assert_eq!(cx.stats().handles, handles, "they are never given up");
        assert_eq!((cx.walk().count(), cx.stats().pinned), (5, 5));
        cx.set_clock(None).unwrap();
        HANDLES.take();
        PINS.take();
        cx.compact();
        assert_eq!(
            cx.walk().count(),
            4,
            "all but one have a handle that was dropped within a collection"
        );
    });
}

#[test]
fn c21_observing_needs_memory_and_gives_it_back() {
    brand!(Here);
    let heap = heap(64 << 10);
    let before = heap.stats().used;
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let observed = arena.enter(|cx| {
        let used = heap.stats().used;
        cx.set_sink(Some(sink)).unwrap();
        let taken = heap.stats().used - used;
        cx.set_clock(Some(clock)).unwrap();
        assert_eq!(heap.stats().used, used + taken, "once");
        taken
    });
    assert!((1..=1024).contains(&observed), "{observed}");
    drop(arena);
    assert_eq!(heap.stats().used, before);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let mut blocks = Vec::new();
        for size in [1024, 64, 8] {
            let layout = std::alloc::Layout::from_size_align(size, 8).unwrap();
            // SAFETY: the layout is not empty.
            while let Some(block) = std::ptr::NonNull::new(unsafe { std::alloc::GlobalAlloc::alloc(heap, layout) }) {
                blocks.push((block, layout));
            }
        }
        let refused = cx
            .set_sink(Some(sink))
            .map_err(|error| error.requested.next_multiple_of(8));
        assert_eq!(refused, Err(observed));
        for (block, layout) in blocks {
            // SAFETY: the block is this heap's, of this layout.
            unsafe { std::alloc::GlobalAlloc::dealloc(heap, block.as_ptr(), layout) };
        }
        cx.set_sink(Some(sink)).unwrap();
    });
}

#[test]
fn c7_every_step_of_the_slow_way_is_counted() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        cx.set_budget(1 << 20);
        assert_eq!(cx.stats().steps.segments, 0);
        let kept = cx.new::<u64>(|_| 1).unwrap();
        assert_eq!((cx.stats().steps.segments, cx.stats().steps.large), (1, 0));
        let large = cx.new_slice::<u64>(1000, |_, _| 0).unwrap();
        assert_eq!(cx.stats().steps.large, 1);
        // Until there is nothing left: what is young is collected, then all, and the last attempt fails.
        let mut list = Vec::new();
        while let Ok(root) = cx.new::<[u64; 15]>(|_| [0; 15]) {
            list.push(root);
        }
        let steps = cx.stats().steps;
        assert_eq!(steps.failures, 1);
        assert!(steps.young >= 1 && steps.full >= 1 && steps.segments > 10, "{steps:?}");
        // Gaps of old segments are what is left when there are no segments to be had.
        let mut index = 0;
        list.retain(|_| {
            index += 1;
            index % 8 != 0
        });
        cx.collect(Generation::Old);
        let before = cx.stats().steps;
        while cx.try_new([0u64; 15]).is_ok() {}
        let after = cx.stats().steps;
        assert!(after.old_gaps > before.old_gaps, "{before:?} {after:?}");
        assert_eq!(
            after.failures, before.failures,
            "nothing is collected in a window, and nothing counted"
        );
        drop((kept, large));
    });
}

#[test]
fn c21_dirty_cards_are_counted() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(256 << 10)).unwrap();
    arena.enter(|cx| {
        let list = cx.new_slice::<Slot<u64, Here>>(2000, |_, _| Slot::null()).unwrap();
        cx.collect(Generation::Old);
        let value = cx.try_new(1u64).unwrap();
        // 8000 bytes: 16 bricks, of which every other one is written to.
        for brick in (0..15).step_by(2) {
            list.get(cx)[brick * 128 + 64].set(cx, Some(value));
        }
        cx.collect(Generation::Young);
        assert_eq!(cx.stats().cards, 8);
        cx.collect(Generation::Young);
        assert_eq!(cx.stats().cards, 0);
    });
}
