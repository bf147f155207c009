//! What all contexts share: the spans, and the slow paths that fall back on them.
//!
//! The order of a small request, cheapest first, with the step's name in [`Steps`]:
//!
//! 1. the context's cache of that size (`Context::pop`; counted there)
//! 2. the rest of the context's chunk (`bumped`)
//! 3. a new chunk from the buckets, while memory is plentiful (`refills`)
//! 4. the exact granules from the buckets (`direct`)
//! 5. the same after a bounded number of cached blocks was given back (`rescued`)
//! 6. null
//!
//! **Plentiful** means that one free block of at least half of the first span is left (a quarter, if the span is large)
//! and that free memory is above the alarm level. As long as it lasts, fragmentation cannot hurt, so frees are cached and
//! chunks are taken; what may be cached is a part of that block. When it is used up, nothing is cached any more, every free
//! is joined with its neighbours at once, requests are cut exactly from the block that suits density best, and operations
//! that were cheap otherwise drain one cached block each. So no operation does more than a fixed amount of work.

use super::context::Context;
use super::context::Pushed;

use crate::base::granule::{GRANULE_SHIFT, MAX_GRANULES};
use crate::region::span::MAX_CACHED;
use crate::region::{Fit, Region, class_of};

/// The free block that must be left while memory counts as plentiful: this part of the first span, as a shift.
const RESERVE_SHIFT: u32 = 1;

/// The same for spans of at least [`LARGE_SPAN`] granules, which recover better from fragmentation.
const LARGE_RESERVE_SHIFT: u32 = 2;
const LARGE_SPAN: u32 = 1 << 20;

/// The part of that block that may be cached, as a shift.
const CACHE_SHIFT: u32 = 2;

/// The part of that block that a chunk takes, as a shift, and the most granules that a chunk has.
const QUANTUM_SHIFT: u32 = 5;
const QUANTUM_MAX: u32 = 1024;

/// A chunk is bumped through only by requests of at most this part of it, as a shift.
const BUMP_SHIFT: u32 = 2;

/// Table entries that an operation looks at for a block to drain.
const DRAIN_ENTRIES: usize = 4;

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
pub(crate) struct Pool {
    /// The first span; the others are linked behind it.
    pub region: Region,
    /// The class of free blocks that one must be left of while memory is plentiful.
    reserve: u32,
    /// Free granules below which nothing is cached, so that each change of the load is seen.
    alarm: usize,
    /// Free granules below which an operation takes a closer look: the alarm level, or any if it is watched.
    notice: usize,
    /// The least free granules that there have been.
    least: usize,
    /// Whether memory is plentiful.
    plentiful: bool,
    /// How blocks are chosen while it is.
    fit: Fit,
    /// Granules of the spans behind the first one, free and in all.
    pub(super) free_elsewhere: usize,
    pub(super) granules_elsewhere: usize,
    /// Granules of a chunk.
    quantum: u32,
    /// Granules that one context may cache while memory is plentiful.
    grant: usize,
    contexts: u32,
    pub steps: Steps,
}

impl Pool {
    pub(crate) const EMPTY: Pool = Pool {
        region: Region::EMPTY,
        reserve: 0,
        alarm: 0,
        notice: 0,
        least: 0,
        plentiful: false,
        fit: Fit::Dense,
        free_elsewhere: 0,
        granules_elsewhere: 0,
        quantum: 0,
        grant: 0,
        contexts: 0,
        steps: Steps {
            bumped: 0,
            refills: 0,
            direct: 0,
            rescued: 0,
            drained: 0,
        },
    };

    /// Takes the first span over.
    pub(crate) fn open(&mut self, region: Region, contexts: u32) {
        let is_large = region.granules() >= LARGE_SPAN;
        let shift = if is_large { LARGE_RESERVE_SHIFT } else { RESERVE_SHIFT };
        self.fit = if is_large { Fit::Quick } else { Fit::Dense };
        let reserve = (region.granules() >> shift).max(1);
        self.reserve = class_of(reserve);
        self.quantum = (reserve >> QUANTUM_SHIFT).min(QUANTUM_MAX);
        self.grant = (reserve >> CACHE_SHIFT) as usize / contexts as usize;
        self.contexts = contexts;
        self.region = region;
        self.least = self.free();
        self.plentiful = self.is_plentiful();
    }

    /// Free granules of all spans that are in the buckets. O(1).
    #[inline(always)]
    pub(crate) fn free(&self) -> usize {
        self.region.free() as usize + self.free_elsewhere
    }

    /// Granules of all spans, free or not. O(1).
    pub(crate) fn granules(&self) -> usize {
        self.region.granules() as usize + self.granules_elsewhere
    }

    /// The most granules that were ever out of the buckets.
    pub(crate) fn peak(&self) -> usize {
        self.granules() - self.least.min(self.granules())
    }

    /// Whether no other context holds any memory.
    pub(crate) fn has_one_context(&self) -> bool {
        self.contexts <= 1
    }

    /// Takes note of a new peak.
    #[inline(always)]
    pub(crate) fn note_peak(&mut self) {
        self.least = self.least.min(self.free());
    }

    /// Sets the free granules below which each change of the load must be seen; if `always`, each change must be seen.
    pub(crate) fn set_alarm(&mut self, alarm: usize, always: bool) {
        self.alarm = alarm;
        self.notice = if always { usize::MAX } else { alarm };
        self.plentiful = self.is_plentiful();
    }

    /// Whether the load is such that it must be looked at: below the alarm level.
    #[inline(always)]
    pub(crate) fn is_alarmed(&self) -> bool {
        self.free() < self.alarm
    }

    /// Whether the operation just done calls for [`Pool::look`].
    #[inline(always)]
    pub(crate) fn is_noticed(&self) -> bool {
        self.free() < self.notice
    }

    /// Serves a request of `n` granules, not 0, that the cache did not serve; null if it cannot. O(1).
    #[inline(always)]
    pub(crate) fn allocate(&mut self, context: &mut Context, n: usize) -> *mut u8 {
        if n <= (QUANTUM_MAX >> BUMP_SHIFT) as usize {
            let block = context.bump(n << GRANULE_SHIFT);
            if !block.is_null() {
                self.steps.bumped = self.steps.bumped.wrapping_add(1);
                self.drain_if_short(context);
                return block;
            }
            if self.plentiful {
                let block = self.refill(context, n as u32);
                if !block.is_null() {
                    return block;
                }
            }
        }
        self.allocate_directly(context, n)
    }

    /// Serves a request of `n` granules from the buckets.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))] // flash is worth more there than a call
    fn allocate_directly(&mut self, context: &mut Context, n: usize) -> *mut u8 {
        if !is_possible(n) {
            return core::ptr::null_mut();
        }
        let position = self
            .region
            .take(n as u32, if self.plentiful { self.fit } else { Fit::Dense });
        if position != 0 {
            self.steps.direct = self.steps.direct.wrapping_add(1);
            self.follow_take();
            return self.region.pointer_to(position);
        }
        let block = self.take_elsewhere(|region| region.take(n as u32, Fit::Dense));
        if !block.is_null() {
            return block;
        }
        self.rescue(context, n as u32)
    }

    /// Serves a request of `n` granules, not 0, at a multiple of `align`, a power of two above the granule. O(1).
    #[inline(never)]
    pub(crate) fn allocate_aligned(&mut self, context: &mut Context, n: usize, align: usize) -> *mut u8 {
        if !is_possible(n) {
            return core::ptr::null_mut();
        }
        let block = context.take_aligned(n, align);
        if !block.is_null() {
            self.steps.direct = self.steps.direct.wrapping_add(1);
            return block;
        }
        // The rest of the chunk may be such a block that was freed just now.
        if (context.unused() as usize).is_multiple_of(align) {
            let block = context.bump(n << GRANULE_SHIFT);
            if !block.is_null() {
                self.steps.bumped = self.steps.bumped.wrapping_add(1);
                return block;
            }
        }
        let position = self.region.take_aligned(n as u32, align);
        if position != 0 {
            self.steps.direct = self.steps.direct.wrapping_add(1);
            self.follow_take();
            return self.region.pointer_to(position);
        }
        self.take_elsewhere(|region| region.take_aligned(n as u32, align))
    }

    /// Takes back a block of `n` granules that the cache did not take. O(1).
    ///
    /// # Safety
    /// The block was handed out by this pool with that size, and is used by nobody any more.
    #[inline(always)]
    pub(crate) unsafe fn release(&mut self, context: &mut Context, block: *mut u8, n: usize) {
        // SAFETY: the caller gives the block up. What may be cached may have grown since it was settled last.
        unsafe {
            if self.unbump(context, block, n) || self.cache(context, block, n) {
                return;
            }
            let joined = self.give(block, n);
            if !self.plentiful {
                self.recover(context, joined);
            }
        }
    }

    /// Caches the block if there is room after all.
    ///
    /// # Safety
    /// As for [`Pool::release`].
    #[inline(always)]
    unsafe fn cache(&mut self, context: &mut Context, block: *mut u8, n: usize) -> bool {
        if !self.settle(context) || n > context.max() {
            return false;
        }
        // SAFETY: the caller gives the block up.
        match unsafe { context.push(block, n << GRANULE_SHIFT) } {
            Pushed::Cached => true,
            Pushed::Unfit => false,
            Pushed::Short => {
                context.undo_push(n << GRANULE_SHIFT);
                false
            }
        }
    }

    /// After a free while memory was short: it may be plentiful now; if not, and the free was a cheap one, drains.
    #[inline(always)]
    fn recover(&mut self, context: &mut Context, joined: bool) {
        if joined {
            self.plentiful = self.is_plentiful();
        } else {
            self.drain_if_short(context);
        }
    }

    /// Gives something idle back if memory is short.
    #[inline(always)]
    fn drain_if_short(&mut self, context: &mut Context) {
        if !self.plentiful && context.is_idle() {
            self.drain(context);
        }
    }

    /// After granules were taken from the first span: memory may have become short.
    #[inline(always)]
    pub(super) fn follow_take(&mut self) {
        if self.plentiful {
            self.plentiful = self.is_plentiful();
        }
    }

    /// Puts the block of `n` granules back to the chunk, if it is the last one of it. O(1), plus one byte store for every
    /// eight granules.
    ///
    /// # Safety
    /// The block was handed out by this pool with that size, and is used by nobody any more.
    #[inline]
    pub(super) unsafe fn unbump(&mut self, context: &mut Context, block: *mut u8, n: usize) -> bool {
        if !context.is_last_bumped(block, n << GRANULE_SHIFT) {
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
        self.drop_chunk(context);
        while let Some((block, n)) = context.drain(MAX_CACHED + 1) {
            self.steps.drained = self.steps.drained.wrapping_add(1);
            // SAFETY: CACHE: a block that was cached is allocated granules that nobody uses.
            unsafe { self.give(block, n) };
        }
        self.settle(context);
    }

    /// Brings what the context may cache up to date; tells whether it may cache more than before. O(1).
    #[inline(always)]
    pub(crate) fn settle(&mut self, context: &mut Context) -> bool {
        if self.plentiful {
            return context.grant(self.grant);
        }
        context.close();
        false
    }

    /// Whether memory is plentiful now. O(1).
    #[inline(always)]
    fn is_plentiful(&self) -> bool {
        self.region.has_class(self.reserve) && !self.is_alarmed()
    }

    /// Takes a chunk, serves `n` granules from it and leaves the rest to the context; null if `n` is too much for a chunk,
    /// memory is short, or there was the rest of an old chunk to get rid of, which is enough for one operation.
    #[cold]
    #[inline(never)]
    fn refill(&mut self, context: &mut Context, n: u32) -> *mut u8 {
        let quantum = self.quantum;
        if n > quantum >> BUMP_SHIFT {
            return core::ptr::null_mut();
        }
        self.settle(context);
        if context.rest() != 0 && !self.cache_chunk(context) {
            self.drop_chunk(context);
            return core::ptr::null_mut();
        }
        let position = self.region.take_chunk(quantum);
        if position == 0 {
            return core::ptr::null_mut();
        }
        self.follow_take();
        self.steps.refills = self.steps.refills.wrapping_add(1);
        let block = self.region.pointer_to(position);
        let (used, rest) = ((n as usize) << GRANULE_SHIFT, ((quantum - n) as usize) << GRANULE_SHIFT);
        // SAFETY: BUMP: the chunk's granules are allocated, its bits set and nobody's; nothing was left of the old one.
        unsafe { context.replace_chunk(block, used, rest) };
        block
    }

    /// Caches the rest of the context's chunk as a block, if its size is cached and there is room.
    #[inline(always)]
    fn cache_chunk(&mut self, context: &mut Context) -> bool {
        let (bytes, block) = (context.rest(), context.unused());
        // SAFETY: BUMP: the rest's granules are allocated, all bits set, and nobody's; as a block it is the cache's then.
        unsafe {
            match context.push(block, bytes) {
                Pushed::Cached => {
                    context.replace_chunk(core::ptr::null_mut(), 0, 0);
                    return true;
                }
                Pushed::Unfit => {}
                Pushed::Short => context.undo_push(bytes),
            }
        }
        false
    }

    /// Gives `n` allocated granules from `block` on back to the span that they lie in; tells whether a free neighbour was
    /// there.
    ///
    /// # Safety
    /// They were taken from this pool, the bits of the first and the last granule are set, and nobody uses them.
    #[inline(never)]
    pub(crate) unsafe fn give(&mut self, block: *mut u8, n: usize) -> bool {
        let (address, n) = (block as usize, n as u32);
        if self.region.contains(address) {
            let position = self.region.position_of(address);
            // SAFETY: the caller gives allocated granules of this span.
            unsafe { self.region.give(position, n) }
        } else {
            // SAFETY: as above, of another span.
            unsafe { self.give_elsewhere(address, n) }
        }
    }

    /// Gives something idle back; the newest free block stays the newest, for whoever asks again for what he has just freed.
    /// O(1).
    #[cold]
    #[inline(never)]
    fn drain(&mut self, context: &mut Context) {
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
        if context.rest() != 0 {
            self.drop_chunk(context);
            return true;
        }
        let Some((block, n)) = context.drain(DRAIN_ENTRIES) else {
            return false;
        };
        self.steps.drained = self.steps.drained.wrapping_add(1);
        // SAFETY: CACHE: a block that was cached is allocated granules that nobody uses.
        unsafe { self.give(block, n) };
        true
    }

    /// Gives the rest of the context's chunk back.
    fn drop_chunk(&mut self, context: &mut Context) {
        // SAFETY: BUMP holds for no bytes; the old rest's granules are allocated, its bits set and nobody's.
        unsafe {
            let (old, bytes) = context.replace_chunk(core::ptr::null_mut(), 0, 0);
            if bytes != 0 {
                self.give(old, bytes >> GRANULE_SHIFT);
            }
        }
    }

    /// Gives something idle back, and serves the request if that made room: the chunk's rest, or one cached block.
    #[cold]
    #[inline(never)]
    fn rescue(&mut self, context: &mut Context, n: u32) -> *mut u8 {
        if !context.is_idle() || !self.give_idle(context) {
            return core::ptr::null_mut();
        }
        let position = self.region.take_newest(n);
        if position == 0 {
            return core::ptr::null_mut();
        }
        self.steps.rescued = self.steps.rescued.wrapping_add(1);
        self.region.pointer_to(position)
    }
}

/// Whether `n` granules, which is 0 after an overflow, can be asked of a region.
#[inline(always)]
fn is_possible(n: usize) -> bool {
    n.wrapping_sub(1) < MAX_GRANULES
}
