//! A private heap: a first-fit heap of its own in one span of memory, which knows what it has given to whom.
//!
//! ```text
//!   span    | live | freed |   area: blocks and holes                    |
//!                          | header | bytes ... | hole | header | bytes ..|
//!                                   ^ bit of `live`             ^
//! ```
//!
//! Space is managed by the crate `linked_list_allocator`: a list of holes in the order of addresses, of which the first that is
//! large enough serves. That is dense, has nothing beside the holes, and takes time that grows with their number.
//!
//! Two bits for each granule tell at which addresses there are blocks, and at which ones a block has been freed. They lie
//! apart from the blocks, so that no contents of any block can make another address pass for one: whatever address is to be
//! freed, the answer is exact. What the block's owner said of it stands in its header.
//!
//! Source: seed `001_f38423a55030a0f1.txt`, `IHostMalloc`.
//!
//! **Invariant `AREA`**: `area` may access `granules` granules from a granule's boundary on, which nothing else uses; they are
//! blocks, and holes that `holes` knows. A bit of `live` is set exactly if what a block offers starts at that granule: then its
//! [`Header`] ends there, and the whole of the block was taken from `holes` with [`Header::layout`].

use core::alloc::Layout;
use core::panic::Location;
use core::ptr::{self, NonNull};

use linked_list_allocator::Heap as Holes;

use crate::base::bits::Bits;
use crate::base::granule::{GRANULE, MAX_GRANULES};

/// Where a block was asked for: a file and a line, if the caller told.
pub(crate) type Site = Option<&'static Location<'static>>;

/// Bytes of the smallest hole, in `linked_list_allocator`.
const LEAST_HOLE: usize = 2 * size_of::<usize>();

/// What stands before each block.
#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    /// Bytes that were asked for.
    size: usize,
    /// A [`Site`]; a raw pointer, as it may have been overwritten when it is read.
    site: *const Location<'static>,
    /// The alignment that was asked for, a granule at least, as a power of two.
    align_log: u32,
    /// [`Header::sum`] of the above.
    check: u32,
}

const _: () = assert!(size_of::<Header>().is_multiple_of(GRANULE) && align_of::<Header>() <= GRANULE);
const _: () = assert!(Private::LEAST >= LEAST_HOLE);

impl Header {
    /// The check word of a block at `address`. Any one word that is overwritten changes it, but for one value in 2^32.
    fn sum(&self, address: usize) -> u32 {
        let words = [self.size, self.site.addr(), self.align_log as usize, address];
        words.iter().fold(0x7E44_ACE5, |sum: u32, &word| {
            let word = word as u64;
            (sum ^ word as u32 ^ (word >> 32) as u32)
                .wrapping_mul(0x9E37_79B1)
                .rotate_left(15)
        })
    }

    /// The layout of the whole block with its header, and where in it the bytes start that it offers; nothing if there is no such
    /// layout.
    fn layout(size: usize, align: usize) -> Option<(Layout, usize)> {
        let align = align.max(GRANULE);
        let offset = size_of::<Header>().checked_next_multiple_of(align)?;
        let whole = offset.checked_add(size.max(1))?.checked_next_multiple_of(GRANULE)?;
        Some((Layout::from_size_align(whole, align).ok()?, offset))
    }
}

/// A block that was found.
struct Found {
    /// The granule where what it offers starts.
    at: u32,
    /// Bytes that were asked for.
    size: usize,
    /// [`Header::layout`].
    whole: Layout,
    offset: usize,
}

/// A block that is in use.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    /// Bytes that were asked for.
    pub size: usize,
    pub site: Site,
}

/// Why an address is no block that can be freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It lies outside.
    Foreign,
    /// No block starts there, nor did one that has been freed.
    NoBlock,
    /// A block started there, and was freed.
    FreedTwice,
    /// The block's header was overwritten.
    Overwritten,
}

/// What has been asked of a private heap. Counters wrap.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Blocks that are in use, and the bytes that were asked for in them.
    pub blocks: usize,
    pub asked: usize,
    /// The most bytes that were ever taken from the area.
    pub peak: usize,
    /// Requests served, requests refused, and the size of the last one of these.
    pub allocations: usize,
    pub failures: usize,
    pub last_failed: usize,
    /// Frees that were refused.
    pub misuses: usize,
}

/// A heap in a span.
pub(crate) struct Private {
    holes: Holes,
    area: *mut u8,
    granules: u32,
    live: Bits,
    /// Where a block has been freed; whether one is there again, `live` tells.
    freed: Bits,
    pub counts: Counts,
}

// SAFETY: AREA: it owns what it points to.
unsafe impl Send for Private {}

impl Private {
    /// Bytes of the smallest area: those of one block.
    pub(crate) const LEAST: usize = size_of::<Header>() + GRANULE;

    /// Bytes of the tables for an area of so many bytes.
    pub(crate) const fn table_bytes(area: usize) -> usize {
        2 * Bits::bytes(area / GRANULE)
    }

    /// Makes a heap of `bytes` bytes at `area`, with its tables at `tables`.
    ///
    /// # Safety
    /// Both are aligned to a granule; `bytes` is a multiple of it, no less than [`Private::LEAST`] and no more than
    /// [`MAX_GRANULES`] granules. They are valid for `bytes` and for [`Private::table_bytes`]`(bytes)` bytes, which nothing else
    /// uses as long as this value or a block of it is used.
    pub(crate) unsafe fn new(tables: *mut u8, area: *mut u8, bytes: usize) -> Private {
        let granules = bytes / GRANULE;
        debug_assert!(bytes >= Private::LEAST && granules <= MAX_GRANULES);
        // SAFETY: the caller gives the bytes of two tables of so many bits, and those of the area.
        unsafe {
            let words = tables.cast::<u32>();
            Private {
                holes: Holes::new(area, bytes),
                area,
                granules: granules as u32,
                live: Bits::init(words, granules, false),
                freed: Bits::init(words.byte_add(Bits::bytes(granules)), granules, false),
                counts: Counts::default(),
            }
        }
    }

    /// Bytes that blocks and their headers can take.
    pub(crate) fn capacity(&self) -> usize {
        self.granules as usize * GRANULE
    }

    /// Bytes that blocks and their headers take.
    pub(crate) fn used(&self) -> usize {
        self.holes.used()
    }

    /// A block for `layout`, asked for at `site`; null if there is no hole for it. Also for no bytes. O(holes).
    pub(crate) fn allocate(&mut self, layout: Layout, site: Site) -> *mut u8 {
        let Some((block, offset)) = self.take(layout) else {
            self.counts.failures = self.counts.failures.wrapping_add(1);
            self.counts.last_failed = layout.size();
            return ptr::null_mut();
        };
        let address = block.addr() + offset;
        let mut header = Header {
            size: layout.size(),
            site: site.map_or(ptr::null(), ptr::from_ref),
            align_log: layout.align().max(GRANULE).trailing_zeros(),
            check: 0,
        };
        header.check = header.sum(address);
        let at = ((address - self.area.addr()) / GRANULE) as u32;
        // SAFETY: the block is ours, starts and ends at granules, and has room for the header before `offset`; what it offers
        // starts inside of the area, as it has a granule at least.
        let start = unsafe {
            let start = block.add(offset);
            start.cast::<Header>().sub(1).write(header);
            self.live.set(at);
            start
        };
        let counts = &mut self.counts;
        counts.blocks += 1;
        counts.asked += layout.size();
        counts.allocations = counts.allocations.wrapping_add(1);
        counts.peak = counts.peak.max(self.holes.used());
        start
    }

    /// Takes a whole block from the holes; tells where in it the bytes start that it offers.
    fn take(&mut self, layout: Layout) -> Option<(*mut u8, usize)> {
        let (whole, offset) = Header::layout(layout.size(), layout.align())?;
        // The list of holes computes addresses behind a hole, up to here: near the end of the address space, these could wrap.
        let end = self.area.addr().checked_add(self.capacity())?;
        let reach = if whole.align() > GRANULE {
            whole.size().checked_add(whole.align())?
        } else {
            0
        };
        end.checked_add(reach)?.checked_add(LEAST_HOLE)?;
        let block = self.holes.allocate_first_fit(whole).ok()?;
        Some((block.as_ptr(), offset))
    }

    /// Takes back the block at `address`, or says why there is none. Whatever the address, the answer is exact; but a block that
    /// was freed and whose address is that of another one now is this other one. O(holes).
    ///
    /// # Safety
    /// If it is a block, nobody uses it any more.
    pub(crate) unsafe fn free(&mut self, address: usize) -> Result<(), Refusal> {
        let found = self.find(address).inspect_err(|_| {
            self.counts.misuses = self.counts.misuses.wrapping_add(1);
        })?;
        // SAFETY: AREA: the block was taken with this layout, and starts so far before what it offers; the caller gives it up.
        // The pointer is derived from the area's, as the caller's may be good for less than the whole block.
        unsafe {
            self.live.clear(found.at);
            self.freed.set(found.at);
            let start = self.area.add(found.at as usize * GRANULE - found.offset);
            self.holes.deallocate(NonNull::new_unchecked(start), found.whole);
        }
        self.counts.blocks -= 1;
        self.counts.asked -= found.size;
        Ok(())
    }

    /// The block at `address`. O(1).
    fn find(&self, address: usize) -> Result<Found, Refusal> {
        let offset = address.wrapping_sub(self.area.addr());
        if offset >= self.capacity() {
            return Err(Refusal::Foreign);
        }
        if !offset.is_multiple_of(GRANULE) {
            return Err(Refusal::NoBlock);
        }
        let at = (offset / GRANULE) as u32;
        // SAFETY: the tables have a bit for each granule of the area, and `at` is one of them.
        let header = unsafe {
            if !self.live.get(at) {
                let was_block = self.freed.get(at);
                return Err(if was_block {
                    Refusal::FreedTwice
                } else {
                    Refusal::NoBlock
                });
            }
            self.header(at).ok_or(Refusal::Overwritten)?
        };
        let (whole, offset) = Header::layout(header.size, 1usize << header.align_log).ok_or(Refusal::Overwritten)?;
        Ok(Found {
            at,
            size: header.size,
            whole,
            offset,
        })
    }

    /// The header of a block, unless it was overwritten.
    ///
    /// # Safety
    /// The granule's bit in `live` is set.
    unsafe fn header(&self, at: u32) -> Option<Header> {
        // SAFETY: AREA: a header ends at this granule. Any bytes are values of its fields.
        let (address, header) = unsafe {
            let start = self.area.add(at as usize * GRANULE);
            (start.addr(), start.cast::<Header>().sub(1).read())
        };
        (header.check == header.sum(address)).then_some(header)
    }

    /// The block at `address`, if there is one, and how many bytes it can hold where it is. O(1).
    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(crate) fn room(&self, address: usize) -> Option<(NonNull<u8>, usize)> {
        let found = self.find(address).ok()?;
        let start = NonNull::new(self.area.wrapping_add(found.at as usize * GRANULE))?;
        Some((start, found.whole.size() - found.offset))
    }

    /// Calls `visit` with the address of each block, in order, and with what its header says, if that was not overwritten.
    /// O(area / 256 + blocks).
    pub(crate) fn each(&self, mut visit: impl FnMut(usize, Option<Live>)) {
        let visit = |at: u32| {
            // SAFETY: the bit is set, and a header that was not overwritten has the site that was written to it.
            let found = unsafe {
                self.header(at).map(|header| Live {
                    size: header.size,
                    site: header.site.as_ref(),
                })
            };
            visit(self.area.addr() + at as usize * GRANULE, found);
        };
        // SAFETY: the table has so many bits; all that changes it takes `self` exclusively.
        unsafe { self.live.each_set(self.granules, visit) };
    }
}
