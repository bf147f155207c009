//! No memory, at any one point of a program: an error, and everything stays usable.

mod support;

use std::cell::Cell;
use std::rc::Rc;

use terrace::*;

brand!(Here);

#[derive(Trace)]
struct Node<'g> {
    value: u32,
    next: Slot<'g, Node<'g>, Here>,
    counted: Option<Plain<Counted>>,
}

impl Finalize<Here> for Node<'static> {
    fn finalize(this: Root<Self, Here>, cx: &mut Cx<Here>) {
        assert!(this.get(cx).counted.is_some(), "it is dropped later");
    }
}

struct Counted(Rc<Cell<isize>>);

impl Counted {
    fn new(count: &Rc<Cell<isize>>) -> Counted {
        count.set(count.get() + 1);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A program of `STEPS` steps that allocate; what cannot be had at the step `hungry` is done without.
struct Script {
    step: usize,
    hungry: usize,
    heap: &'static LocalHeap,
    failures: usize,
}

const STEPS: usize = 160;

impl Script {
    fn attempt<R, E>(&mut self, allocate: impl FnOnce() -> Result<R, E>) -> Option<R> {
        let hog = (self.step == self.hungry).then(|| support::Hog::new(self.heap));
        let result = allocate();
        drop(hog);
        if result.is_err() {
            assert_eq!(self.step, self.hungry, "there is memory otherwise");
            self.failures += 1;
        }
        self.step += 1;
        result.ok()
    }
}

fn run(hungry: usize, collect: bool) -> usize {
    let heap = support::heap_for_good(48 << 10);
    let count = Rc::new(Cell::new(0));
    let mut script = Script {
        step: 0,
        hungry,
        heap,
        failures: 0,
    };
    let Some(mut arena) = script.attempt(|| Arena::<Here>::branded(heap)) else {
        return 1;
    };
    arena.enter(|cx| {
        let mut lists: Vec<(Root<Node<'static>, Here>, u32)> = Vec::new();
        let mut others = Vec::new();
        while script.step < STEPS {
            let value = script.step as u32;
            let made = script.attempt(|| {
                cx.new::<Node>(|g| Node {
                    value,
                    next: lists.last().map_or(Slot::null(), |(last, _)| Slot::new(g, last.get(g))),
                    counted: Some(Plain(Counted::new(&count))),
                })
            });
            lists.extend(made.map(|made| (made, value)));
            others.extend(script.attempt(|| cx.new_slice::<u32>(value as usize, |_, i| i as u32)));
            script.attempt(|| {
                cx.try_new(Node {
                    value,
                    next: Slot::null(),
                    counted: Some(Plain(Counted::new(&count))),
                })
                .map(|_| ())
            });
            if let Some(last) = others.last() {
                let pinned = script.attempt(|| cx.pin(last.get(cx)));
                assert!(pinned.is_none_or(|pinned| pinned.iter().enumerate().all(|(i, value)| i == *value as usize)));
            }
            script.attempt(|| {
                let made = cx.new_finalizable::<Node>(|_| Node {
                    value,
                    next: Slot::null(),
                    counted: Some(Plain(Counted::new(&count))),
                });
                made.map(|_| ())
            });
            if let Some((last, _)) = lists.last() {
                script.attempt(|| cx.register_finalizer::<Node>(last.get(cx)));
                cx.suppress_finalizer(last.get(cx));
            }
            if let Some(last) = others.last() {
                script.attempt(|| cx.with_pinned(last, |cx, _| cx.collect(Generation::Young)));
            }
            let born = script.attempt(|| cx.new_pinned::<Cell<u32>>(|_| Cell::new(value)));
            let weak = lists
                .first()
                .and_then(|(first, _)| script.attempt(|| cx.weak::<Node>(first.get(cx))));
            if collect {
                cx.collect(Generation::Young);
            }
            assert!(weak.is_none_or(|weak| weak.get(cx).is_some()));
            assert!(born.is_none_or(|born| born.get(cx).get().get() == value));
        }
        for (root, value) in &lists {
            assert_eq!(root.get(cx).value, *value);
        }
        // Finalisers, then the destructors of what these were for.
        for _ in 0..2 {
            cx.compact();
            cx.poll();
        }
        let (mut at, mut expected) = (lists.last().map(|(last, _)| last.get(cx)), lists.iter().rev());
        while let Some(node) = at {
            assert_eq!(Some(node.value), expected.next().map(|(_, value)| *value));
            assert!(node.counted.is_some());
            at = node.next.get(cx);
        }
        assert_eq!(count.get(), lists.len() as isize, "nothing is lost, nor dropped twice");
    });
    drop(arena);
    assert_eq!(count.get(), 0);
    heap.check().unwrap();
    script.failures
}

#[test]
fn e3_any_allocation_may_fail() {
    let step = if support::scale() < 100 { 17 } else { 1 };
    let failures: usize = (0..STEPS)
        .step_by(step)
        .map(|hungry| run(hungry, false) + run(hungry, true))
        .sum();
    assert!(failures > 0);
    println!("{failures} failures");
}
