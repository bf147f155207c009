//! Giving memory to the heap.

use core::mem::MaybeUninit;

use lock_api::RawMutex;

use super::{All, Heap, Shared};
use crate::base::granule::GRANULE;
use crate::native::context::Context;
use crate::region::Region;
use crate::region::span::{ClaimError, Geometry, Header};

impl<L: RawMutex, C, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Gives the heap its first span of memory. O(length / 64), to set up the boundary bits.
    ///
    /// The span starts at a multiple of 8 bytes and has at least [`MIN_SPAN`](crate::MIN_SPAN) bytes. Of it, about 1.7 %
    /// is used for bookkeeping. Not for interrupts.
    ///
    /// # Errors
    /// `Misaligned`, `TooSmall`, `TooLarge`; `AlreadyClaimed` if the heap has a span. Nothing is changed then.
    pub fn claim(&self, memory: &'static mut [MaybeUninit<u8>]) -> Result<(), ClaimError> {
        // SAFETY: the exclusive reference gives the memory away for good.
        unsafe { self.claim_span(memory.as_mut_ptr().cast(), memory.len(), false) }
    }

    /// As [`Heap::claim`], from a pointer and a length in bytes.
    ///
    /// # Errors
    /// As for [`Heap::claim`].
    ///
    /// # Safety
    /// The memory is valid for reads and writes and is used by nothing else as long as the heap, or anything that was
    /// allocated from it, is used.
    pub unsafe fn claim_raw(&self, start: *mut u8, bytes: usize) -> Result<(), ClaimError> {
        // SAFETY: the caller gives the memory.
        unsafe { self.claim_span(start, bytes, false) }
    }

    /// As [`Heap::claim_raw`], for memory all of whose bytes are zero, such as `.bss` or fresh pages: `alloc_zeroed`
    /// does not clear what was never handed out.
    ///
    /// # Errors
    /// As for [`Heap::claim`].
    ///
    /// # Safety
    /// As for [`Heap::claim_raw`], and every byte is zero.
    pub unsafe fn claim_zeroed(&self, start: *mut u8, bytes: usize) -> Result<(), ClaimError> {
        // SAFETY: the caller gives the memory and vouches for its contents.
        unsafe { self.claim_span(start, bytes, true) }
    }

    /// As [`Heap::claim_raw`], from the addresses of two symbols that the linker script defines.
    ///
    /// ```ignore
    /// unsafe extern "C" {
    ///     static mut __heap_start: u8;
    ///     static mut __heap_end: u8;
    /// }
    /// // SAFETY: the linker script keeps the memory between the two symbols free of everything else.
    /// unsafe { HEAP.claim_symbols(&raw mut __heap_start, &raw mut __heap_end) }?;
    /// ```
    ///
    /// # Errors
    /// As for [`Heap::claim`]; `TooSmall` also if the end is not behind the start.
    ///
    /// # Safety
    /// As for [`Heap::claim_raw`], for the bytes from `start` up to `end`.
    pub unsafe fn claim_symbols<T>(&self, start: *mut T, end: *mut T) -> Result<(), ClaimError> {
        let bytes = (end as usize).saturating_sub(start as usize);
        // A symbol is as good as its address: what lies behind it is no part of the variable that it is declared as.
        let start = core::ptr::with_exposed_provenance_mut(start.expose_provenance());
        // SAFETY: the caller gives the memory.
        unsafe { self.claim_span(start, bytes, false) }
    }

    /// Adds a span that is apart from the others, such as a second RAM. Spans are used in the order in which they were
    /// added; the first one alone serves chunks and decides how much is cached. `tag` is written into the span's
    /// self-description, for whoever decodes a dump. O(length / 64). Not for interrupts.
    ///
    /// # Errors
    /// As for [`Heap::claim`]; `NotClaimed` if there is no first span, `Overlaps`, `TooManySpans` (8). Nothing is changed
    /// then.
    pub fn extend(&self, memory: &'static mut [MaybeUninit<u8>], tag: u8) -> Result<(), ClaimError> {
        // SAFETY: the exclusive reference gives the memory away for good.
        unsafe { self.extend_raw(memory.as_mut_ptr().cast(), memory.len(), tag) }
    }

    /// As [`Heap::extend`], from a pointer and a length in bytes.
    ///
    /// # Errors
    /// As for [`Heap::extend`].
    ///
    /// # Safety
    /// As for [`Heap::claim_raw`].
    pub unsafe fn extend_raw(&self, start: *mut u8, bytes: usize, tag: u8) -> Result<(), ClaimError> {
        let extra = size_of::<Region>().next_multiple_of(GRANULE);
        let geometry = Geometry::new(start as usize, bytes, extra, 0)?;
        self.enter_all(|all, shared| {
            shared.pool.admits(start as usize, bytes)?;
            // SAFETY: the caller gives the memory; the geometry leaves `extra` bytes behind the header for the region.
            unsafe {
                let place = start.add(size_of::<Header>()).cast::<Region>();
                place.write(Region::EMPTY);
                (*place).claim(start, &geometry, tag, false);
                shared.pool.append(place);
            }
            shared.set_floor();
            shared.set_alarm();
            shared.note_claimed();
            all.each(|context| shared.pool.settle(context));
            Ok(())
        })
    }

    /// # Safety
    /// As for [`Heap::claim_raw`]; if `zeroed`, every byte is zero.
    pub(crate) unsafe fn claim_span(&self, start: *mut u8, bytes: usize, zeroed: bool) -> Result<(), ClaimError> {
        let geometry = Geometry::new(start as usize, bytes, 0, CONTEXTS)?;
        // SAFETY: the caller's.
        self.enter_all(|all, shared| unsafe { shared.claim(all, start, &geometry, zeroed) })
    }
}

impl<L, const CONTEXTS: usize> All<'_, L, CONTEXTS> {
    /// Gives each context its part of the tables, and leave to cache `grant` granules.
    ///
    /// # Safety
    /// `tables` has `sizes + 1` entries for each context, which nothing else uses, unless `sizes` is 0.
    unsafe fn claim_tables(&mut self, tables: *mut *mut u8, sizes: usize, grant: usize) {
        let mut table = tables;
        self.each(|context: &mut Context| {
            // SAFETY: the caller gives the entries.
            unsafe { context.claim(table, sizes, grant) };
            table = table.wrapping_add(sizes + 1);
        });
    }
}

impl Shared {
    /// Makes the memory at `start`, laid out as `geometry` says, the first span.
    ///
    /// # Errors
    /// `AlreadyClaimed`.
    ///
    /// # Safety
    /// The geometry was made for this address, without anything behind the header, and for as many contexts. The memory is as for
    /// [`Heap::claim_raw`], as far as it is committed; if `zeroed`, every byte of that is zero.
    pub(super) unsafe fn claim<L, const CONTEXTS: usize>(
        &mut self,
        all: &mut All<'_, L, CONTEXTS>,
        start: *mut u8,
        geometry: &Geometry,
        zeroed: bool,
    ) -> Result<(), ClaimError> {
        if self.pool.region.granules() != 0 {
            return Err(ClaimError::AlreadyClaimed);
        }
        // SAFETY: the caller gives the memory; the geometry leaves room for the tables.
        unsafe {
            self.pool.region.claim(start, geometry, 0, zeroed);
            let grant = self.pool.open(CONTEXTS as u8);
            all.claim_tables(start.add(geometry.cache_offset).cast(), geometry.cached, grant);
        }
        // Before there was memory, nothing else could be set.
        let granules = self.pool.region.granules() as usize;
        self.watch.place_default(granules, self.pool.region.reserved() as usize);
        self.follow_watch();
        self.note_claimed();
        all.each(|context| self.pool.settle(context));
        Ok(())
    }

    /// Takes note of new memory, to be told at the next poll.
    fn note_claimed(&mut self) {
        self.journal.claimed = true;
        self.has_news = true;
    }

    /// Bytes that blocks can be made of, with what may be committed yet.
    pub(super) fn capacity(&self) -> usize {
        self.pool.reserved() * GRANULE
    }
}

/// A buffer for a heap. A detail of [`init!`](crate::init).
#[doc(hidden)]
#[repr(align(16))]
pub struct Memory<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Memory<BYTES> {
    #[doc(hidden)]
    pub const ZERO: Memory<BYTES> = Memory([0; BYTES]);

    /// Gives the buffer to a heap.
    ///
    /// # Safety
    /// As for [`Heap::claim_zeroed`].
    #[doc(hidden)]
    pub unsafe fn give<L: RawMutex, C, const CONTEXTS: usize>(
        memory: *mut Memory<BYTES>,
        heap: &Heap<L, C, CONTEXTS>,
    ) -> Result<(), ClaimError> {
        // SAFETY: the caller's.
        unsafe { heap.claim_zeroed(memory.cast(), size_of::<Memory<BYTES>>()) }
    }
}

/// Gives a `static` heap a static buffer of so many bytes: one expression, of type `Result<(), ClaimError>`.
///
/// The buffer lies in `.bss`, is aligned to 16 bytes and is known to be zero. Evaluated again, or for a heap that has
/// memory already, the expression is `Err(ClaimError::AlreadyClaimed)` and changes nothing.
///
/// # Examples
/// ```
/// static HEAP: terrace::CriticalSectionHeap = terrace::CriticalSectionHeap::new();
///
/// fn init() -> Result<(), terrace::ClaimError> {
///     terrace::init!(HEAP, 16 * 1024)
/// }
/// assert_eq!(init(), Ok(()));
/// assert_eq!(init(), Err(terrace::ClaimError::AlreadyClaimed));
/// ```
///
/// The heap must be a `static`, so that the buffer can't be given to two heaps:
/// ```compile_fail
/// let heap = terrace::LocalHeap::new();
/// terrace::init!(heap, 1024);
/// ```
/// ```compile_fail
/// const HEAP: terrace::CriticalSectionHeap = terrace::CriticalSectionHeap::new();
/// terrace::init!(HEAP, 1024);
/// ```
#[macro_export]
macro_rules! init {
    ($heap:path, $bytes:expr) => {{
        // Only the place of a static can be taken here: not a local variable, nor a constant, of which each use is
        // another heap.
        const _: () = {
            let _ = &raw const $heap;
        };
        // Items are not hygienic: a name that nothing in the two arguments has, and nothing by a name of the caller's.
        static mut __TERRACE_MEMORY: $crate::Memory<{ $bytes }> = $crate::Memory::ZERO;
        // A raw pointer, because a reference to a static of another type might be dereferenced to another heap each time.
        let heap: *const $crate::Heap<_, _, _> = &raw const $heap;
        // SAFETY: the buffer is reached by this expression alone, which always names the same heap; a heap takes memory
        // once, so the buffer is given away once. It is zero until then. The heap is a static.
        unsafe { $crate::Memory::give(&raw mut __TERRACE_MEMORY, &*heap) }
    }};
}
