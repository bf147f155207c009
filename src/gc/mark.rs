//! The mark phase: finds what lives, from the handles and the dirty cards.

use core::ptr::NonNull;

use super::Collector;
use super::card;
use super::drops;
use super::finalize::Step;
use super::handle::Kind;
use super::visit::{Task, Visitor};

impl Collector {
    /// A visitor for one phase.
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn visitor(&mut self, task: Task) -> Visitor {
        Visitor::new(self.space, task, self.stack.as_mut_slice())
    }

    /// Marks what lives in the generations up to `generation`, and what is young anywhere. Weak handles of the dead become
    /// empty; dead objects with finalisers are queued, and live on with all that they reach; other dead objects with
    /// destructors become dying ones. Tells whether anything lives that did not before.
    ///
    /// # Safety
    /// The collector's invariants hold, and no reference to an object exists.
    pub(super) unsafe fn mark(&mut self, generation: u8) -> bool {
        // SAFETY: LIVE: clearing the bits makes the condemned objects young; all that is alive is marked below.
        unsafe {
            for segment in self.segments.as_slice() {
                if segment.generation <= generation {
                    card::forget_live(&self.space, segment);
                }
            }
            let mut visitor = self.visitor(Task::Mark);
            self.handles.each(|kind, position| {
                if matches!(kind, Kind::Strong | Kind::Pinned) {
                    visitor.mark(*position);
                    visitor.work();
                }
            });
            Collector::care_for_drops(NonNull::from_mut(self), drops::Step::Mark(&mut visitor));
            for segment in self.segments.as_slice() {
                if segment.generation > generation {
                    card::visit_dirty(segment, generation, &mut visitor);
                }
            }
            self.counters.cards = visitor.cards;
            visitor.drain();
            self.rescan(generation, &mut visitor);
            self.handles.empty(&self.space, Kind::Weak);
            if let Some(work) = self.finals.work {
                work(self, Step::Find(generation, &mut visitor));
            }
            self.handles.empty(&self.space, Kind::Long);
            visitor.task = Task::Sever;
            let died = Collector::care_for_drops(NonNull::from_mut(self), drops::Step::Find(&mut visitor));
            visitor.found || died
        }
    }

    /// Traces all marked objects again until the mark stack has held everything.
    ///
    /// # Safety
    /// As for [`Collector::mark`].
    pub(super) unsafe fn rescan(&self, generation: u8, visitor: &mut Visitor) {
        while core::mem::take(&mut visitor.overflowed) {
            for segment in self.segments.as_slice() {
                if segment.generation <= generation || segment.is_touched {
                    // SAFETY: the caller's.
                    unsafe { visitor.trace_live(segment) };
                }
            }
            visitor.drain();
        }
    }
}
