//! Limits: of a heap, and of arenas; and how critical an arena is.

mod support;

use std::alloc::{GlobalAlloc, Layout};

use support::watch::{record, told};
use support::{Hog, Random, heap_for_good as heap, scaled};
use terrace::*;

const UNIT: Layout = Layout::new::<[u64; 4]>();

fn hard(bytes: usize) -> Limits {
    Limits {
        hard: Some(bytes),
        soft: None,
    }
}

fn soft(bytes: usize) -> Limits {
    Limits {
        soft: Some(bytes),
        hard: None,
    }
}

/// Allocates until that fails; frees nothing.
fn fill(heap: &LocalHeap) -> Vec<*mut u8> {
    // SAFETY: the layout is not empty.
    let blocks = std::iter::repeat_with(|| unsafe { heap.alloc(UNIT) });
    blocks.take_while(|block| !block.is_null()).collect()
}

#[test]
fn b10_a_limit_reached_is_an_error_in_all_fronts_of_the_heap() {
    let heap = heap(64 << 10);
    heap.on_low_memory(record, &()).unwrap();
    heap.set_limits(hard(20_004)).unwrap();
    let blocks = fill(heap);
    let used = heap.load().used;
    assert!(used <= 20_000 && used > 20_000 - UNIT.size(), "{used}");
    // SAFETY: the layouts are not empty; blocks are the heap's.
    unsafe {
        assert!(heap.alloc_zeroed(Layout::new::<[u64; 40]>()).is_null());
        assert!(heap.realloc(blocks[0], UNIT, 1000).is_null());
        assert!(heap.alloc(Layout::from_size_align(512, 256).unwrap()).is_null());
        assert!(heap.at(Criticality::Process).alloc(UNIT).is_null());
    }
    let error = heap.allocate_critical(UNIT, Criticality::Process).unwrap_err();
    assert!(matches!(error, RequestError::OutOfMemory { requested: 32, free, reserved } if free - reserved < 32));
    #[cfg(feature = "allocator-api2")]
    assert!(allocator_api2::alloc::Allocator::allocate(&heap, UNIT).is_err());
    assert!(heap.memory_load().available < UNIT.size());
    heap.check().unwrap();
    let _ = heap.poll();
    assert!(matches!(told().pop().unwrap().cause, Cause::Failure { .. }));

    // It can be changed: more is to be had at once; less, when enough was freed.
    heap.set_limits(hard(30_000)).unwrap();
    assert!(!fill(heap).is_empty());
    heap.set_limits(hard(10_000)).unwrap();
    assert_eq!(heap.limits(), hard(10_000));
    // SAFETY: blocks are the heap's, of this layout.
    let free = |block: &*mut u8| unsafe { heap.dealloc(*block, UNIT) };
    blocks.iter().for_each(free);
    assert!(heap.load().used > 9900 && fill(heap).len() <= 3);
    heap.set_limits(Limits::NONE).unwrap();
    assert!(fill(heap).len() > 1000);
    heap.check().unwrap();
}

#[test]
fn b10_the_soft_limit_makes_low_memory_due() {
    let heap = heap(64 << 10);
    heap.on_low_memory(record, &()).unwrap();
    heap.set_limits(soft(16_000)).unwrap();
    let mut blocks = vec![];
    for _ in 0..2 {
        while heap.load().used < 30_000 {
            // SAFETY: the layout is not empty.
            blocks.push(unsafe { heap.alloc(UNIT) });
            let callbacks = heap.poll().callbacks;
            for event in told() {
                assert_eq!((event.level, event.cause), (Pressure::Moderate, Cause::Watermark));
                assert!(event.load.used >= 16_000 && event.load.used < 16_000 + UNIT.size());
            }
            assert!(callbacks == 0 || heap.load().used < 16_100);
        }
        // SAFETY: blocks are the heap's, of this layout.
        blocks.drain(..).for_each(|block| unsafe { heap.dealloc(block, UNIT) });
        let _ = heap.poll();
    }
    assert_eq!(heap.stats().low_memory, 2);
    heap.set_limits(soft(40)).unwrap();
    assert_eq!(heap.poll().callbacks, 1, "it holds at once");
    heap.set_limits(Limits::NONE).unwrap();
    assert_eq!((fill(heap).len() > 1000, told().len()), (true, 1));
}

#[test]
fn b10_impossible_limits_are_typed_errors() {
    let heap = heap(16 << 10);
    let capacity = heap.load().capacity;
    for limit in [0, capacity + 1, usize::MAX] {
        let error = LimitError::OutOfRange { limit, capacity };
        assert_eq!(heap.set_limits(hard(limit)), Err(error));
        assert_eq!(heap.set_limits(soft(limit)), Err(error));
    }
    let limits = |soft, hard| Limits {
        soft: Some(soft),
        hard: Some(hard),
    };
    let crossed = LimitError::Crossed { soft: 5000, hard: 5000 };
    assert_eq!(heap.set_limits(limits(5000, 5000)), Err(crossed));
    heap.set_reserve(Criticality::Domain, 4000).unwrap();
    let below = LimitError::BelowReserve {
        hard: 3999,
        reserves: 4000,
    };
    assert_eq!(heap.set_limits(hard(3999)), Err(below));
    assert_eq!(heap.limits(), Limits::NONE, "nothing was changed");
    heap.set_limits(limits(5000, 6000)).unwrap();
    assert!(matches!(
        heap.set_reserve(Criticality::Process, 2001),
        Err(ReserveError::OutOfRange {
            reserves: 6008,
            capacity: 6000
        })
    ));
    assert!(matches!(
        support::empty_heap_for_good().set_limits(hard(1)),
        Err(LimitError::OutOfRange { capacity: 0, .. })
    ));
    let full = self::heap(4096);
    let hog = Hog::new(full);
    assert!(matches!(
        full.set_limits(hard(100)),
        Err(LimitError::OutOfMemory { .. })
    ));
    drop(hog);

    brand!(Here);
    let mut arena = Arena::<Here>::branded(self::heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let out = cx.set_limits(hard(1 << 20));
        assert!(matches!(out, Err(LimitError::OutOfRange { limit, capacity }) if limit == 1 << 20 && capacity < 65536));
        assert!(matches!(cx.set_limits(soft(0)), Err(LimitError::OutOfRange { .. })));
        assert_eq!(cx.set_limits(limits(5000, 5000)), Err(crossed));
        assert_eq!(cx.limits(), Limits::NONE);
        cx.set_limits(limits(5000, 6000)).unwrap();
        assert_eq!(cx.limits(), limits(5000, 6000));
    });
}

#[test]
fn b10_an_arena_at_its_hard_limit_collects_and_then_fails() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(128 << 10)).unwrap();
    arena.enter(|cx| {
        cx.set_limits(hard(20_000)).unwrap();
        // Garbage is no matter.
        for _ in 0..5000 {
            cx.new::<[u64; 10]>(|_| [0; 10]).unwrap();
        }
        let mut kept = vec![];
        let error = loop {
            match cx.new::<[u64; 10]>(|_| [0; 10]) {
                Ok(object) => kept.push(object),
                Err(error) => break error,
            }
        };
        assert_eq!(error.requested, size_of_object::<[u64; 10]>());
        assert!(cx.stats().held <= 20_000 && kept.len() > 100, "{} objects", kept.len());
        assert!(cx.new_pinned_buffer(4000).is_err());
        assert!(cx.reserve(5000).is_err());
        assert!(cx.new_slice::<u64>(2500, |_, _| 0).is_err(), "a large object");
        assert!(cx.try_new([0u64; 10]).is_err());
        assert_eq!(cx.verify(), Ok(()));
        cx.set_limits(hard(40_000)).unwrap();
        assert!(cx.new_slice::<u64>(2200, |_, _| 0).is_ok());
        cx.set_limits(hard(1000)).unwrap();
        assert!(cx.new_slice::<u64>(2200, |_, _| 0).is_err(), "less than is held");
        kept.clear();
        cx.set_limits(hard(20_000)).unwrap();
        for _ in 0..5000 {
            cx.new::<[u64; 10]>(|_| [0; 10]).unwrap();
        }
        assert!(cx.stats().held <= 20_000);
        assert_eq!(cx.verify(), Ok(()));
    });
}

#[test]
fn b10_an_arena_at_its_soft_limit_collects_fully_at_the_next_safe_point() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(256 << 10)).unwrap();
    arena.enter(|cx| {
        cx.set_budget(200 << 10); // none is due otherwise
        cx.set_limits(soft(40_000)).unwrap();
        let full = |cx: &Cx<Here>| cx.stats().collections[2];
        while cx.stats().held < 40_000 {
            assert!(!cx.is_due() && full(cx) == 0);
            cx.try_new([0u64; 10]).unwrap();
        }
        assert!(cx.is_due());
        cx.safe_point();
        assert!(full(cx) == 1 && cx.stats().held < 40_000 && !cx.is_due(), "once");
        // Not again while it stays above.
        let mut kept = vec![];
        while full(cx) == 1 {
            kept.push(cx.new::<[u64; 10]>(|_| [0; 10]).unwrap());
        }
        assert!(cx.stats().held >= 40_000);
        (0..300).for_each(|_| kept.push(cx.new::<[u64; 10]>(|_| [0; 10]).unwrap()));
        assert_eq!(full(cx), 2);
        kept.clear();
        cx.collect(Generation::Old);
        assert!(cx.stats().held < 40_000);
        while !cx.is_due() {
            cx.try_new([0u64; 10]).unwrap();
        }
        assert!(cx.stats().held >= 40_000 && cx.stats().held < 60_000);
        cx.set_limits(soft(1000)).unwrap();
        assert!(cx.is_due(), "it holds at once");
    });
}

#[test]
fn b10_limits_at_random_never_break_anything() {
    for seed in 0..scaled(30) as u64 {
        brand!(Here);
        let mut random = Random::new(seed);
        let heap = heap(128 << 10);
        let mut arena = Arena::<Here>::branded(heap).unwrap();
        let (mut kept, mut blocks) = (vec![], vec![]);
        arena.enter(|cx| {
            let mut limit = None;
            for step in 0..600 {
                let before = cx.stats().held;
                match random.below(12) {
                    0..6 => kept.extend(cx.new_slice::<u64>(random.size(600), |_, _| step)),
                    6 => kept.truncate(random.below(kept.len() + 1)),
                    // SAFETY: the layout is not empty.
                    7..9 => blocks.extend(Some(unsafe { heap.alloc(UNIT) }).filter(|block| !block.is_null())),
                    9 => cx.safe_point(),
                    10 => {
                        limit = (!random.one_in(3)).then(|| 1 + random.below(80_000));
                        let soft = limit.map(|limit| limit / 2).filter(|soft| *soft != 0);
                        cx.set_limits(Limits { soft, hard: limit }).unwrap();
                    }
                    _ => {
                        let used = (!random.one_in(3)).then(|| 1 + random.below(100_000));
                        let _ = heap.set_limits(Limits { soft: None, hard: used });
                        let _ = heap.set_reserve(Criticality::Process, random.below(20_000));
                        let level = [Criticality::Task, Criticality::Process][random.below(2)];
                        let _ = cx.set_criticality(heap, level);
                    }
                }
                let held = cx.stats().held;
                let is_within = limit.is_none_or(|limit| held <= limit) || held <= before;
                assert!(is_within, "seed {seed}, step {step}: {held} of {limit:?}");
            }
            assert_eq!(cx.verify(), Ok(()), "seed {seed}");
        });
        heap.check().unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        kept.clear();
        drop(arena);
        // SAFETY: blocks are the heap's, of this layout.
        blocks
            .into_iter()
            .for_each(|block| unsafe { heap.dealloc(block, UNIT) });
        assert_eq!(heap.memory_load().managed, 0, "seed {seed}");
        heap.check().unwrap();
    }
}

#[test]
fn b2_an_arena_leaves_the_reserves_of_what_is_more_critical() {
    brand!(Less);
    brand!(More);
    let heap = heap(128 << 10);
    heap.set_reserve(Criticality::Process, 40_000).unwrap();
    let (mut less, mut more) = (
        Arena::<Less>::branded(heap).unwrap(),
        Arena::<More>::branded(heap).unwrap(),
    );
    let mut kept = vec![];
    less.enter(|cx| {
        cx.set_criticality(heap, Criticality::Domain).unwrap();
        kept.extend(std::iter::from_fn(|| cx.new_slice::<u64>(100, |_, _| 0).ok()));
    });
    let free = heap.load().free();
    assert!((40_000..50_000).contains(&free), "{free} are left");
    let mut others = vec![];
    more.enter(|cx| others.extend(std::iter::from_fn(|| cx.new_slice::<u64>(100, |_, _| 0).ok())));
    assert!(others.len() > 30, "the default is the most critical one");
    assert!(heap.load().free() < 8000);
    others.clear();
    more.enter(Cx::compact);
    // It can be changed, and changed back.
    less.enter(|cx| {
        assert!(cx.new_slice::<u64>(100, |_, _| 0).is_err());
        cx.set_criticality(heap, Criticality::Process).unwrap();
        assert!(cx.new_slice::<u64>(100, |_, _| 0).is_ok());
        let other = self::heap(4096);
        assert_eq!(
            cx.set_criticality(other, Criticality::Task),
            Err(CriticalityError::OtherHeap)
        );
        assert_eq!(cx.verify(), Ok(()));
    });
    heap.check().unwrap();
}

#[test]
fn b2_an_arena_over_a_heap_at_a_criticality_is_of_that() {
    brand!(Here);
    let heap = heap(64 << 10);
    heap.set_reserve(Criticality::Process, 20_000).unwrap();
    let at = support::memory::for_good(heap.at(Criticality::Task));
    let mut arena = Arena::<Here>::branded(at).unwrap();
    let mut kept = vec![];
    arena.enter(|cx| kept.extend(std::iter::from_fn(|| cx.new_slice::<u64>(50, |_, _| 0).ok())));
    assert!((20_000..25_000).contains(&heap.load().free()));
    kept.clear();
    drop(arena);
    heap.check().unwrap();
    assert_eq!(heap.memory_load().managed, 0);
    heap.set_default_criticality(Criticality::Task).unwrap();
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| kept.extend(std::iter::from_fn(|| cx.new_slice::<u64>(50, |_, _| 0).ok())));
    assert!((20_000..25_000).contains(&heap.load().free()));
}
