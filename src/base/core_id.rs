//! Which core, or thread, is running: the hook that picks an allocation context.

use super::interrupt;

/// Tells which context the running core, or thread, uses.
///
/// Implement it for a unit type and name that as the second parameter of [`Heap`](crate::Heap); it is asked at every
/// operation of a heap with more than one context, and never otherwise.
///
/// The answer decides only which context is used: each context has a lock of its own, so a wrong, stale or out-of-range
/// answer costs time (an index out of range counts as 0), not safety.
pub trait CoreId {
    /// The index of the running core, from 0. Called from interrupts as well; must not allocate.
    fn core_id() -> usize;

    /// A number of the running task, or thread: another one for each of those that use the heap at the same time. While a GC handler
    /// runs, requests of its task are refused; where tasks of one core can't be told apart, as by default, those of all of them.
    #[inline]
    fn task() -> usize {
        Self::core_id()
    }

    /// Whether an interrupt is being handled. There, a request that there is no room for fails at once, as what could be done
    /// for it takes too long: the host is not asked, and no arena is collected.
    ///
    /// On Cortex-M the processor is asked. Elsewhere it is `false` unless you know better; a wrong answer costs time, not safety.
    #[inline]
    fn in_interrupt() -> bool {
        interrupt::is_handled()
    }
}

/// One core, or one context for all.
pub struct SingleCore;

impl CoreId for SingleCore {
    #[inline(always)]
    fn core_id() -> usize {
        0
    }
}
