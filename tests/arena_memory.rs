//! What arenas do with memory: what they take, give back, fill and remember.

#[path = "support/node.rs"]
mod node;
mod support;

use node::Node;
use support::heap_for_good as heap;
use terrace::*;

#[test]
fn c15_what_is_nearly_full_is_swept_and_what_is_nearly_empty_compacted() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(256 << 10)).unwrap();
    arena.enter(|cx| {
        for (keep, compactions) in [(9, 0), (2, 1)] {
            let all = cx
                .new_slice::<Slot<Node<Here>, Here>>(2000, |_, _| Slot::null())
                .unwrap();
            for i in 0..2000 {
                let node = cx.try_new(Node::new(i)).unwrap();
                if i % 10 < keep {
                    all.get(cx)[i as usize].set(cx, Some(node));
                }
            }
            let before = cx.stats().compactions;
            cx.collect(Generation::Young);
            assert_eq!(cx.stats().compactions - before, compactions, "{keep} of 10 live");
            let alive = all.get(cx).iter().filter(|slot| slot.get(cx).is_some()).count();
            assert_eq!(alive, 200 * keep as usize);
        }
    });
}

#[test]
fn c23_native_memory_of_objects_counts() {
    brand!(Here);
    #[derive(Trace)]
    struct Image {
        _pixels: Plain<Vec<u8>>,
        charge: NativeBytes<Here>,
    }
    let mut arena = Arena::<Here>::branded(heap(256 << 10)).unwrap();
    let outlives = arena.enter(|cx| {
        let collections = |cx: &Cx<Here>| cx.stats().collections.iter().sum::<u32>();
        for charged in [true, false] {
            let before = collections(cx);
            for _ in 0..200 {
                let image = cx.new::<Image>(|g| Image {
                    _pixels: Plain(vec![0; 10_000]),
                    charge: g.charge(if charged { 10_000 } else { 0 }),
                });
                drop(image.unwrap());
                cx.safe_point();
                cx.poll();
            }
            assert_eq!(collections(cx) - before > 10, charged, "it brings collections nearer");
        }
        cx.compact();
        cx.poll();
        assert_eq!(cx.stats().native, 0, "it goes with its objects");
        let kept = cx.new::<Image>(|g| Image {
            _pixels: Plain(vec![]),
            charge: g.charge(500),
        });
        assert_eq!(kept.unwrap().get(cx).charge.bytes(), 500);
        assert_eq!(cx.stats().native, 500);
        cx.charge(7)
    });
    drop(arena);
    let other = heap(256 << 10);
    assert!(Arena::<Here>::branded(other).is_err(), "it is as a handle");
    drop(outlives);
    let arena = Arena::<Here>::branded(other).unwrap();
    assert_eq!(arena.stats().native, 0);
}

#[test]
fn e5_charges_of_any_size_do_no_harm() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let charges: Vec<_> = (0..20).map(|_| cx.charge(usize::MAX)).collect();
        assert_eq!(cx.stats().native, usize::MAX);
        for generation in [Generation::Young, Generation::Middle, Generation::Old] {
            let _ = cx.charge(usize::MAX);
            let kept = cx.new_slice::<u64>(200, |_, _| 0).unwrap();
            cx.collect(generation);
            assert!(cx.new_pinned_buffer(300).is_ok() && kept.get(cx).len() == 200);
        }
        drop(charges);
        cx.safe_point();
        assert_eq!(cx.stats().native, 0);
        cx.verify().unwrap();
    });
}

#[test]
fn e1_an_arenas_memory_goes_back_to_the_heap() {
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let mut list = cx.new::<Node<Here>>(|_| Node::new(0)).unwrap();
        loop {
            let next = cx.new::<Node<Here>>(|g| {
                let node = Node::new(0);
                node.left.set(g, Some(list.get(g)));
                node
            });
            match next {
                Ok(next) => list = next,
                Err(_) => break,
            }
        }
        assert!(heap.stats().free < 4096, "the arena has it all");
        assert!(cx.try_new(Node::<Here>::new(1)).is_err());
        drop(list);
        cx.compact();
        // SAFETY: the layout's size is not 0.
        let block = unsafe { std::alloc::GlobalAlloc::alloc(heap, std::alloc::Layout::new::<[u8; 40 << 10]>()) };
        assert!(!block.is_null(), "{}", heap.stats());
    });
}

#[test]
fn e1_arenas_of_several_brands_share_a_heap() {
    brand!(Here);
    brand!(There);
    let heap = heap(128 << 10);
    let mut here = Arena::<Here>::branded(heap).unwrap();
    let mut there = Arena::<There>::branded(heap).unwrap();
    let (mut these, mut those) = (Vec::new(), Vec::new());
    for i in 0..3000 {
        here.enter(|cx| these.push(cx.new::<Node<Here>>(|_| Node::new(i)).unwrap()));
        there.enter(|cx| those.push(cx.new::<Node<There>>(|_| Node::new(!i)).unwrap()));
        if i % 500 == 499 {
            these.truncate(if i % 1000 == 499 { 400 } else { 0 });
            here.enter(|cx| cx.compact());
            those.truncate(100);
            there.enter(|cx| cx.collect(Generation::Young));
        }
    }
    here.enter(|cx| assert!(these.iter().all(|root| root.get(cx).value.get() < 3000)));
    there.enter(|cx| {
        assert!(
            those
                .iter()
                .enumerate()
                .all(|(i, root)| root.get(cx).value.get() == !(i as u32))
        )
    });
    drop((here, there));
    heap.check().unwrap();
}

#[test]
fn e1_what_lies_idle_in_the_native_heap_is_in_no_ones_way() {
    brand!(Here);
    let heap = heap(1 << 20);
    let layout = std::alloc::Layout::new::<[u64; 4]>();
    // SAFETY: the layout is not empty; each block is given back once.
    unsafe {
        use std::alloc::GlobalAlloc;
        // A chunk and cached blocks in the middle of what is free.
        let half = std::alloc::Layout::new::<[u8; 400_000]>();
        let below = heap.alloc(half);
        let blocks: Vec<_> = (0..40).map(|_| heap.alloc(layout)).collect();
        blocks.into_iter().for_each(|block| heap.dealloc(block, layout));
        heap.dealloc(below, half);
    }
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let large = cx.new_slice::<u8>(900_000, |_, _| 0);
        assert!(large.is_ok(), "{}", heap.stats());
    });
}

#[test]
fn c5_survivors_fill_the_gaps_of_older_segments() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(1 << 20)).unwrap();
    arena.enter(|cx| {
        cx.set_budget(256 << 10);
        // Old objects with gaps between them, as a sweep leaves them.
        let mut kept: Vec<_> = (0..100)
            .map(|_| cx.new_slice::<u8>(1000, |_, i| i as u8).unwrap())
            .collect();
        cx.collect(Generation::Young);
        let mut index = 0;
        kept.retain(|_| {
            index += 1;
            index % 5 != 0
        });
        cx.collect(Generation::Middle);
        let held = cx.stats().held;
        // A few survivors among much garbage, again and again: there is room for them in the gaps.
        for _ in 0..10 {
            kept.push(cx.new_slice::<u8>(900, |_, i| i as u8).unwrap());
            for _ in 0..50 {
                cx.new_slice::<u8>(1000, |_, _| 0).unwrap();
            }
            cx.collect(Generation::Young);
        }
        cx.collect(Generation::Middle);
        let grown = cx.stats().held.saturating_sub(held);
        assert!(grown <= 64 << 10, "{grown} bytes more are held for 9,000 that survived");
        assert!(
            kept.iter()
                .all(|slice| slice.get(cx).iter().enumerate().all(|(i, byte)| *byte == i as u8))
        );
    });
}

#[test]
fn c11_a_card_that_is_no_longer_young_is_not_forgotten() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(256 << 10)).unwrap();
    arena.enter(|cx| {
        let old = cx.new_slice::<Slot<u32, Here>>(200, |_, _| Slot::null()).unwrap();
        cx.collect(Generation::Old);
        cx.collect(Generation::Old);
        for generation in [Generation::Middle, Generation::Old] {
            for index in 0..200 {
                // Young when it is stored, of generation 1 after the next collection: the old slot alone keeps it.
                let number = cx.new::<u32>(|_| index as u32).unwrap();
                old.get(cx)[index].set(cx, Some(number.get(cx)));
                drop(number);
                if index % 7 == 0 {
                    cx.collect(Generation::Young);
                }
                if index % 20 == 19 {
                    cx.collect(Generation::Young);
                    cx.collect(generation);
                }
            }
            let slots = old.get(cx);
            let numbers = slots.iter().map(|slot| *slot.get(cx).unwrap());
            assert!(numbers.eq(0..200));
        }
    });
}

#[test]
fn c19_a_window_can_tell_that_a_safe_point_would_collect() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(1 << 20)).unwrap();
    arena.enter(|cx| {
        cx.set_budget(100_000);
        let mut made = 0;
        while !cx.is_due() {
            cx.try_slice(&[0u8; 1000]).unwrap();
            made += 1;
        }
        assert!(made <= 100, "the budget is kept: {made} KB");
        let before = cx.stats().collections[0];
        cx.safe_point();
        assert_eq!(cx.stats().collections[0], before + 1);
        assert!(!cx.is_due());
        cx.safe_point();
        assert_eq!(cx.stats().collections[0], before + 1);
    });
}
