//! Arenas: objects, references, handles.

#[path = "support/node.rs"]
mod node;
mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use node::Node;
use support::heap_for_good as heap;
use terrace::*;

/// Counts how many were dropped, and may own something.
struct Counted<T>(Rc<Cell<usize>>, #[allow(dead_code, reason = "it is dropped")] T);

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
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
fn c13_runs_of_any_length_move_with_their_references() {
    brand!(Here);
    const COUNT: usize = 2000;
    let mut arena = Arena::<Here>::branded(heap(1 << 20)).unwrap();
    arena.enter(|cx| {
        for run in (1..24).chain([100, 300]) {
            let all = cx
                .new_slice::<Slot<Node<Here>, Here>>(COUNT, |_, _| Slot::null())
                .unwrap();
            for i in 0..COUNT {
                let node = cx.new::<Node<Here>>(|_| Node::new(i as u32)).unwrap();
                node.get(cx).left.set(cx, Some(node.get(cx)));
                all.get(cx)[i].set(cx, Some(node.get(cx)));
            }
            let is_dead = |i: usize| (i / run).is_multiple_of(2);
            (0..COUNT)
                .filter(|i| is_dead(*i))
                .for_each(|i| all.get(cx)[i].set(cx, None));
            let before = cx.stats().moved;
            cx.compact();
            assert_ne!(cx.stats().moved, before);
            for (i, slot) in all.get(cx).iter().enumerate() {
                let itself = slot.get(cx).and_then(|node| node.left.get(cx));
                assert_eq!(itself.map(|node| node.value.get() as usize), (!is_dead(i)).then_some(i));
            }
        }
    });
}
