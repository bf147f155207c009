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
//! **Invariant `CACHE`**: `table` has an entry for every size up to `max` bytes, in steps of a granule, and entry 0 is
//! null. Every entry is null or the first of a null-terminated list of blocks of that size, which are allocated in the
//! region, in use by nobody, and hold the next one's address in their first word.
//! **Invariant `BUMP`**: the bytes from `bump` to `limit` are granules that are allocated in the region, with all
//! their boundary bits set, in use by nobody.

use core::ptr;

use crate::base::granule::{GRANULE, GRANULE_SHIFT, round_up};

/// Bytes of a table entry as a shift: entries of sizes in bytes are found by shifting the size.
const ENTRY_SHIFT: u32 = GRANULE_SHIFT - size_of::<*mut u8>().trailing_zeros();

/// What the table of a context without caches points at: entry 0, which is read for a request of no bytes.
static NO_ENTRY: usize = 0;

/// A context: caches of exact sizes and a chunk to bump through.
pub(crate) struct Context {
    /// Bytes that may still be cached before the grant is used up.
    room: usize,
    /// The largest cached size, in bytes; 0 before a claim.
    max: usize,
    table: *mut *mut u8,
    /// Allocations served from the table.
    hits: usize,
    /// The chunk: its start, the unused rest's start, and its end.
    first: *mut u8,
    bump: *mut u8,
    limit: *mut u8,
    /// Bytes granted for caching; the cached bytes are this less `room`.
    granted: usize,
    /// The entry that is drained next, in bytes.
    drain_next: usize,
}

impl Context {
    /// A context that has nothing and caches nothing.
    pub(crate) const EMPTY: Context = Context {
        room: 0,
        max: 0,
        table: (&raw const NO_ENTRY).cast_mut().cast(),
        hits: 0,
        first: ptr::null_mut(),
        bump: ptr::null_mut(),
        limit: ptr::null_mut(),
        granted: 0,
        drain_next: GRANULE,
    };

    /// Gives the context its table.
    ///
    /// # Safety
    /// `table` is valid for `sizes + 1` entries, which nothing else uses from now on, unless `sizes` is 0.
    pub(crate) unsafe fn claim(&mut self, table: *mut *mut u8, sizes: usize) {
        *self = Context::EMPTY;
        if sizes != 0 {
            (self.table, self.max) = (table, sizes << GRANULE_SHIFT);
            // SAFETY: the caller gives that many entries; null is a valid list.
            unsafe { table.write_bytes(0, sizes + 1) };
        }
    }

    /// A cached block for `size` bytes, or null. O(1).
    #[inline(always)]
    pub(crate) fn pop(&mut self, size: usize) -> *mut u8 {
        let bytes = round_up(size);
        if bytes > self.max {
            return ptr::null_mut();
        }
        // SAFETY: CACHE: the entry exists, and its head, if there is one, is a block that nobody uses and that holds the
        // address of the next one.
        unsafe {
            let entry = self.entry(bytes);
            let block = *entry;
            if block.is_null() {
                return block;
            }
            *entry = *block.cast::<*mut u8>();
            self.room += bytes;
            self.hits = self.hits.wrapping_add(1);
            block
        }
    }

    /// Caches the block of `size` bytes at `block`, unless that size is not cached or there is no room; then it returns
    /// false and has done nothing. O(1).
    ///
    /// # Safety
    /// The block was handed out with `size` bytes and is used by nobody any more.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, block: *mut u8, size: usize) -> bool {
        let bytes = round_up(size);
        if size.wrapping_sub(1) >= self.max || bytes > self.room {
            return false;
        }
        self.room -= bytes;
        // SAFETY: CACHE: the entry exists; the block is ours now and has room for an address.
        unsafe {
            let entry = self.entry(bytes);
            *block.cast::<*mut u8>() = *entry;
            *entry = block;
        }
        true
    }

    /// The table entry for blocks of `bytes`, a multiple of the granule.
    ///
    /// # Safety
    /// `bytes` is at most `max`, which is not 0.
    #[inline(always)]
    unsafe fn entry(&self, bytes: usize) -> *mut *mut u8 {
        // SAFETY: CACHE: the table reaches to the entry of `max`.
        unsafe { self.table.byte_add(bytes >> ENTRY_SHIFT) }
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

    /// Replaces the chunk; returns the rest of the old one, null if there was none, and its bytes.
    ///
    /// # Safety
    /// `bytes` from `chunk` on are as BUMP asks.
    #[inline(always)]
    pub(crate) unsafe fn replace_chunk(&mut self, chunk: *mut u8, bytes: usize) -> (*mut u8, usize) {
        let old = (self.bump, self.rest());
        (self.first, self.bump) = (chunk, chunk);
        self.limit = chunk.wrapping_add(bytes);
        old
    }

    /// Bytes in cached blocks.
    #[inline(always)]
    pub(crate) fn cached(&self) -> usize {
        self.granted - self.room
    }

    /// Bytes that the context holds without their being in use.
    #[inline(always)]
    pub(crate) fn idle(&self) -> usize {
        self.cached() + self.rest()
    }

    /// Allows `bytes` to be cached in all. What is cached beyond that stays until it is drained. O(1).
    #[inline(always)]
    pub(crate) fn grant(&mut self, bytes: usize) {
        let cached = self.cached();
        self.granted = bytes.max(cached);
        self.room = self.granted - cached;
    }

    /// Allocations served from the table.
    pub(crate) fn hits(&self) -> usize {
        self.hits
    }

    /// Takes a cached block, whatever its size, looking at no more than `entries` entries. O(entries).
    pub(crate) fn drain(&mut self, entries: usize) -> Option<(*mut u8, usize)> {
        if self.max == 0 {
            return None;
        }
        for _ in 0..entries {
            let bytes = self.drain_next;
            let hits = self.hits;
            let block = self.pop(bytes);
            if !block.is_null() {
                self.hits = hits;
                return Some((block, bytes));
            }
            self.drain_next = if bytes >= self.max { GRANULE } else { bytes + GRANULE };
        }
        None
    }

    /// Calls `visit` with every cached block and its bytes; stops at the first error. O(cached blocks).
    ///
    /// # Safety
    /// `visit` does not touch the blocks, and returns an error for what is not a block that can be read.
    pub(crate) unsafe fn each_cached<E>(
        &self,
        mut visit: impl FnMut(*mut u8, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = GRANULE;
        while bytes <= self.max {
            // SAFETY: CACHE: the entry exists; a block is read only after `visit` has accepted it.
            unsafe {
                let mut block = *self.entry(bytes);
                while !block.is_null() {
                    visit(block, bytes)?;
                    block = *block.cast::<*mut u8>();
                }
            }
            bytes += GRANULE;
        }
        Ok(())
    }

    /// The chunk's unused rest: start and end address.
    pub(crate) fn chunk(&self) -> (usize, usize) {
        (self.bump as usize, self.limit as usize)
    }
}
