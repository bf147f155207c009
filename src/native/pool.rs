//! What all contexts share: the spans, and the slow paths that fall back on them.
//!
//! The order of a small request, cheapest first, with the step's name in [`Steps`]:
//!
//! 1. the context's cache of that size (`Context::pop`; counted there)
//! 2. the rest of the context's chunk (`bumped`)
//! 3. a new chunk from the buckets, while memory is plentiful (`refills`)
//! 4. the exact granules from the buckets (`direct`)
//! 5. the same after something idle was given back (`rescued`)
//! 6. null
//!
//! **Plentiful** means that one free block of at least half of the first span is left (a quarter, if the span is large)
//! and that free memory is above the alarm level and the floor (see `floor.rs`). As long as it lasts, fragmentation cannot
//! hurt, so contexts are open: frees are cached and chunks are taken; what may be cached is a part of that block. When it is
//! used up, contexts close: every free is joined with its neighbours at once, requests are cut exactly from the block that
//! suits density best, and operations that are cheap otherwise drain one cached block each. So no operation does more than a
//! fixed amount of work.

use core::ptr;

use super::context::Context;
use crate::base::granule::{GRANULE, MAX_GRANULES};
use crate::region::span::MAX_CACHED;
use crate::region::{End, Fit, Found, Region};

/// A new chunk is taken only for requests of at most this part of it, as a shift.
const BUMP_SHIFT: u32 = 2;

/// Table entries that an operation looks at for a block to drain.
const DRAIN_ENTRIES: usize = 2;

/// How requests that missed the cache were served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Steps {
    /// Requests served by the rest of a context's chunk.
    pub bumped: usize,
    /// Chunks taken from the buckets; each served one request as well.
    pub refills: usize,
    /// Requests served by a block of the buckets directly.
    pub direct: usize,
    /// Requests served only after cached blocks were given back.
    pub rescued: usize,
    /// Cached blocks that were given back to the buckets.
    pub drained: usize,
}

/// The spans of a heap and the rules for sharing them.
#[cfg_attr(terrace_small, repr(C))]
pub(crate) struct Pool {
    /// Whether memory is plentiful.
    pub(super) plentiful: bool,
    /// Whether each request has to be seen.
    barred: bool,
    /// How blocks are chosen now.
    fit: Fit,
    /// The class of free blocks that one must be left of while memory is plentiful.
    pub(super) reserve: u8,
    /// Granules of a chunk.
    pub(super) quantum: u16,
    pub(super) contexts: u8,
    /// Free granules below which nothing is cached, so that each change of the load is seen, and an operation takes a closer
    /// look: at the alarm level, or above the floor; any, if the load is watched.
    pub(super) notice: usize,
    /// The least free granules that there have been, had there always been as many granules as now.
    pub(super) least: isize,
    /// What a request must leave free, see `floor.rs`; 0 if it need leave nothing.
    pub(super) floor: usize,
    /// What else some programs need; nothing before that.
    pub(super) special: Option<&'static Special>,
    /// Free granules of the spans behind the first one.
    pub(super) free_elsewhere: usize,
    pub steps: Steps,
    /// The first span; the others are linked behind it.
    pub region: Region,
}

/// What only some programs need of a pool: further spans, and a floor. Whoever makes one there sets the pointer to it, so that the
/// others do not link it.
pub(super) struct Special {
    /// Takes granules from another span than the first, as [`Region::take`], or null.
    pub take: fn(&mut Pool, n: u32, align: usize) -> *mut u8,
    /// Counts what is free in other spans.
    pub count: fn(&mut Pool),
    /// Whether a request would leave less than the floor.
    pub falls_short: fn(&Pool, context: &Context, n: usize) -> bool,
}

impl Pool {
    pub(crate) const EMPTY: Pool = Pool {
        region: Region::EMPTY,
        reserve: 0,
        quantum: 0,
        contexts: 0,
        plentiful: false,
        barred: false,
        fit: Fit::Dense,
        notice: 0,
        least: 0,
        floor: 0,
        free_elsewhere: 0,
        special: None,
        steps: Steps {
            bumped: 0,
            refills: 0,
            direct: 0,
            rescued: 0,
            drained: 0,
        },
    };

    /// Free granules of all spans that are in the buckets. O(1).
    #[inline(always)]
    pub(crate) fn free(&self) -> usize {
        self.region.free() as usize + self.free_elsewhere
    }

    /// Whether no other context holds any memory.
    pub(crate) fn has_one_context(&self) -> bool {
        self.contexts <= 1
    }

    /// Takes note that free memory fell below what asks for a look at the load. O(1).
    #[inline(always)]
    pub(crate) fn follow_notice(&mut self, context: &mut Context) {
        if self.plentiful {
            self.judge_for(context);
        }
    }

    /// Sets the free granules below which each change of the load must be seen; if `always`, each change must be seen.
    /// The running context is settled by the operation under way, the others by their next one.
    pub(crate) fn set_alarm(&mut self, alarm: usize, always: bool) {
        // A chunk is not to go below the floor.
        let chunk_floor = self.floor + usize::from(self.quantum);
        self.notice = if always { usize::MAX } else { alarm.max(chunk_floor) };
        self.judge();
    }

    /// Makes contexts be closed, so that each request is seen, or no more.
    pub(crate) fn set_barred(&mut self, barred: bool) {
        self.barred = barred;
        self.judge();
    }

    /// Whether each request has to be seen.
    #[inline(always)]
    pub(crate) fn is_barred(&self) -> bool {
        self.barred
    }

    /// Whether the operation just done calls for a look at the load.
    #[inline(always)]
    pub(crate) fn is_noticed(&self) -> bool {
        self.free() < self.notice
    }

    /// Finds out whether memory is plentiful now, and does as the answer asks. O(1).
    #[cold]
    #[inline(never)]
    pub(crate) fn judge(&mut self) {
        self.plentiful = !self.barred && self.region.has_class(self.reserve.into()) && !self.is_noticed();
        self.fit = if self.plentiful && self.is_large() {
            Fit::Quick
        } else {
            Fit::Dense
        };
    }

    /// Opens or closes the context as the state of memory asks, which other contexts may have changed as well. O(1).
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn settle(&self, context: &mut Context) {
        if self.plentiful {
            context.open();
        } else {
            context.close();
        }
    }

    /// Judges, and settles the context.
    #[cold]
    #[inline(never)]
    pub(crate) fn judge_for(&mut self, context: &mut Context) {
        self.judge();
        self.settle(context);
    }

    /// Serves a request of `n` granules, not 0, at a multiple of `align`, a power of two, that the cache did not serve; null if it
    /// cannot. O(1).
    #[inline(always)]
    pub(crate) fn allocate(&mut self, context: &mut Context, n: usize, align: usize) -> *mut u8 {
        if self.falls_short(context, n) {
            return ptr::null_mut();
        }
        if align > GRANULE {
            return self.allocate_aligned(context, n, align);
        }
        if self.plentiful {
            let block = context.bump(n);
            if !block.is_null() {
                self.steps.bumped = self.steps.bumped.wrapping_add(1);
                return block;
            }
            if n <= usize::from(self.quantum >> BUMP_SHIFT) {
                return self.refill(context, n as u32);
            }
        } else if context.is_idle() {
            let block = self.allocate_idle(context, n);
            if !block.is_null() {
                return block;
            }
        }
        self.allocate_directly(context, n, GRANULE)
    }

    /// Serves a request of `n` granules from what the closed context still holds, and drains it.
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    fn allocate_idle(&mut self, context: &mut Context, n: usize) -> *mut u8 {
        self.settle(context);
        let block = context.pop_idle(n);
        if !block.is_null() {
            self.drain(context);
        }
        block
    }

    /// As [`Pool::allocate`], with more than the granule's alignment.
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    fn allocate_aligned(&mut self, context: &mut Context, n: usize, align: usize) -> *mut u8 {
        let mut block = context.pop_aligned(n, align);
        if !block.is_null() {
            return block;
        }
        // The rest of the chunk may be such a block that was freed just now.
        if context.unused() as usize & (align - 1) == 0 {
            block = context.bump(n);
        }
        if block.is_null() {
            return self.allocate_directly(context, n, align);
        }
        self.steps.direct = self.steps.direct.wrapping_add(1);
        block
    }

    /// Serves a request of `n` granules from the buckets.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    fn allocate_directly(&mut self, context: &mut Context, n: usize, align: usize) -> *mut u8 {
        if !is_possible(n) {
            return ptr::null_mut();
        }
        let found = self.region.take(n as u32, align, self.fit);
        if found.block == 0 {
            return self.allocate_elsewhere(context, n as u32, align);
        }
        self.steps.direct = self.steps.direct.wrapping_add(1);
        self.hand_out(context, found)
    }

    /// Serves a request of `n` granules that the first span cannot serve.
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    fn allocate_elsewhere(&mut self, context: &mut Context, n: u32, align: usize) -> *mut u8 {
        if let Some(special) = self.special {
            let block = (special.take)(self, n, align);
            if !block.is_null() {
                return block;
            }
        }
        if align > GRANULE || !context.is_idle() || !self.give_idle(context) {
            return ptr::null_mut();
        }
        // What was given back is the only block that was not looked at.
        let found = self.region.take(n, align, Fit::Newest);
        if found.block == 0 {
            return ptr::null_mut();
        }
        self.steps.rescued = self.steps.rescued.wrapping_add(1);
        self.hand_out(context, found)
    }

    /// The address of what was taken from the first span. Memory may have become short.
    #[inline(always)]
    fn hand_out(&mut self, context: &mut Context, found: Found) -> *mut u8 {
        self.follow_take(context, found.class);
        self.region.pointer_to(found.block)
    }

    /// Serves a request of `n` granules, not 0, for what stays for long: at an end of the first span, and not from a chunk; null
    /// if that has no such block. At the first end, `align` is at most the granule, and of blocks that may hold them only those
    /// that surely do are looked at: O(classes). At the last one: O(free blocks of `n` granules or more).
    pub(crate) fn allocate_at(&mut self, context: &mut Context, end: End, n: usize, align: usize) -> *mut u8 {
        if !is_possible(n) {
            return ptr::null_mut();
        }
        let found = end.take(&mut self.region, n as u32, align);
        if found.block == 0 {
            return ptr::null_mut();
        }
        self.steps.direct = self.steps.direct.wrapping_add(1);
        self.hand_out(context, found)
    }

    /// Takes back a block of `n` granules that the cache did not take; tells whether that was little work, so that some
    /// draining can be done as well, see [`Pool::drain`]. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with that size, and is used by nobody any more.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn release(&mut self, context: &mut Context, block: *mut u8, n: usize) -> bool {
        // SAFETY: the caller gives the block up.
        let class = unsafe {
            if self.plentiful && self.unbump(context, block, n) {
                return false;
            }
            self.give(block, n)
        };
        if self.plentiful {
            return false;
        }
        if class >= self.reserve.into() {
            self.judge_for(context);
        }
        class == 0 && context.is_idle()
    }

    /// After granules were taken from a free block of `class` of the first span: memory may have become short.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn follow_take(&mut self, context: &mut Context, class: u32) {
        if self.plentiful && class >= self.reserve.into() {
            self.judge_for(context);
        }
    }

    /// Puts the block of `n` granules back to the chunk, if it is the last one of it. O(1), plus one word store for every
    /// 32 granules.
    ///
    /// # Safety
    /// The block was handed out by this pool with that size, and is used by nobody any more.
    #[inline(always)]
    unsafe fn unbump(&mut self, context: &mut Context, block: *mut u8, n: usize) -> bool {
        if !context.is_last_bumped(block, n) {
            return false;
        }
        // Inside a chunk that has gone through the buckets meanwhile, some bits between a block's ends may be clear.
        // SAFETY: chunks come from the first span; the block's granules are allocated ones of it, and nobody's now.
        unsafe {
            self.region.mark(self.region.position_of(block as usize), n as u32);
            context.unbump(block);
        }
        true
    }

    /// Gives every cached block and the rest of the chunk back. O(cached blocks).
    pub(crate) fn flush(&mut self, context: &mut Context) {
        let (rest, n) = context.take_rest();
        // SAFETY: BUMP: the rest's granules are allocated, its bits set and nobody's. CACHE: a block that was cached is
        // allocated granules that nobody uses.
        unsafe {
            if n != 0 {
                self.give_back(rest, n);
            }
            while let Some((block, n)) = context.drain(MAX_CACHED + 1) {
                self.steps.drained = self.steps.drained.wrapping_add(1);
                self.give_back(block, n);
            }
        }
        self.judge_for(context);
    }

    /// Takes a chunk, serves `n` granules from it and leaves the rest to the context; only these granules, if there was the
    /// rest of an old chunk to get rid of, which is enough for one operation. Null if there is no memory.
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    fn refill(&mut self, context: &mut Context, n: u32) -> *mut u8 {
        self.settle(context);
        let mut wanted = u32::from(self.quantum);
        let (rest, rest_size) = context.take_rest();
        // SAFETY: BUMP: the rest's granules are allocated, all bits set, and nobody's; as a block it is the cache's, or the
        // region's.
        unsafe {
            if rest_size != 0 && !context.keep(rest, rest_size) {
                self.give_back(rest, rest_size);
                wanted = n;
            }
        }
        let found = self.region.take(wanted, GRANULE, Fit::Quick);
        if found.block == 0 {
            return ptr::null_mut();
        }
        let block = self.hand_out(context, found);
        if wanted == n {
            self.steps.direct = self.steps.direct.wrapping_add(1);
            return block;
        }
        self.steps.refills = self.steps.refills.wrapping_add(1);
        // SAFETY: BUMP: the chunk's granules are allocated, its bits set and nobody's; the old rest was taken.
        unsafe {
            self.region.mark(found.block, wanted);
            context.set_chunk(block, n as usize, (wanted - n) as usize);
        }
        block
    }

    /// Gives `n` allocated granules from `block` on back to the span that they lie in; returns the class of the block of the
    /// first span that they were joined to, or 0.
    ///
    /// # Safety
    /// They were taken from this pool, the bits of the first and the last granule are set, and nobody uses them.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    unsafe fn give(&mut self, block: *mut u8, n: usize) -> u32 {
        let address = block as usize;
        if cfg!(not(terrace_small)) && self.region.contains(address) {
            let position = self.region.position_of(address);
            // SAFETY: the caller gives allocated granules of this span.
            return unsafe { self.region.give(position, n as u32) };
        }
        // SAFETY: the caller's.
        unsafe { self.give_anywhere(address, n as u32) }
    }

    /// As [`Pool::give`], with one way for all spans.
    ///
    /// # Safety
    /// As for [`Pool::give`].
    #[cfg_attr(not(terrace_small), cold, inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn give_anywhere(&mut self, address: usize, n: u32) -> u32 {
        let first = &raw const self.region;
        let Some(region) = self.region_of(address) else {
            return 0;
        };
        let is_first = ptr::eq(region, first);
        // SAFETY: the caller gives allocated granules of this span.
        let class = unsafe { region.give(region.position_of(address), n) };
        if is_first {
            return class;
        }
        self.count_others();
        0
    }

    /// Follows a change in another span than the first, if there is one. O(spans).
    #[inline(always)]
    pub(super) fn count_others(&mut self) {
        if let Some(special) = self.special {
            (special.count)(self);
        }
    }

    /// As [`Pool::give`], for what the context held.
    ///
    /// # Safety
    /// As for [`Pool::give`].
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn give_back(&mut self, block: *mut u8, n: usize) {
        // SAFETY: as the caller says.
        unsafe { self.give(block, n) };
    }

    /// Gives something idle back; the newest free block stays the newest, for whoever asks again for what he has just freed.
    /// O(1).
    #[cold]
    #[inline(never)]
    pub(crate) fn drain(&mut self, context: &mut Context) {
        let newest = self.region.newest();
        if self.give_idle(context) {
            self.region.keep_newest(newest);
        }
    }

    /// Gives back the chunk's rest, or one cached block, if one is found soon; tells whether it did. O(1).
    #[cold]
    #[inline(never)]
    fn give_idle(&mut self, context: &mut Context) -> bool {
        self.settle(context);
        let (mut block, mut n) = context.take_rest();
        if n == 0 {
            match context.drain(DRAIN_ENTRIES) {
                Some(drained) => (block, n) = drained,
                None => return false,
            }
            self.steps.drained = self.steps.drained.wrapping_add(1);
        }
        // SAFETY: CACHE and BUMP: both are allocated granules that nobody uses, with their bits set.
        unsafe { self.give_back(block, n) };
        true
    }
}

/// Whether `n` granules, which is 0 after an overflow, can be asked of a region.
#[inline(always)]
fn is_possible(n: usize) -> bool {
    n.wrapping_sub(1) < MAX_GRANULES
}
