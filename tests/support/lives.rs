//! The end of lives, in the model: finalisers, resurrection, pins without a handle to keep, pins from birth.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use terrace::*;

use super::{Item, MOST_HANDLES, Model, Rooted, pick};
use crate::step::Act;

/// What finalisers have done since the model looked last.
pub struct Lives<A: Brand> {
    finalized: RefCell<Vec<u32>>,
    /// Objects that were met in finalisers, and what `left` and `right` of them refer to.
    met: RefCell<Vec<(u32, [Option<u32>; 2])>>,
    saved: RefCell<Vec<Rooted<A>>>,
    registered: RefCell<Vec<u32>>,
    suppressed: RefCell<Vec<u32>>,
    /// A poll ended early.
    was_interrupted: Cell<bool>,
    /// Nothing is kept or registered any more.
    is_ending: Cell<bool>,
}

impl<A: Brand> Default for Lives<A> {
    fn default() -> Self {
        Lives {
            finalized: RefCell::default(),
            met: RefCell::default(),
            saved: RefCell::default(),
            registered: RefCell::default(),
            suppressed: RefCell::default(),
            was_interrupted: Cell::default(),
            is_ending: Cell::default(),
        }
    }
}

impl<A: Brand> Lives<A> {
    /// Whether nothing has happened that the model has not looked at.
    pub fn is_quiet(&self) -> bool {
        self.finalized.borrow().is_empty() && self.saved.borrow().is_empty()
    }
}

impl<A: Brand> Finalize<A> for Item<'static, A> {
    fn finalize(this: Root<Self, A>, cx: &mut Cx<A>) {
        let lives: Rc<Lives<A>> = this.get(cx).lives.0.clone();
        let (id, act) = (this.get(cx).id, this.get(cx).act.0);
        lives.finalized.borrow_mut().push(id);
        meet_all(cx, &this, &lives);
        match act {
            Act::Save | Act::Register if lives.is_ending.get() => {}
            Act::Nothing => {}
            Act::Save => lives.saved.borrow_mut().push((this, id)),
            Act::Register => {
                if cx.register_finalizer::<Item<A>>(this.get(cx)).is_ok() {
                    lives.registered.borrow_mut().push(id);
                }
                lives.saved.borrow_mut().push((this, id));
            }
            Act::Suppress => {
                if let Some(left) = this.get(cx).left.get(cx) {
                    let count = cx.suppress_finalizer(left);
                    lives.suppressed.borrow_mut().extend(vec![left.id; count]);
                }
            }
            Act::Collect(0) => cx.collect(Generation::Young),
            Act::Collect(_) => cx.collect(Generation::Old),
            Act::Allocate => drop(cx.new_slice::<u32>(id as usize % 100, |_, _| id)),
            Act::Poll => drop(cx.poll()),
            Act::Panic => {
                lives.was_interrupted.set(true);
                resume_unwind(Box::new(id)); // without a message
            }
        }
    }
}

/// Takes note of all that an object reaches, up to some depth.
fn meet_all<A: Brand>(cx: &Cx<A>, first: &Root<Item<'static, A>, A>, lives: &Lives<A>) {
    let (mut todo, mut seen, mut met) = (vec![first.get(cx)], HashSet::new(), lives.met.borrow_mut());
    while let Some(item) = todo.pop() {
        if seen.len() < 100 && seen.insert(item.id) {
            let targets = [item.left.get(cx), item.right.get(cx)];
            met.push((item.id, targets.map(|target| target.map(|target| target.id))));
            todo.extend(targets.into_iter().flatten());
            for slot in item.many.get(cx).iter().flat_map(|many| many.iter()) {
                todo.extend(slot.get(cx));
            }
            todo.extend(item.get().vec.iter(cx).filter_map(|slot| slot.get(cx)));
        }
    }
}

/// The bytes of a buffer, all of which were written.
pub fn read(buffer: &[Byte]) -> Vec<u8> {
    // SAFETY: the caller's.
    buffer.iter().map(|byte| unsafe { byte.get().assume_init() }).collect()
}

impl<A: Brand> Model<A> {
    pub(super) fn register(&mut self, cx: &Cx<A>, root: usize) {
        let Some(index) = pick(&self.roots, root) else { return };
        let (root, id) = &self.roots[index];
        if cx.register_finalizer::<Item<A>>(root.get(cx)).is_ok() {
            self.known[*id as usize].registered += 1;
        }
    }

    pub(super) fn suppress(&mut self, cx: &Cx<A>, root: usize) {
        let Some(index) = pick(&self.roots, root) else { return };
        let (root, id) = &self.roots[index];
        let count = cx.suppress_finalizer(root.get(cx)) as u32;
        assert_eq!(std::mem::take(&mut self.known[*id as usize].registered), count);
    }

    /// Polls the arena, and verifies what finalisers have met and done.
    pub(super) fn poll(&mut self, cx: &mut Cx<A>) {
        let (reachable, was_interrupted) = (self.reachable(), self.lives.was_interrupted.take());
        let _ = catch_unwind(AssertUnwindSafe(|| cx.poll()));
        let finalized = self.lives.finalized.take();
        for (id, targets) in self.lives.met.take() {
            let known = &self.known[id as usize];
            assert_eq!(targets, [known.left, known.right], "what a finaliser sees is intact");
        }
        for id in self.lives.registered.take() {
            self.known[id as usize].registered += 1;
        }
        for id in finalized.iter().copied().chain(self.lives.suppressed.take()) {
            let registered = &mut self.known[id as usize].registered;
            *registered = registered.checked_sub(1).expect("once for each registration");
        }
        assert!(
            was_interrupted || finalized.iter().all(|id| !reachable.contains(id)),
            "only what is dead is finalised"
        );
        // What is reached from there may have been dead for a while.
        let lapsed = self.reachable_from(finalized);
        for handle in &mut self.weak {
            handle.has_lapsed |= lapsed.contains(&handle.id);
        }
        self.roots.append(&mut self.lives.saved.borrow_mut());
        if self.roots.len() > MOST_HANDLES {
            self.roots.truncate(MOST_HANDLES / 2);
        }
    }

    /// Drops all roots, and polls until all that was registered is finalised: no object that is dead waits for ever.
    pub(super) fn finalize_all(&mut self, cx: &mut Cx<A>) {
        self.lives.is_ending.set(true);
        while cx.stats().queued + cx.stats().finalizable != 0 {
            self.roots.clear();
            cx.collect(Generation::Old);
            let before = self.registered();
            self.poll(cx);
            assert!(self.registered() < before, "each time at least one");
        }
        self.lives.is_ending.set(false);
        assert_eq!(self.registered(), 0);
    }

    fn registered(&self) -> u32 {
        self.known.iter().map(|known| known.registered).sum()
    }

    /// Verifies how many finalisers are registered and due; returns what is reachable, and what is kept, the objects that
    /// finalisers wait for included.
    pub(super) fn check_finalizers(&self, cx: &Cx<A>, exact: bool) -> (HashSet<u32>, HashSet<u32>) {
        let reachable = self.reachable();
        let registered = |id: &u32| self.known[*id as usize].registered;
        let all = (0..self.known.len() as u32).filter(|id| registered(id) != 0);
        let (alive, dead): (Vec<u32>, Vec<u32>) = all.partition(|id| reachable.contains(id));
        let sum = |ids: &mut dyn Iterator<Item = u32>| ids.map(|id| registered(&id) as usize).sum::<usize>();
        let (stats, alive_count) = (cx.stats(), sum(&mut alive.iter().copied()));
        let dead_count = sum(&mut dead.iter().copied());
        assert_eq!(stats.finalizable + stats.queued, alive_count + dead_count);
        if !self.lives.was_interrupted.get() {
            assert!(stats.finalizable >= alive_count, "what lives is not due");
        }
        if exact {
            // What another one that waits refers to may be kept by that, and so not be due yet.
            let targets = |id: &u32| {
                let known = &self.known[*id as usize];
                let slots = [known.left, known.right, known.part].into_iter();
                let vec = known.vec.iter().copied();
                slots
                    .chain(known.many.iter().copied())
                    .flatten()
                    .chain(vec)
                    .collect::<Vec<_>>()
            };
            let shadowed = self.reachable_from(dead.iter().flat_map(targets).collect());
            let mut due = dead.iter().copied().filter(|id| !shadowed.contains(id));
            // After a poll that ended early, one that waits keeps the object, so that later registrations of it are not due.
            let due = if self.lives.was_interrupted.get() {
                due.count()
            } else {
                sum(&mut due)
            };
            assert!(stats.queued >= due, "{} of {due} are due", stats.queued);
        }
        let mut kept = self.reachable_from(dead);
        kept.extend(&reachable);
        (reachable, kept)
    }

    /// Makes a buffer that is pinned from birth.
    pub(super) fn bear(&mut self, cx: &mut Cx<A>, len: usize, fill: u8) {
        if let Ok(buffer) = cx.new_pinned_buffer(len) {
            buffer.iter().for_each(|byte| byte.set(MaybeUninit::new(fill)));
            let address = buffer.as_ptr();
            self.born.push((buffer, fill, address));
        }
        if self.born.len() > MOST_HANDLES / 4 {
            self.born.swap_remove(usize::from(fill) % (MOST_HANDLES / 4));
        }
    }

    /// Makes a buffer and keeps it in place over a collection, which moves others.
    pub(super) fn scope(&self, cx: &mut Cx<A>, len: usize, fill: u8, generation: u8) {
        let Ok(buffer) = cx.new_slice::<Cell<u8>>(len, |_, _| Cell::new(fill)) else {
            return;
        };
        let collect = |cx: &mut Cx<A>| match generation {
            0 => cx.collect(Generation::Young),
            1 => cx.collect(Generation::Middle),
            _ => cx.compact(),
        };
        let _ = cx.with_pinned(&buffer, |cx, place| {
            collect(cx);
            assert_eq!(buffer.get(cx).as_ptr(), place.as_ptr(), "it stays");
            let _ = cx.with_pinned(&buffer, |cx, again| {
                assert_eq!(again.as_ptr(), place.as_ptr());
                collect(cx);
            });
            collect(cx);
            assert_eq!(
                buffer.get(cx).as_ptr(),
                place.as_ptr(),
                "it stays after an inner call as well"
            );
            assert!(place.iter().all(|byte| byte.get() == fill));
        });
        collect(cx);
        assert!(buffer.get(cx).iter().all(|byte| byte.get() == fill));
    }
}
