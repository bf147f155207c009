//! Arenas: objects, references, handles.

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use support::heap_for_good as heap;
use terrace::*;

/// Counts how many were dropped, and may own something.
struct Counted<T>(Rc<Cell<usize>>, #[allow(dead_code, reason = "it is dropped")] T);

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[derive(Trace)]
struct Node<'g, A: Brand> {
    value: Cell<u32>,
    left: Slot<'g, Node<'g, A>, A>,
    right: Slot<'g, Node<'g, A>, A>,
}

impl<A: Brand> Node<'_, A> {
    fn new(value: u32) -> Self {
        Node {
            value: Cell::new(value),
            left: Slot::null(),
            right: Slot::null(),
        }
    }
}

#[test]
fn c4_objects_are_made_and_read() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let leaf = cx.new::<Node<Here>>(|_| Node::new(7)).unwrap();
        let root = cx
            .new::<Node<Here>>(|g| {
                let node = Node::new(8);
                node.left.set(g, Some(leaf.get(g)));
                node
            })
            .unwrap();
        drop(leaf);
        cx.collect(Generation::Young);
        cx.collect(Generation::Old);
        let node = root.get(cx);
        assert_eq!(node.value.get(), 8);
        assert_eq!(node.left.get(cx).unwrap().value.get(), 7);
        assert!(node.right.get(cx).is_none());
    });
}

#[test]
fn c13_a_list_survives_megabytes_of_garbage_in_32_kib() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(32 << 10)).unwrap();
    arena.enter(|cx| {
        let mut head = cx.new::<Node<Here>>(|_| Node::new(0)).unwrap();
        for i in 1..100 {
            for _ in 0..support::scaled(1000) {
                cx.new::<Node<Here>>(|_| Node::new(i)).unwrap();
            }
            head = cx
                .new::<Node<Here>>(|g| {
                    let node = Node::new(i);
                    node.left.set(g, Some(head.get(g)));
                    node
                })
                .unwrap();
        }
        let (mut at, mut count) = (Some(head.get(cx)), 0);
        while let Some(node) = at {
            count += 1;
            assert_eq!(node.value.get(), 100 - count);
            at = node.left.get(cx);
        }
        assert_eq!(count, 100);
    });
}

#[test]
fn c2_what_survives_is_promoted_and_old_garbage_waits_for_its_generation() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let mut roots = Vec::new();
        let mut weak = Vec::new();
        // An old one, a middle one and a young one.
        for generations in [&[Generation::Young, Generation::Middle][..], &[Generation::Young], &[]] {
            let root = cx.new::<Node<Here>>(|_| Node::new(0)).unwrap();
            weak.push(cx.weak::<Node<Here>>(root.get(cx)).unwrap());
            roots.push(root);
            generations.iter().for_each(|generation| cx.collect(*generation));
        }
        roots.clear();
        let alive = |cx: &Cx<Here>| weak.iter().map(|weak| weak.get(cx).is_some()).collect::<Vec<_>>();
        assert_eq!(alive(cx), [true, true, true]);
        cx.collect(Generation::Young);
        assert_eq!(alive(cx), [true, true, false]);
        cx.collect(Generation::Middle);
        assert_eq!(alive(cx), [true, false, false]);
        cx.collect(Generation::Old);
        assert_eq!(alive(cx), [false, false, false]);
    });
}

#[test]
fn c11_stores_to_old_objects_keep_young_ones() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let old = cx
            .new_slice::<Slot<Node<Here>, Here>>(500, |_, _| Slot::null())
            .unwrap();
        cx.collect(Generation::Young);
        cx.collect(Generation::Middle);
        for i in (0..500).step_by(7) {
            let node = cx.try_new(Node::new(i)).unwrap();
            old.get(cx)[i as usize].set(cx, Some(node));
        }
        for generation in [
            Generation::Young,
            Generation::Young,
            Generation::Middle,
            Generation::Old,
        ] {
            cx.collect(generation);
            for (i, slot) in old.get(cx).iter().enumerate() {
                let value = slot.get(cx).map(|node| node.value.get() as usize);
                assert_eq!(value, (i % 7 == 0).then_some(i));
            }
        }
    });
}

#[test]
fn c16_pinned_objects_stay_and_the_gaps_before_them_are_used() {
    brand!(Here);
    let heap = heap(256 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let mut pins = Vec::new();
        let mut kept = Vec::new();
        for i in 0..support::scaled(2000).max(200) {
            let root = cx.new::<[u32; 8]>(|_| [i as u32; 8]).unwrap();
            if i % 100 == 50 {
                let pin = cx.pin(root.get(cx)).unwrap();
                pins.push((std::ptr::from_ref(&*pin) as usize, pin, i));
            } else if i % 10 == 0 {
                kept.push((root, i));
            }
        }
        cx.compact();
        assert_eq!(cx.stats().pinned, pins.len());
        for (address, pin, i) in &pins {
            assert_eq!(std::ptr::from_ref(&**pin) as usize, *address);
            assert_eq!(**pin, [*i as u32; 8]);
        }
        for (root, i) in &kept {
            assert_eq!(*root.get(cx), [*i as u32; 8]);
        }
        // 40 bytes each; in segments of 8 KiB, all else is the heap's.
        let live = 40 * (pins.len() + kept.len());
        assert!(cx.stats().held <= live + 8192 * pins.len(), "{}", cx.stats());
        let before = heap.stats().used;
        drop(pins);
        cx.compact();
        assert!(cx.stats().held <= live.next_multiple_of(8192));
        assert!(heap.stats().used <= before);
    });
}

#[test]
fn c9_destructors_run_once_and_from_poll() {
    brand!(Here);
    let count = Rc::new(Cell::new(0));
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let counted = |_: &Cx<Here>| Plain(Counted(count.clone(), ()));
        let kept = cx.new::<Plain<Counted<()>>>(counted).unwrap();
        for _ in 0..20 {
            cx.new::<Plain<Counted<()>>>(counted).unwrap();
        }
        cx.new_slice::<Plain<Counted<()>>>(5, |cx, _| counted(cx)).unwrap();
        cx.collect(Generation::Old);
        assert_eq!((count.get(), cx.stats().dying), (0, 21));
        cx.compact();
        assert_eq!((count.get(), cx.stats().dying), (0, 21));
        assert_eq!((cx.poll(), count.get()), (21, 25));
        cx.compact();
        assert_eq!((cx.poll(), count.get()), (0, 25));
        drop(kept);
    });
    drop(arena);
    assert_eq!(count.get(), 26, "what is left when the arena is dropped");
}

#[test]
fn c9_a_destructor_that_panics_leaves_the_others() {
    brand!(Here);
    struct Bomb(Rc<Cell<usize>>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            assert!(self.0.get() != 3, "the third one");
        }
    }
    let count = Rc::new(Cell::new(0));
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        for _ in 0..6 {
            cx.new::<Plain<Bomb>>(|_| Plain(Bomb(count.clone()))).unwrap();
        }
        cx.collect(Generation::Old);
        assert!(catch_unwind(AssertUnwindSafe(|| cx.poll())).is_err());
        assert_eq!(cx.poll(), 3);
        cx.compact();
        assert_eq!((cx.poll(), count.get()), (0, 6));
    });
}

#[test]
fn e4_an_initialiser_that_panics_leaves_nothing() {
    brand!(Here);
    let count = Rc::new(Cell::new(0));
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let handles = cx.stats().handles;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _ = cx.new::<Plain<Counted<()>>>(|_| panic!("on purpose"));
        }));
        assert!(result.is_err());
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _ = cx.new_slice::<Plain<Counted<()>>>(9, |_, index| {
                assert!(index < 4, "on purpose");
                Plain(Counted(count.clone(), ()))
            });
        }));
        assert!(result.is_err());
        assert_eq!(count.get(), 4, "what was made of the slice is dropped");
        assert_eq!((cx.stats().handles, cx.stats().droppable), (handles, 0));
        cx.compact();
        assert_eq!(cx.poll(), 0);
        assert_eq!(cx.stats().held, 0);
    });
}

#[test]
fn e4_handles_outlive_their_arena() {
    brand!(Here);
    let (count, heap) = (Rc::new(Cell::new(0)), heap(64 << 10));
    let before = heap.stats().used;
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let (root, pin) = arena.enter(|cx| {
        // A holder that owns a handle of what it holds.
        let text = cx.new_str("still here").unwrap();
        let holder = cx.new::<Plain<_>>(|_| Plain(Counted(count.clone(), text))).unwrap();
        let buffer = cx.new_slice::<Cell<u8>>(100, |_, i| Cell::new(i as u8)).unwrap();
        (holder, cx.pin(buffer.get(cx)).unwrap())
    });
    assert_eq!(Arena::<Here>::branded(heap).err(), Some(ArenaError::BrandTaken));
    drop(arena);
    assert_eq!(Arena::<Here>::branded(heap).err(), Some(ArenaError::BrandTaken));
    assert_eq!((pin[99].get(), count.get()), (99, 0));
    drop(root);
    assert_eq!((pin[99].get(), count.get()), (99, 1));
    drop(pin);
    assert_eq!(heap.stats().used, before);
    drop(Arena::<Here>::branded(heap).unwrap());
    assert_eq!(heap.stats().used, before);
    heap.check().unwrap();
}

#[test]
fn e4_an_arena_needs_a_heap_with_memory() {
    brand!(Here);
    let empty = support::empty_heap_for_good();
    assert_eq!(Arena::<Here>::branded(empty).err(), Some(ArenaError::NotClaimed));
    let full = heap(4 << 10);
    // SAFETY: the layout's size is not 0.
    while !unsafe { std::alloc::GlobalAlloc::alloc(full, std::alloc::Layout::new::<[u64; 8]>()) }.is_null() {}
    assert_eq!(Arena::<Here>::branded(full).err(), Some(ArenaError::OutOfMemory));
    full.check().unwrap();
    drop(Arena::<Here>::branded(heap(64 << 10)).unwrap());
}

#[test]
fn c18_a_part_keeps_its_whole() {
    brand!(Here);
    #[derive(Trace)]
    struct Pointer<'g> {
        part: Interior<'g, u32, Here>,
    }
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let pointer = cx.new::<Pointer>(|_| Pointer { part: Interior::null() }).unwrap();
        for _ in 0..50 {
            cx.new::<u64>(|_| 1).unwrap();
        }
        let whole = cx.new_slice::<u32>(100, |_, i| i as u32).unwrap();
        pointer.get(cx).part.set(cx, whole.get(cx), |whole| &whole[99]);
        drop(whole);
        let before = std::ptr::from_ref(pointer.get(cx).part.get(cx).unwrap());
        cx.compact();
        let after = pointer.get(cx).part.get(cx).unwrap();
        assert_eq!(*after, 99);
        assert_ne!(before, std::ptr::from_ref(after), "the whole has moved");
        static ELSEWHERE: u32 = 1;
        let root = cx.new::<u32>(|_| 5).unwrap();
        let outside = AssertUnwindSafe(|| pointer.get(cx).part.set(cx, root.get(cx), |_| &ELSEWHERE));
        assert!(catch_unwind(outside).is_err());
    });
}

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
            heap.stats().used <= used + 2048,
            "tables may have grown: {} bytes",
            heap.stats().used - used
        );
    });
}

#[test]
fn c7_a_reserve_makes_allocations_infallible() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let size = size_of_object::<Node<Here>>();
        for count in [1, 10, 100, 1000] {
            for _ in 0..20 {
                cx.reserve(count * size).unwrap();
                for i in 0..count {
                    cx.try_new(Node::<Here>::new(i as u32)).unwrap();
                }
            }
        }
        assert!(cx.reserve(1 << 20).is_err());
        assert!(cx.reserve(usize::MAX).is_err());
        cx.reserve(0).unwrap();
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
fn c11_marking_gets_by_with_a_small_stack() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        // A tree as wide as it is deep: far more than the stack of 32 entries holds.
        let all = cx
            .new_slice::<Slot<Node<Here>, Here>>(400, |_, _| Slot::null())
            .unwrap();
        for i in 0..400 {
            for depth in 0..3 {
                let node = cx.new::<Node<Here>>(|_| Node::new(i * 3 + depth)).unwrap();
                let slot = &all.get(cx).get()[i as usize];
                node.get(cx).left.set(cx, slot.get(cx));
                slot.set(cx, Some(node.get(cx)));
            }
        }
        for generation in [Generation::Young, Generation::Middle, Generation::Old] {
            cx.collect(generation);
            for (i, slot) in all.get(cx).iter().enumerate() {
                let (mut at, mut values) = (slot.get(cx), Vec::new());
                while let Some(node) = at {
                    values.push(node.value.get());
                    at = node.left.get(cx);
                }
                let first = 3 * i as u32;
                assert_eq!(values, [first + 2, first + 1, first]);
            }
        }
    });
}

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
        let address = |cx: &Cx<Here>, owner: &Root<Slot<'static, [Slot<'static, u32, Here>], Here>, Here>| {
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
    drop(outlives);
    let arena = Arena::<Here>::branded(heap(256 << 10)).unwrap();
    assert_eq!(arena.stats().native, 0);
}
