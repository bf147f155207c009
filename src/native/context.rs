//! The allocation context: what an operation touches when it is fast.
//!
//! ```text
//!  table   | - |  |  | *  | ...   entry n: blocks of n granules that were freed lately, a list through the blocks
//!                   '-> block -> block -> null
//!  bump    |....used....|bump ............ limit|     the unused rest of a chunk
//! ```
//!
//! Blocks in the table and the rest of the chunk are *allocated* in the eyes of the region: their boundary bits are set,
//! so that taking and returning them touches nothing but the context. A context is **open** while memory is plentiful. The
//! fast operations of a closed one find nothing and take nothing, so that each operation is seen by the slow ones, which
//! empty it bit by bit.
//!
//! Source: seed `002_df465834f6fa1758.txt`, "allocation context", "allocation quantum", "smart bump".
//!
//! **Invariant `CACHE`**: `table` has an entry for every size up to `sizes` granules, and entry 0 is null. `limit_size` and
//! `max` are at most `sizes + 1` and `sizes`. Every entry is null or the first of a null-terminated list of blocks of that
//! size, which are allocated in the region, in use by nobody, and hold the next one's address in their first word.
//! **Invariant `BUMP`**: the bytes from `bump` to `limit` are granules that are allocated in the region, with all
//! their boundary bits set, in use by nobody.

use core::ptr;

use crate::base::bits::fill;
use crate::base::granule::{GRANULE_SHIFT, granules};

/// A context: caches of exact sizes and a chunk to bump through.
pub(crate) struct Context {
    /// Granules that may still be cached. Below 0 only within an operation, or while more are cached than may be since there is
    /// less memory.
    room: isize,
    /// The first size that is not served from the cache, in granules; 0 while the context is closed.
    limit_size: usize,
    /// The largest size that is cached, in granules; 0 while the context is closed.
    max: usize,
    table: *mut *mut u8,
    /// Allocations served from the table.
    hits: usize,
    /// The chunk: its start, the unused rest's start, and its end.
    first: *mut u8,
    bump: *mut u8,
    limit: *mut u8,
    /// Granules that may be cached in all; the cached ones are this less `room`.
    grant: isize,
    /// The largest size that the table has an entry for, in granules; 0 before a claim, when there is no table.
    sizes: usize,
    /// The size that is drained next, in granules.
    drain_next: usize,
}

impl Context {
    /// A context that has nothing and caches nothing. All of it is zero, so that a static heap lies in `.bss`.
    pub(crate) const EMPTY: Context = Context {
        room: 0,
        max: 0,
        table: ptr::null_mut(),
        limit_size: 0,
        hits: 0,
        first: ptr::null_mut(),
        bump: ptr::null_mut(),
        limit: ptr::null_mut(),
        grant: 0,
        sizes: 0,
        drain_next: 0,
    };

    /// Gives an empty context its table, and leave to cache `grant` granules while it is open.
    ///
    /// # Safety
    /// `table` is valid for `sizes + 1` entries, which nothing else uses from now on, unless `sizes` is 0.
    pub(crate) unsafe fn claim(&mut self, table: *mut *mut u8, sizes: usize, grant: usize) {
        if sizes == 0 {
            return;
        }
        (self.table, self.sizes) = (table, sizes);
        (self.grant, self.room) = (grant as isize, grant as isize);
        // SAFETY: the caller gives that many entries; null is a valid list.
        unsafe { fill(table, sizes + 1, ptr::null_mut()) };
    }

    /// Changes how many granules may be cached. O(1).
    pub(crate) fn regrant(&mut self, grant: usize) {
        if self.sizes != 0 {
            self.room += grant as isize - self.grant;
            self.grant = grant as isize;
        }
    }

    /// Lets fast operations use the cache. O(1).
    pub(crate) fn open(&mut self) {
        self.max = self.sizes;
        self.limit_size = self.sizes + 1;
    }

    /// Lets fast operations use the cache no more; what it holds stays until it is taken or drained. O(1).
    pub(crate) fn close(&mut self) {
        self.max = 0;
        self.limit_size = 0;
    }

    /// A cached block for `size` bytes, or null. O(1).
    #[inline(always)]
    pub(crate) fn pop(&mut self, size: usize) -> *mut u8 {
        let n = granules(size);
        if n >= self.limit_size {
            return ptr::null_mut();
        }
        // SAFETY: CACHE: the entry exists.
        unsafe { self.hit(n) }
    }

    /// As [`Context::pop`], for `n` granules; where code has to be small, with a call.
    #[inline(always)]
    pub(crate) fn pop_granules(&mut self, n: usize) -> *mut u8 {
        if n >= self.limit_size {
            return ptr::null_mut();
        }
        if cfg!(terrace_small) {
            return self.pop_idle(n);
        }
        // SAFETY: CACHE: the entry exists.
        unsafe { self.hit(n) }
    }

    /// As [`Context::pop`], for `n` granules and also while the context is closed.
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn pop_idle(&mut self, n: usize) -> *mut u8 {
        if n.wrapping_sub(1) >= self.sizes {
            return ptr::null_mut();
        }
        // SAFETY: CACHE: the entry exists.
        unsafe { self.hit(n) }
    }

    /// Takes a cached block of `n` granules; null if there is none. O(1).
    ///
    /// # Safety
    /// The table has an entry for `n`.
    #[inline(always)]
    unsafe fn hit(&mut self, n: usize) -> *mut u8 {
        // SAFETY: the caller's.
        let block = unsafe { self.take(n) };
        if !block.is_null() {
            self.hits = self.hits.wrapping_add(1);
        }
        block
    }

    /// Takes a cached block of `n` granules, without counting it; null if there is none. O(1).
    ///
    /// # Safety
    /// The table has an entry for `n`.
    #[inline(always)]
    unsafe fn take(&mut self, n: usize) -> *mut u8 {
        // SAFETY: CACHE: the entry exists, and its head, if there is one, is a block that nobody uses and that holds the
        // address of the next one.
        unsafe {
            let entry = self.table.add(n);
            let block = *entry;
            if !block.is_null() {
                *entry = *block.cast::<*mut u8>();
                self.room += n as isize;
            }
            block
        }
    }

    /// Caches the block of `size` bytes at `block`, or says why not. O(1).
    ///
    /// # Safety
    /// The block was handed out with `size` bytes and is used by nobody any more.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, block: *mut u8, size: usize) -> Pushed {
        let n = granules(size);
        if n.wrapping_sub(1) >= self.max {
            return Pushed::Unfit;
        }
        self.room -= n as isize;
        if self.room < 0 {
            return Pushed::Short;
        }
        // SAFETY: CACHE: the entry exists; the block is ours now and has room for an address.
        unsafe {
            let entry = self.table.add(n);
            *block.cast::<*mut u8>() = *entry;
            *entry = block;
        }
        Pushed::Cached
    }

    /// Caches the block of `n` granules at `block` if its size is cached and there is room. O(1).
    ///
    /// # Safety
    /// The granules are allocated, with the bits of the first and the last one set, and nobody uses them.
    #[inline(always)]
    pub(crate) unsafe fn keep(&mut self, block: *mut u8, n: usize) -> bool {
        // SAFETY: the caller gives a block.
        let pushed = unsafe { self.push(block, n << GRANULE_SHIFT) };
        if pushed == Pushed::Short {
            self.undo_push(n << GRANULE_SHIFT);
        }
        pushed == Pushed::Cached
    }

    /// Takes back what [`Pushed::Short`] left behind.
    #[inline(always)]
    pub(crate) fn undo_push(&mut self, size: usize) {
        self.room += granules(size) as isize;
    }

    /// The next `n` granules of the chunk, or null. O(1).
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn bump(&mut self, n: usize) -> *mut u8 {
        let block = self.bump;
        if n > self.rest() {
            return ptr::null_mut();
        }
        self.bump = block.wrapping_add(n << GRANULE_SHIFT);
        block
    }

    /// Extends the block that ends at `end` by `n` granules, if the unused rest of the chunk begins there and has them. O(1).
    #[inline(always)]
    pub(crate) fn extend(&mut self, end: *mut u8, n: usize) -> bool {
        end == self.bump && !self.bump(n).is_null()
    }

    /// Whether the block of `n` granules at `block` lies in the chunk and ends where its unused rest begins.
    #[inline(always)]
    pub(crate) fn is_last_bumped(&self, block: *mut u8, n: usize) -> bool {
        block.wrapping_add(n << GRANULE_SHIFT) == self.bump && block >= self.first
    }

    /// Adds what is from `block` on to the unused rest.
    ///
    /// # Safety
    /// [`Context::is_last_bumped`] holds for `block`, and its granules are as BUMP asks.
    #[inline(always)]
    pub(crate) unsafe fn unbump(&mut self, block: *mut u8) {
        self.bump = block;
    }

    /// Granules left in the chunk.
    #[inline(always)]
    pub(crate) fn rest(&self) -> usize {
        (self.limit as usize - self.bump as usize) >> GRANULE_SHIFT
    }

    /// Makes the granules at `chunk` the chunk, of which `used` are in use and `rest` are not.
    ///
    /// # Safety
    /// The `rest` granules are as BUMP asks, and the bits of all granules of the chunk are set. Of the old chunk nothing is
    /// left, or the caller has taken it.
    #[inline(always)]
    pub(crate) unsafe fn set_chunk(&mut self, chunk: *mut u8, used: usize, rest: usize) {
        self.first = chunk;
        self.bump = chunk.wrapping_add(used << GRANULE_SHIFT);
        self.limit = self.bump.wrapping_add(rest << GRANULE_SHIFT);
    }

    /// Takes the unused rest of the chunk, which may be empty: its start and its granules. No chunk is left.
    #[inline(always)]
    pub(crate) fn take_rest(&mut self) -> (*mut u8, usize) {
        let rest = (self.bump, self.rest());
        (self.first, self.bump, self.limit) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        rest
    }

    /// Granules in cached blocks.
    #[inline(always)]
    pub(crate) fn cached(&self) -> usize {
        (self.grant - self.room) as usize
    }

    /// Granules that the context holds without their being in use.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn idle(&self) -> usize {
        self.cached() + self.rest()
    }

    /// Whether the context holds anything that is not in use.
    #[inline(always)]
    pub(crate) fn is_idle(&self) -> bool {
        if cfg!(terrace_small) {
            return self.idle() != 0;
        }
        self.grant != self.room || self.bump != self.limit
    }

    /// The start of the chunk's unused rest.
    #[inline(always)]
    pub(crate) fn unused(&self) -> *mut u8 {
        self.bump
    }

    /// Allocations served from the table.
    pub(crate) fn hits(&self) -> usize {
        self.hits
    }

    /// Takes the first cached block of `n` granules if its address is a multiple of `align`, else null. O(1).
    pub(crate) fn pop_aligned(&mut self, n: usize, align: usize) -> *mut u8 {
        // SAFETY: CACHE: the entry exists.
        if n.wrapping_sub(1) >= self.sizes || unsafe { *self.table.add(n) } as usize & (align - 1) != 0 {
            return ptr::null_mut();
        }
        self.pop_idle(n)
    }

    /// Takes a cached block, whatever its size, looking at no more than `entries` sizes; tells its granules. O(entries).
    pub(crate) fn drain(&mut self, entries: usize) -> Option<(*mut u8, usize)> {
        if self.cached() == 0 {
            return None;
        }
        for _ in 0..entries {
            let n = self.drain_next;
            // SAFETY: CACHE: something is cached, so there is a table; the next size never exceeds `sizes`.
            let block = unsafe { self.take(n) };
            if !block.is_null() {
                return Some((block, n));
            }
            self.drain_next = if n >= self.sizes { 1 } else { n + 1 };
        }
        None
    }

    /// Calls `visit` with every cached block and its granules; stops at the first error. O(cached blocks).
    ///
    /// # Safety
    /// `visit` does not touch the blocks, and returns an error for what is not a block that can be read.
    pub(crate) unsafe fn each_cached<E>(
        &self,
        mut visit: impl FnMut(*mut u8, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        for n in 1..=self.sizes {
            // SAFETY: CACHE: the entry exists; a block is read only after `visit` has accepted it.
            unsafe {
                let mut block = *self.table.add(n);
                while !block.is_null() {
                    visit(block, n)?;
                    block = *block.cast::<*mut u8>();
                }
            }
        }
        Ok(())
    }

    /// The chunk's unused rest: start and end address.
    pub(crate) fn chunk(&self) -> (usize, usize) {
        (self.bump as usize, self.limit as usize)
    }
}

/// What became of a block that was to be cached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is cached.
    Cached,
    /// Its size is not cached. Nothing was done.
    Unfit,
    /// There is no room. It must be taken back by [`Context::undo_push`], in a function of its own, so that the fast way
    /// is one instruction on the memory word.
    Short,
}
