//! Large objects.

mod support;

use support::heap_for_good as heap;
use support::random::Random;
use terrace::*;

/// Refers to a large object.
type Owner<A> = Slot<'static, [Slot<'static, u32, A>], A>;

#[test]
fn c1_large_objects_do_not_move_and_their_memory_is_the_heaps_again() {
    brand!(Here);
    let heap = heap(256 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let used = heap.stats().used;
        for i in 0..support::scaled(200) {
            let large = cx.new_slice::<u64>(5000, |_, j| (i + j) as u64).unwrap();
            let address = large.get(cx).as_ptr();
            cx.collect(Generation::Young);
            assert_eq!(large.get(cx).as_ptr(), address);
            assert!(
                large
                    .get(cx)
                    .iter()
                    .enumerate()
                    .all(|(j, value)| *value == (i + j) as u64)
            );
        }
        cx.compact();
        assert!(
            heap.stats().used <= used + 1024,
            "tables may have grown: {} bytes",
            heap.stats().used - used
        );
    });
}

#[test]
fn c10_large_objects_slide_down_when_asked_but_for_pinned_ones() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(4 << 20)).unwrap();
    arena.enter(|cx| {
        cx.set_large(10_000);
        let mut all = Vec::new();
        for index in 0..20u32 {
            let part = cx.new_slice::<Slot<u32, Here>>(10_000, |_, _| Slot::null()).unwrap();
            let number = cx.new::<u32>(|_| index).unwrap();
            part.get(cx)[index as usize].set(cx, Some(number.get(cx)));
            let owner = cx
                .new::<Slot<[Slot<u32, Here>], Here>>(|g| Slot::new(g, part.get(g)))
                .unwrap();
            all.push(owner);
        }
        let address = |cx: &Cx<Here>, owner: &Root<Owner<Here>, Here>| {
            owner.get(cx).get().get(cx).unwrap().get().as_ptr() as usize
        };
        let bytes = cx.new_buffer(20_000).unwrap();
        let pinned = cx.pin(bytes.get(cx)).unwrap();
        let stays = pinned.as_ptr() as usize;
        let last = cx.new_buffer(20_000).unwrap();
        let before = last.get(cx).get().as_ptr() as usize;
        all.drain(..10);
        cx.collect(Generation::Old);
        assert_eq!(
            last.get(cx).get().as_ptr() as usize,
            before,
            "a collection moves no large object"
        );
        let tenth = address(cx, &all[9]);
        cx.compact();
        assert!(
            (last.get(cx).get().as_ptr() as usize) < before,
            "asked, it moves them down"
        );
        assert!(address(cx, &all[9]) < tenth);
        assert_eq!(pinned.as_ptr() as usize, stays);
        for (index, owner) in (10u32..).zip(&all) {
            let part = owner.get(cx).get().get(cx).unwrap();
            assert_eq!(*part[index as usize].get(cx).unwrap(), index);
        }
        cx.collect(Generation::Young);
        cx.compact();
    });
}

#[test]
fn c12_large_objects_that_live_on_and_that_die_are_told_apart_in_any_order() {
    brand!(Here);
    const SEED: u64 = 12;
    let mut random = Random::new(SEED);
    let mut arena = Arena::<Here>::branded(heap(2 << 20)).unwrap();
    arena.enter(|cx| {
        cx.set_large(1024);
        // Each refers to a number that nothing else refers to.
        type Kept = Option<(Root<[Slot<'static, u32, Here>], Here>, usize)>;
        let mut kept: Vec<Kept> = (0..24).map(|_| None).collect();
        for round in 0..support::scaled(300) {
            for place in &mut kept {
                if random.one_in(3) {
                    *place = None;
                } else if place.is_none() && random.one_in(2) {
                    let len = 200 + random.below(3000);
                    let large = cx.new_slice::<Slot<u32, Here>>(len, |_, _| Slot::null()).unwrap();
                    *place = Some((large, 0));
                }
                if let Some((large, number)) = place
                    && random.one_in(2)
                {
                    *number = random.below(1000);
                    let value = cx.new::<u32>(|_| *number as u32).unwrap();
                    let slots = large.get(cx);
                    for slot in [0, slots.len() / 2, slots.len() - 1] {
                        slots[slot].set(cx, Some(value.get(cx)));
                    }
                }
            }
            match random.below(4) {
                0 => cx.collect(Generation::Young),
                1 => cx.collect(Generation::Middle),
                2 => cx.collect(Generation::Old),
                _ => cx.compact(),
            }
            cx.verify().unwrap();
            for (large, number) in kept.iter().flatten() {
                let slots = large.get(cx);
                for slot in [0, slots.len() / 2, slots.len() - 1] {
                    let value = slots[slot].get(cx).map_or(0, |value| *value as usize);
                    assert_eq!(value, *number, "seed {SEED}, round {round}");
                }
            }
        }
        kept.clear();
        cx.compact();
        let live: usize = cx.walk().map(|object| object.bytes()).sum();
        assert!(live < 1024, "{live} bytes live");
    });
}
