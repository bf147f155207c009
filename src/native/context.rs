//! The allocation context: what an operation touches when it is fast.
//!
//! ```text
//!  table   | - |  |  | *  | ...   entry n: blocks of n granules that were freed lately, a list through the blocks
//!                   '-> block -> block -> null
//!  bump    |....used....|bump ............ limit|     the unused rest of a chunk
//! ```
//!
//! Blocks in the table and the rest of the chunk are *allocated* in the eyes of the region: their boundary bits are set,
//! so that taking and returning them touches nothing but the context. How much may be cached is `room`, which
//! [`Pool::settle`](super::pool::Pool::settle) grants while memory is plentiful.
//!
//! Source: seed `002_df465834f6fa1758.txt`, "allocation context", "allocation quantum", "smart bump".
//!
//! **Invariant `CACHE`**: `table` has an entry for every size up to `max` granules, and entry 0 is null. Every entry is null or the first of a null-terminated list of blocks of that size, which are allocated in the
//! region, in use by nobody, and hold the next one's address in their first word.
//! **Invariant `BUMP`**: the bytes from `bump` to `limit` are granules that are allocated in the region, with all
//! their boundary bits set, in use by nobody.

use core::ptr;

use crate::base::granule::{GRANULE_SHIFT, granules};

/// A context: caches of exact sizes and a chunk to bump through.
pub(crate) struct Context {
    /// Granules that may still be cached before the grant is used up. Below 0 only within an operation.
    room: isize,
    /// The first size that is not cached, in granules; 0 before a claim, when there is no table.
    limit_size: usize,
    /// The largest cached size, in granules.
    max: usize,
    table: *mut *mut u8,
    /// Allocations served from the table.
    hits: usize,
    /// The chunk: its start, the unused rest's start, and its end.
    first: *mut u8,
    bump: *mut u8,
    limit: *mut u8,
    /// Granules granted for caching, at least those that are cached; the cached ones are this less `room`.
    granted: isize,
    /// Granules that may be cached.
    allowed: usize,
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
        granted: 0,
        allowed: 0,
        drain_next: 0,
    };

    /// Gives the context its table.
    ///
    /// # Safety
    /// `table` is valid for `sizes + 1` entries, which nothing else uses from now on, unless `sizes` is 0.
    pub(crate) unsafe fn claim(&mut self, table: *mut *mut u8, sizes: usize) {
        *self = Context::EMPTY;
        if sizes != 0 {
            (self.table, self.max, self.limit_size) = (table, sizes, sizes + 1);
            // SAFETY: the caller gives that many entries; null is a valid list.
            unsafe { table.write_bytes(0, sizes + 1) };
        }
    }

    /// A cached block for `size` bytes, or null. O(1).
    #[inline(always)]
    pub(crate) fn pop(&mut self, size: usize) -> *mut u8 {
        let n = granules(size);
        if n >= self.limit_size {
            return ptr::null_mut();
        }
        // SAFETY: CACHE: the entry exists, and its head, if there is one, is a block that nobody uses and that holds the
        // address of the next one.
        unsafe {
            let entry = self.table.add(n);
            let block = *entry;
            if block.is_null() {
                return block;
            }
            *entry = *block.cast::<*mut u8>();
            self.room += n as isize;
            self.hits = self.hits.wrapping_add(1);
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

    /// Takes back what [`Pushed::Short`] left behind.
    #[inline(always)]
    pub(crate) fn undo_push(&mut self, size: usize) {
        self.room += granules(size) as isize;
    }

    /// The next `bytes` of the chunk, a multiple of the granule, or null. O(1).
    #[inline(always)]
    pub(crate) fn bump(&mut self, bytes: usize) -> *mut u8 {
        let block = self.bump;
        if self.rest() < bytes {
            return ptr::null_mut();
        }
        self.bump = block.wrapping_add(bytes);
        block
    }

    /// Whether the block of `bytes` at `block` lies in the chunk and ends where its unused rest begins.
    #[inline(always)]
    pub(crate) fn is_last_bumped(&self, block: *mut u8, bytes: usize) -> bool {
        block.wrapping_add(bytes) == self.bump && block >= self.first
    }

    /// Adds what is from `block` on to the unused rest.
    ///
    /// # Safety
    /// [`Context::is_last_bumped`] holds for `block`, and its granules are as BUMP asks.
    #[inline(always)]
    pub(crate) unsafe fn unbump(&mut self, block: *mut u8) {
        self.bump = block;
    }

    /// Bytes left in the chunk.
    #[inline(always)]
    pub(crate) fn rest(&self) -> usize {
        self.limit as usize - self.bump as usize
    }

    /// Replaces the chunk by one at `chunk`, of which `used` bytes are in use and `rest` bytes are not; returns the rest of
    /// the old one, null if there was none, and its bytes.
    ///
    /// # Safety
    /// The `rest` bytes are as BUMP asks, and the bits of all granules of the chunk are set.
    #[inline(always)]
    pub(crate) unsafe fn replace_chunk(&mut self, chunk: *mut u8, used: usize, rest: usize) -> (*mut u8, usize) {
        let old = (self.bump, self.rest());
        self.first = chunk;
        self.bump = chunk.wrapping_add(used);
        self.limit = self.bump.wrapping_add(rest);
        old
    }

    /// Granules in cached blocks.
    #[inline(always)]
    pub(crate) fn cached(&self) -> usize {
        (self.granted - self.room) as usize
    }

    /// Bytes that the context holds without their being in use.
    #[inline(always)]
    pub(crate) fn idle(&self) -> usize {
        (self.cached() << GRANULE_SHIFT) + self.rest()
    }

    /// Allows `n` granules to be cached in all; tells whether that is a change. What is cached beyond that stays until it is
    /// drained. O(1).
    #[inline(always)]
    pub(crate) fn grant(&mut self, n: usize) -> bool {
        if n == self.allowed {
            return false;
        }
        self.allowed = n;
        let cached = self.granted - self.room;
        self.granted = cached.max(n as isize);
        self.room = self.granted - cached;
        true
    }

    /// Allows nothing to be cached any more, not even in place of what was taken from the cache meanwhile. O(1).
    #[inline(always)]
    pub(crate) fn close(&mut self) {
        self.allowed = 0;
        self.granted -= self.room;
        self.room = 0;
    }

    /// Whether the context holds anything that is not in use.
    #[inline(always)]
    pub(crate) fn is_idle(&self) -> bool {
        self.granted != self.room || self.bump != self.limit
    }

    /// The largest cached size, in granules.
    #[inline(always)]
    pub(crate) fn max(&self) -> usize {
        self.max
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

    /// Takes a cached block of `n` granules without counting it as a hit; null if there is none. O(1).
    fn take(&mut self, n: usize) -> *mut u8 {
        let hits = self.hits;
        let block = self.pop(n << GRANULE_SHIFT);
        self.hits = hits;
        block
    }

    /// Takes the first cached block of `n` granules if its address is a multiple of `align`, else null. O(1).
    pub(crate) fn take_aligned(&mut self, n: usize, align: usize) -> *mut u8 {
        if n >= self.limit_size {
            return ptr::null_mut();
        }
        // SAFETY: CACHE: the entry exists.
        let block = unsafe { *self.table.add(n) };
        if block as usize & (align - 1) == 0 {
            self.take(n)
        } else {
            ptr::null_mut()
        }
    }

    /// Takes a cached block, whatever its size, looking at no more than `entries` sizes; tells its granules. O(entries).
    pub(crate) fn drain(&mut self, entries: usize) -> Option<(*mut u8, usize)> {
        if self.max == 0 {
            return None;
        }
        for _ in 0..entries {
            let n = self.drain_next;
            let block = self.take(n);
            if !block.is_null() {
                return Some((block, n));
            }
            self.drain_next = if n >= self.max { 1 } else { n + 1 };
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
        for n in 1..=self.max {
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
