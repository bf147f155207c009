//! Finalisers and resurrection.

#[path = "support/finalized.rs"]
mod finalized;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use finalized::{Dropped, Finalizer, Node, Shared, node, nothing, save};
use support::heap_for_good as heap;
use terrace::*;

/// A node that is registered, without a handle.
fn make<A: Brand>(cx: &mut Cx<A>, id: u32, shared: &'static Shared<A>, finalizer: Finalizer<A>) {
    let made = cx.new_finalizable::<Node<A>>(|_| node(id, shared, finalizer));
    made.unwrap();
}

const GENERATIONS: [Generation; 3] = [Generation::Young, Generation::Middle, Generation::Old];

#[test]
fn c9_finalisers_run_once_from_poll_and_in_order_of_registration() {
    brand!(Here);
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let mut roots: Vec<_> = (0..20)
            .map(|id| cx.new::<Node<Here>>(|_| node(id, shared, nothing)).unwrap())
            .collect();
        // Not in order of address.
        let order: Vec<u32> = (0..20).map(|i| i * 7 % 20).collect();
        for id in &order {
            cx.register_finalizer::<Node<Here>>(roots[*id as usize].get(cx))
                .unwrap();
        }
        assert_eq!((cx.stats().finalizable, cx.stats().queued), (20, 0));
        let kept = roots.swap_remove(5);
        drop(roots);
        cx.compact();
        assert_eq!(shared.finalized(), [], "not in a collection");
        assert_eq!((cx.stats().finalizable, cx.stats().queued), (1, 19));
        assert_eq!(cx.poll(), 19);
        let expected: Vec<u32> = order.iter().copied().filter(|id| *id != 5).collect();
        assert_eq!(shared.finalized(), expected);
        for generation in GENERATIONS {
            cx.collect(generation);
            cx.poll();
            assert_eq!(shared.finalized(), []);
        }
        assert_eq!(kept.get(cx).id, 5);
        drop(kept);
        cx.compact();
        assert_eq!((cx.poll(), shared.finalized()), (1, vec![5]));
        cx.compact();
        assert_eq!(cx.poll(), 1, "its destructor");
        cx.compact();
        assert_eq!((cx.stats().held, cx.stats().finalizable, cx.stats().handles), (0, 0, 0));
    });
}

#[test]
fn c9_what_died_earlier_is_finalised_earlier() {
    brand!(Here);
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let late = cx.new_finalizable::<Node<Here>>(|_| node(0, shared, nothing)).unwrap();
        make(cx, 1, shared, nothing);
        cx.collect(Generation::Young);
        drop(late);
        make(cx, 2, shared, nothing);
        cx.collect(Generation::Young);
        assert_eq!(cx.stats().queued, 2, "the late one is older by now");
        cx.collect(Generation::Old);
        assert_eq!(cx.poll(), 3);
        assert_eq!(shared.finalized(), [1, 2, 0]);
    });
}

#[test]
fn c9_a_dead_object_waits_for_a_collection_of_its_generation() {
    brand!(Here);
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        for (age, found_by) in [(0, 0), (1, 1), (2, 2)] {
            let root = cx
                .new_finalizable::<Node<Here>>(|_| node(age, shared, nothing))
                .unwrap();
            for generation in GENERATIONS.iter().take(age as usize) {
                cx.collect(*generation);
            }
            drop(root);
            for generation in GENERATIONS {
                cx.collect(generation);
                cx.poll();
                let expected = if generation as u32 == found_by {
                    vec![age]
                } else {
                    vec![]
                };
                assert_eq!(shared.finalized(), expected);
            }
        }
    });
}

/// Others fell into this: a finaliser that reads what the same collection has freed.
#[test]
fn c9_a_finaliser_reads_all_that_its_object_reaches() {
    brand!(Here);
    fn walk(this: Root<Node<'static, Here>, Here>, cx: &mut Cx<Here>) {
        let (first, mut at, mut ids) = (this.get(cx).id, this.get(cx), Vec::new());
        loop {
            ids.push(at.id);
            at = at.next.get(cx).expect("a ring");
            if at.id == first {
                break;
            }
        }
        assert_eq!(ids, (0..200).map(|i| (first + i) % 200).collect::<Vec<_>>());
        // Nothing of it goes while others wait.
        drop(this);
        cx.compact();
    }
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        // A ring, of objects with destructors, every tenth of which has a finaliser as well; it lies in all generations.
        let first = cx.new::<Node<Here>>(|_| node(0, shared, walk)).unwrap();
        let mut last = cx.root::<Node<Here>>(first.get(cx)).unwrap();
        for id in 1..200 {
            let next = cx
                .new::<Node<Here>>(|_| Node {
                    dropped: Some(Plain(Dropped(id, shared))),
                    ..node(id, shared, walk)
                })
                .unwrap();
            if id % 10 == 0 {
                cx.register_finalizer::<Node<Here>>(next.get(cx)).unwrap();
            }
            last.get(cx).next.set(cx, Some(next.get(cx)));
            last = next;
            if id % 66 == 0 {
                cx.collect(GENERATIONS[id as usize / 66 % 2]);
            }
        }
        last.get(cx).next.set(cx, Some(first.get(cx)));
        drop((first, last));
        for generation in GENERATIONS {
            cx.collect(generation);
        }
        assert_eq!((cx.stats().queued, cx.stats().dying), (19, 0));
        // The last finaliser finds all of the ring dead for good.
        assert_eq!(cx.poll(), 19 + 200);
        assert_eq!(shared.finalized(), (1..20).map(|i| i * 10).collect::<Vec<_>>());
        assert_eq!(shared.dropped().len(), 199);
        cx.compact();
        assert_eq!(cx.stats().held, 0);
    });
}

#[test]
fn c11_the_queue_is_a_root() {
    brand!(Here);
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let root = cx.new_finalizable::<Node<Here>>(|_| node(1, shared, save)).unwrap();
        for id in 2..50 {
            // Behind a gap, so that it moves.
            cx.new::<Node<Here>>(|_| node(0, shared, nothing)).unwrap();
            let next = cx.new::<Node<Here>>(|_| node(id, shared, nothing)).unwrap();
            let rest = root.get(cx).next.get(cx);
            next.get(cx).next.set(cx, rest);
            root.get(cx).next.set(cx, Some(next.get(cx)));
        }
        drop(root);
        for round in 0..12 {
            cx.collect(GENERATIONS[round % 3]);
            cx.compact();
            make(cx, 100 + round as u32, shared, nothing);
        }
        cx.poll();
        assert_eq!(
            shared.finalized(),
            [1, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110]
        );
        let saved = shared.saved.take().pop().unwrap();
        let (mut at, mut expected) = (saved.get(cx).next.get(cx), 49);
        while let Some(node) = at {
            assert_eq!(node.id, expected);
            expected -= 1;
            at = node.next.get(cx);
        }
        assert_eq!(expected, 1);
    });
}

#[test]
fn c9_what_was_resurrected_lives_and_is_finalised_again_if_registered() {
    brand!(Here);
    fn save_and_register(this: Root<Node<'static, Here>, Here>, cx: &mut Cx<Here>) {
        cx.register_finalizer::<Node<Here>>(this.get(cx)).unwrap();
        save(this, cx);
    }
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        make(cx, 1, shared, save);
        make(cx, 2, shared, save_and_register);
        for round in 0..4 {
            cx.compact();
            cx.poll();
            let expected = if round == 0 { vec![1, 2] } else { vec![2] };
            assert_eq!(shared.finalized(), expected);
            assert_eq!(cx.stats().finalizable, 1);
            cx.compact();
            for (root, id) in shared.saved.take().into_iter().zip(expected) {
                assert_eq!(root.get(cx).id, id);
            }
        }
    });
    drop(arena);
    assert_eq!(shared.finalized(), []);
}

#[test]
fn c9_registered_twice_is_finalised_twice_and_suppressed_not_at_all() {
    brand!(Here);
    /// Suppresses what waits behind it.
    fn suppress_next(this: Root<Node<'static, Here>, Here>, cx: &mut Cx<Here>) {
        let next = this.get(cx).next.get(cx).unwrap();
        assert_eq!(cx.suppress_finalizer(next), 1);
        assert_eq!(cx.suppress_finalizer(next), 0);
    }
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let twice = cx.new_finalizable::<Node<Here>>(|_| node(1, shared, save)).unwrap();
        cx.register_finalizer::<Node<Here>>(twice.get(cx)).unwrap();
        let never = cx.new_finalizable::<Node<Here>>(|_| node(2, shared, nothing)).unwrap();
        cx.register_finalizer::<Node<Here>>(never.get(cx)).unwrap();
        assert_eq!(cx.suppress_finalizer(never.get(cx)), 2);
        let first = cx
            .new_finalizable::<Node<Here>>(|_| node(3, shared, suppress_next))
            .unwrap();
        let second = cx.new_finalizable::<Node<Here>>(|_| node(4, shared, nothing)).unwrap();
        first.get(cx).next.set(cx, Some(second.get(cx)));
        drop((twice, never, first, second));
        cx.compact();
        assert_eq!(cx.stats().queued, 4);
        // And the destructors of the two that are not saved, nor finalised.
        cx.poll();
        assert_eq!(shared.finalized(), [1, 1, 3]);
        let saved = shared.saved.take();
        assert!(saved[0].get(cx).is(saved[1].get(cx)));
        drop(saved);
        cx.compact();
        cx.poll();
        assert_eq!(shared.finalized(), []);
        assert_eq!((cx.stats().finalizable, cx.stats().handles), (0, 0));
    });
}

#[test]
fn c9_a_finaliser_comes_before_the_destructor() {
    brand!(Here);
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        for finalizer in [nothing::<Here>, save] {
            let made = cx.new_finalizable::<Node<Here>>(|_| Node {
                dropped: Some(Plain(Dropped(1, shared))),
                ..node(1, shared, finalizer)
            });
            drop(made.unwrap());
            cx.compact();
            assert_eq!(cx.poll(), 1);
            assert_eq!((shared.finalized(), shared.dropped()), (vec![1], vec![]));
            cx.compact();
            if shared.saved.take().pop().is_some() {
                assert_eq!(cx.poll(), 0, "it lives again");
                cx.compact();
            }
            assert_eq!((cx.poll(), shared.dropped()), (1, vec![1]));
            cx.compact();
            assert_eq!((cx.poll(), cx.stats().held), (0, 0));
        }
    });
}

#[test]
fn c9_a_finaliser_that_panics_has_run_and_leaves_the_others() {
    brand!(Here);
    fn odd(this: Root<Node<'static, Here>, Here>, cx: &mut Cx<Here>) {
        let (id, shared) = (this.get(cx).id, this.get(cx).shared.0);
        if id == 4 && shared.finalized.borrow().len() > 1 {
            cx.register_finalizer::<Node<Here>>(this.get(cx)).unwrap();
            shared.saved.borrow_mut().push(this);
        }
        assert!(id % 4 != 0, "on purpose");
    }
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        (1..10).for_each(|id| make(cx, id, shared, odd));
        cx.compact();
        let mut poll = || catch_unwind(AssertUnwindSafe(|| cx.poll())).ok();
        assert_eq!(
            [poll(), poll(), poll(), poll()],
            [None, None, Some(1), Some(0)],
            "4, 8, the last one"
        );
        assert_eq!(shared.finalized(), (1..10).collect::<Vec<_>>());
        shared.saved.take();
        cx.compact();
        let again = catch_unwind(AssertUnwindSafe(|| cx.poll()));
        assert!(again.is_err(), "it had registered again");
        assert_eq!(shared.finalized(), [4]);
        cx.compact();
        cx.poll();
        assert_eq!(
            (cx.stats().handles, cx.stats().finalizable, cx.stats().queued),
            (0, 0, 0)
        );
        assert_eq!(shared.finalized(), []);
    });
}

#[test]
fn c9_a_finaliser_may_allocate_collect_and_poll() {
    brand!(Here);
    /// Makes garbage that has a finaliser, and polls in the midst of it.
    fn breed(this: Root<Node<'static, Here>, Here>, cx: &mut Cx<Here>) {
        let (id, shared) = (this.get(cx).id, this.get(cx).shared.0);
        drop(this);
        if id < 1000 {
            make(cx, id + 1000, shared, nothing);
            for _ in 0..200 {
                cx.new::<[u32; 20]>(|_| [id; 20]).unwrap();
            }
            cx.collect(Generation::Old);
            cx.poll();
        }
    }
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        cx.set_stress(true);
        (0..30).for_each(|id| make(cx, id, shared, breed));
        cx.set_stress(false);
        cx.collect(Generation::Old);
        while cx.stats().queued != 0 {
            cx.poll();
        }
        let mut finalized = shared.finalized();
        finalized.sort_unstable();
        assert_eq!(finalized, (0..30).chain(1000..1030).collect::<Vec<_>>());
    });
}

#[test]
fn c9_what_a_finaliser_makes_due_waits_for_the_next_poll() {
    brand!(Here);
    /// Goes on for ever, one poll at a time.
    fn again(this: Root<Node<'static, Here>, Here>, cx: &mut Cx<Here>) {
        let (id, shared) = (this.get(cx).id, this.get(cx).shared.0);
        make(cx, id + 1, shared, again);
        cx.collect(Generation::Young);
    }
    let shared = Shared::<Here>::new();
    let mut arena = Arena::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        make(cx, 0, shared, again);
        cx.collect(Generation::Young);
        for id in 0..50 {
            assert_eq!(cx.stats().queued, 1);
            cx.poll();
            assert_eq!(shared.finalized(), [id]);
        }
    });
}

#[test]
fn c9_a_registration_without_memory_is_an_error_and_an_initialiser_that_panics_leaves_none() {
    brand!(Here);
    let shared = Shared::<Here>::new();
    let heap = heap(32 << 10);
    let mut arena = Arena::branded(heap).unwrap();
    arena.enter(|cx| {
        let result = catch_unwind(AssertUnwindSafe(|| {
            cx.new_finalizable::<Node<Here>>(|_| panic!("on purpose")).map(|_| ())
        }));
        assert!(result.is_err());
        assert_eq!((cx.stats().finalizable, cx.stats().handles), (0, 0));
        let root = cx.new::<Node<Here>>(|_| node(7, shared, nothing)).unwrap();
        let (hog, mut count) = (support::Hog::new(heap), 0);
        // What there is room for in the tables, and no more.
        while cx.register_finalizer::<Node<Here>>(root.get(cx)).is_ok() {
            count += 1;
        }
        assert!(count < 100);
        assert!(cx.new_finalizable::<Node<Here>>(|_| unreachable!()).is_err());
        assert_eq!(cx.stats().finalizable, count);
        drop(hog);
        drop(root);
        cx.compact();
        assert_eq!((cx.poll(), shared.finalized()), (count, vec![7; count]));
    });
    drop(arena);
    heap.check().unwrap();
}
