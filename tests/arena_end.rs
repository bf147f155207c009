//! The end of an arena, and of the objects that weak handles refer to.

#[path = "support/finalized.rs"]
mod finalized;
mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use finalized::{Dropped, Node, Shared, node, nothing, save};
use support::heap_for_good as heap;
use terrace::*;

#[test]
fn c9_an_arena_that_is_dropped_runs_destructors_and_no_finalisers() {
    brand!(Here);
    let shared = Shared::<Here>::new();
    let heap = heap(64 << 10);
    let before = heap.stats().used;
    let mut arena = Arena::branded(heap).unwrap();
    let kept = arena.enter(|cx| {
        let mut kept = None;
        for id in 0..30 {
            let made = cx.new_finalizable::<Node<Here>>(|_| Node {
                dropped: Some(Plain(Dropped(id, shared))),
                ..node(id, shared, nothing)
            });
            match id {
                0..10 => drop(made.unwrap()),
                10 => cx.collect(Generation::Old), // these wait in the queue
                20 => kept = made.ok(),
                _ => drop(made.unwrap()),
            }
        }
        kept
    });
    drop(arena);
    assert_eq!(shared.finalized(), []);
    assert_eq!(shared.dropped().len(), 29);
    drop(kept);
    assert_eq!((shared.finalized(), shared.dropped()), (vec![], vec![20]));
    assert_eq!(heap.stats().used, before);
    heap.check().unwrap();
}

/// Others fell into this: destructors at teardown in address order, so that one reads what another has dropped.
#[test]
fn c9_a_destructor_reads_what_its_object_pins_at_the_end_as_well() {
    brand!(Here);
    #[derive(Trace)]
    #[trace(leaf)]
    struct Part {
        is_dropped: Cell<bool>,
        dropped: Plain<PartDrop>,
    }
    struct PartDrop(Rc<Cell<usize>>);
    impl Drop for PartDrop {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    /// Owns a pinned object, and looks at it at last.
    struct Whole(Pinned<Part, Here>, Rc<Cell<usize>>);
    impl Drop for Whole {
        fn drop(&mut self) {
            assert!(!self.0.is_dropped.get());
            assert!(Rc::ptr_eq(&self.0.dropped.0.0, &self.1));
            self.0.is_dropped.set(true);
            self.1.set(self.1.get() + 1000);
        }
    }
    for order in 0..2 {
        let (count, heap) = (Rc::new(Cell::new(0)), heap(64 << 10));
        let mut arena = Arena::<Here>::branded(heap).unwrap();
        arena.enter(|cx| {
            for _ in 0..20 {
                let part = |cx: &mut Cx<Here>| {
                    let made = cx.new::<Part>(|_| Part {
                        is_dropped: Cell::new(false),
                        dropped: Plain(PartDrop(count.clone())),
                    });
                    cx.pin(made.unwrap().get(cx)).unwrap()
                };
                // The part lies before the whole, or behind it.
                if order == 0 {
                    let part = part(cx);
                    cx.new::<Plain<Whole>>(|_| Plain(Whole(part, count.clone()))).unwrap();
                } else {
                    let holder = cx.new::<Plain<RefCell<Option<Whole>>>>(|_| Plain(RefCell::new(None)));
                    let (holder, part) = (holder.unwrap(), part(cx));
                    *holder.get(cx).borrow_mut() = Some(Whole(part, count.clone()));
                }
            }
        });
        drop(arena);
        assert_eq!(count.get(), 20_020);
        heap.check().unwrap();
    }
}

#[test]
fn c9_short_weak_handles_end_at_death_and_long_ones_follow() {
    brand!(Here);
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let root = cx
            .new_finalizable::<Node<Here>>(|_| Node {
                dropped: Some(Plain(Dropped(1, shared))),
                ..node(1, shared, save)
            })
            .unwrap();
        let next = cx.new::<Node<Here>>(|_| node(2, shared, nothing)).unwrap();
        root.get(cx).next.set(cx, Some(next.get(cx)));
        let short = [&root, &next].map(|root| cx.weak::<Node<Here>>(root.get(cx)).unwrap());
        let long = [&root, &next].map(|root| cx.weak_long::<Node<Here>>(root.get(cx)).unwrap());
        let ids =
            |cx: &Cx<Here>, weak: &[Weak<Node<Here>, Here>; 2]| [0, 1].map(|i| weak[i].get(cx).map(|node| node.id));
        cx.compact();
        assert_eq!(ids(cx, &short), [Some(1), Some(2)]);
        drop((root, next));
        // Found dead; waits for its finaliser.
        cx.compact();
        assert_eq!(ids(cx, &short), [None, None]);
        assert_eq!(ids(cx, &long), [Some(1), Some(2)]);
        // Lives again: what was empty stays so.
        cx.poll();
        cx.compact();
        assert_eq!(ids(cx, &short), [None, None]);
        assert_eq!(ids(cx, &long), [Some(1), Some(2)]);
        let saved = shared.saved.take();
        let short = cx.weak::<Node<Here>>(saved[0].get(cx)).unwrap();
        saved[0].get(cx).next.set(cx, None);
        cx.compact();
        assert_eq!(ids(cx, &long), [Some(1), None]);
        assert!(short.get(cx).is_some());
        // Dead for good, though it waits for its destructor.
        cx.poll();
        drop(saved);
        cx.compact();
        assert_eq!((cx.stats().dying, shared.dropped()), (1, vec![]));
        assert_eq!(ids(cx, &long), [None, None]);
        assert!(short.get(cx).is_none());
        let text = cx.try_str("no finaliser").unwrap();
        let long = cx.weak_long::<str>(text).unwrap();
        cx.collect(Generation::Young);
        assert!(long.get(cx).is_none(), "as a short one then");
    });
}
