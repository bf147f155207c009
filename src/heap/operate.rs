//! Allocating and freeing: the fast ways, and the slow ones behind them.

use core::alloc::Layout;
use core::ptr;

use lock_api::RawMutex;

use super::{Heap, Shared, Slot};
use crate::base::core_id::CoreId;
use crate::base::granule::{GRANULE, granules};
use crate::native::context::{Context, Pushed};
use crate::notify::{Cause, Pressure};

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// A block for `layout`, or null. For no bytes: a dangling pointer that is aligned as asked.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn allocate(&self, layout: Layout) -> *mut u8 {
        if cfg!(feature = "check") {
            return self.allocate_checked(layout);
        }
        let slot = self.slot();
        if !slot.lock.try_lock() {
            return self.allocate_waiting(slot, layout);
        }
        // SAFETY: the slot is locked; the callee unlocks it.
        unsafe { self.allocate_locked(slot, layout) }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// The block was handed out by this heap for this layout and is used by nobody any more.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) unsafe fn release(&self, block: *mut u8, layout: Layout) {
        if cfg!(feature = "check") {
            // SAFETY: the caller gives the block up.
            return unsafe { self.release_checked(block, layout) };
        }
        let slot = self.slot();
        // SAFETY: the slot is locked, and the callee unlocks it; the caller gives the block up.
        unsafe {
            if !slot.lock.try_lock() {
                return self.release_waiting(slot, block, layout);
            }
            self.release_locked(slot, block, layout);
        }
    }

    // Waiting for the lock in a function of its own keeps the fast way free of a stack frame.
    #[cold]
    #[inline(never)]
    fn allocate_waiting(&self, slot: &Slot<L>, layout: Layout) -> *mut u8 {
        slot.lock.lock();
        // SAFETY: the slot is locked; the callee unlocks it.
        unsafe { self.allocate_locked(slot, layout) }
    }

    /// # Safety
    /// As for [`Heap::release`].
    #[cold]
    #[inline(never)]
    unsafe fn release_waiting(&self, slot: &Slot<L>, block: *mut u8, layout: Layout) {
        slot.lock.lock();
        // SAFETY: the slot is locked, and the callee unlocks it; the caller gives the block up.
        unsafe { self.release_locked(slot, block, layout) };
    }

    /// # Safety
    /// `slot` is locked; it is unlocked on return.
    #[inline(always)]
    unsafe fn allocate_locked(&self, slot: &Slot<L>, layout: Layout) -> *mut u8 {
        // SAFETY: the slot's lock is held until `unlock`, so this is the only reference to the context.
        unsafe {
            if layout.align() <= GRANULE {
                let block = (*slot.context.get()).pop(layout.size());
                if !block.is_null() {
                    slot.lock.unlock();
                    return block;
                }
            }
            self.allocate_slowly(slot, layout)
        }
    }

    /// # Safety
    /// `slot` is locked; it is unlocked on return. For block and layout see [`Heap::release`].
    #[inline(always)]
    unsafe fn release_locked(&self, slot: &Slot<L>, block: *mut u8, layout: Layout) {
        // SAFETY: the slot's lock is held until `unlock`, so this is the only reference to the context; the caller gives
        // the block up.
        unsafe {
            let pushed = (*slot.context.get()).push(block, layout.size());
            if cfg!(terrace_small) && pushed != Pushed::Cached {
                // One copy of the slow way.
                if pushed == Pushed::Short {
                    (*slot.context.get()).undo_push(layout.size());
                }
                return self.release_slowly(slot, block, layout);
            }
            match pushed {
                Pushed::Cached => slot.lock.unlock(),
                Pushed::Unfit => self.release_slowly(slot, block, layout),
                Pushed::Short => self.release_short(slot, block, layout),
            }
        }
    }

    /// # Safety
    /// `slot` is locked; it is unlocked on return.
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn allocate_slowly(&self, slot: &Slot<L>, layout: Layout) -> *mut u8 {
        // SAFETY: the caller has locked the slot.
        let block = unsafe {
            self.with_shared(slot, |context, shared| {
                if layout.size() == 0 {
                    return ptr::without_provenance_mut(layout.align());
                }
                shared.serve(context, layout.size(), layout.align())
            })
        };
        if block.is_null() { self.rescue(layout) } else { block }
    }

    /// # Safety
    /// `slot` is locked and its context was left by [`Pushed::Short`]; the slot is unlocked on return. For block and layout
    /// see [`Heap::release`].
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn release_short(&self, slot: &Slot<L>, block: *mut u8, layout: Layout) {
        // SAFETY: the caller has locked the slot and gives the block up.
        unsafe {
            (*slot.context.get()).undo_push(layout.size());
            self.release_slowly(slot, block, layout);
        }
    }

    /// # Safety
    /// `slot` is locked; it is unlocked on return. For block and layout see [`Heap::release`].
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn release_slowly(&self, slot: &Slot<L>, block: *mut u8, layout: Layout) {
        if layout.size() == 0 {
            // SAFETY: the caller has locked the slot.
            return unsafe { slot.lock.unlock() };
        }
        // SAFETY: the caller has locked the slot and gives the block up.
        unsafe {
            self.with_shared(slot, |context, shared| {
                shared.release(context, block, granules(layout.size()));
            });
        }
    }

    /// Runs `work` with the slot's context and the shared part, then unlocks both.
    ///
    /// # Safety
    /// `slot` is locked; it is unlocked on return.
    #[inline(always)]
    pub(super) unsafe fn with_shared<R>(&self, slot: &Slot<L>, work: impl FnOnce(&mut Context, &mut Shared) -> R) -> R {
        self.lock_shared();
        // SAFETY: both locks are held until the unlocks, so these are the only references; `work` runs no user code.
        unsafe {
            let shared = &mut *self.shared.get();
            let result = work(&mut *slot.context.get(), shared);
            if CONTEXTS > 1 && shared.is_doubtful {
                self.confirm(slot, shared);
            }
            self.unlock_slot(slot);
            result
        }
    }

    /// Shows the load to the watch, if no other core is using its context right now: what that holds is not in use, and
    /// how much that is can't be known meanwhile. The next slow operation, or the poll, tries again.
    ///
    /// # Safety
    /// `own` is locked, and so is `shared`.
    #[cold]
    unsafe fn confirm(&self, own: &Slot<L>, shared: &mut Shared) {
        shared.is_doubtful = false;
        let is_own = |slot: &Slot<L>| ptr::eq(slot, own);
        let taken = self
            .slots
            .iter()
            .take_while(|slot| is_own(slot) || slot.lock.try_lock());
        let (mut locked, mut idle) = (0, 0);
        for slot in taken {
            locked += 1;
            // SAFETY: the slot is locked, by the caller or just now.
            idle += unsafe { (*slot.context.get()).idle() } * GRANULE;
        }
        if locked == CONTEXTS {
            shared.observe(idle);
            // SAFETY: `own` is locked, as the caller says; the others settle themselves.
            shared.pool.settle(unsafe { &mut *own.context.get() });
        }
        for slot in self.slots[..locked].iter().rev().filter(|slot| !is_own(slot)) {
            // SAFETY: it was locked above.
            unsafe { slot.lock.unlock() };
        }
    }

    /// As [`Heap::with_shared`], locking the running core's slot first.
    #[inline(always)]
    pub(super) fn enter<R>(&self, work: impl FnOnce(&mut Context, &mut Shared) -> R) -> R {
        let slot = self.slot();
        self.lock_slot(slot);
        // SAFETY: locked in the line above.
        unsafe { self.with_shared(slot, work) }
    }

    /// Locks a slot, for what is not the fast way.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn lock_slot(&self, slot: &Slot<L>) {
        slot.lock.lock();
    }

    /// Unlocks a slot, and the shared part.
    ///
    /// # Safety
    /// Both are locked.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    unsafe fn unlock_slot(&self, slot: &Slot<L>) {
        // SAFETY: the caller's.
        unsafe {
            self.unlock_shared();
            slot.lock.unlock();
        }
    }
}

impl Shared {
    /// A block for so many bytes, not 0, which the cache does not serve, or null; notes a failure, if nothing can be done.
    #[inline(always)]
    pub(super) fn serve(&mut self, context: &mut Context, size: usize, align: usize) -> *mut u8 {
        if self.pool.is_barred() {
            return ptr::null_mut(); // whose request it is, `Heap::rescue` finds out
        }
        self.serve_unbarred(context, size, align)
    }

    /// As [`Shared::serve`], also while a GC handler runs.
    #[inline(always)]
    pub(super) fn serve_unbarred(&mut self, context: &mut Context, size: usize, align: usize) -> *mut u8 {
        let block = self.serve_quietly(context, size, align);
        if block.is_null() {
            self.miss(context, size);
        }
        block
    }

    /// As [`Shared::serve`], but does not note a failure.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn serve_quietly(&mut self, context: &mut Context, size: usize, align: usize) -> *mut u8 {
        let block = self.pool.allocate(context, granules(size), align);
        self.account(context);
        block
    }

    /// Takes back a block of `n` granules, not 0, that the cache did not take.
    ///
    /// # Safety
    /// The block was handed out by this heap with that size, and is used by nobody any more.
    #[inline(always)]
    pub(super) unsafe fn release(&mut self, context: &mut Context, block: *mut u8, n: usize) {
        // SAFETY: the caller gives the block up.
        let has_time = unsafe { self.pool.release(context, block, n) };
        self.follow_release(context, has_time);
    }

    /// Takes note of the load after a block, or a part of one, was taken back; drains if there is time for it.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn follow_release(&mut self, context: &mut Context, has_time: bool) {
        let turned = self.look(context);
        if has_time && !turned {
            self.pool.drain(context);
        }
    }

    /// Notes a failed request: low memory is due.
    #[cold]
    #[inline(never)]
    pub(super) fn fail(&mut self, context: &Context, bytes: usize) {
        self.journal.failed(bytes);
        self.raise(Pressure::Critical, Cause::Failure { bytes }, context.idle());
    }

    /// Bytes that are not in the buckets.
    #[inline(always)]
    pub(super) fn taken(&self) -> usize {
        (self.pool.granules() - self.pool.free()) * GRANULE
    }

    /// Takes note of the load after a slow operation; tells whether that was a turn of the watch. Where the load is far from
    /// the next watermark, that is one comparison: the pool lets nothing be cached beyond the alarm level, so no operation can
    /// cross a watermark unseen.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn account(&mut self, context: &mut Context) -> bool {
        self.pool.note_least();
        self.look(context)
    }

    /// Shows the load to the watch as far as this context knows it: what other contexts hold counts as in use. That may arm the
    /// watch, but with other contexts it is not enough to raise an alarm.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    fn look(&mut self, context: &mut Context) -> bool {
        if !self.pool.is_noticed() {
            return false;
        }
        self.pool.follow_notice(context);
        let is_alarming = self.is_alarming(context.idle());
        if is_alarming == self.watch.is_disarmed() {
            return false;
        }
        if is_alarming && !self.pool.has_one_context() {
            self.is_doubtful = true;
            return false;
        }
        self.turn(context.idle());
        self.pool.settle(context);
        true
    }

    /// Whether so little is free, with `idle` granules that contexts hold, that an alarm is due, or would be. O(1).
    #[inline(always)]
    fn is_alarming(&self, idle: usize) -> bool {
        self.pool.free() + idle < self.watch.alarm()
    }

    /// Shows the load to the watch; `idle` bytes of what is taken are not in use.
    #[inline(never)]
    pub(super) fn observe(&mut self, idle: usize) {
        let idle = idle / GRANULE;
        if self.is_alarming(idle) != self.watch.is_disarmed() {
            self.turn(idle);
        }
    }

    /// Takes note that the load has passed a watermark; `idle` granules of what is taken are not in use. Contexts are to be settled
    /// then.
    #[cold]
    #[inline(never)]
    fn turn(&mut self, idle: usize) {
        self.watch.turn();
        if self.watch.is_disarmed() {
            self.raise(Pressure::Moderate, Cause::Watermark, idle);
        } else {
            self.journal.recovered = true;
            self.has_news = true;
        }
        self.follow_watch();
    }

    /// Makes low memory due; `idle` granules of what is taken are not in use.
    #[cold]
    #[inline(never)]
    fn raise(&mut self, level: Pressure, cause: Cause, idle: usize) {
        self.has_news = true;
        let used = self.watched(idle * GRANULE);
        self.watch.raise(level, cause, used);
    }

    /// Places the watermarks anew, and tells the pool.
    pub(super) fn set_alarm(&mut self) {
        self.watch.place(self.scale());
        self.follow_watch();
    }

    /// Tells the pool from which level on each change of the load must be seen. Armed, the fall of free memory below this is the rise
    /// of the use to the high watermark; disarmed, its rise to this is the fall of the use to the low one.
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn follow_watch(&mut self) {
        self.pool.set_alarm(self.watch.alarm(), self.watch.is_disarmed());
    }
}
