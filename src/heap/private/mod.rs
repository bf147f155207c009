//! Private heaps: a heap of its own in one block of a heap, for a task, a driver or a library, and destroyed at once.
//!
//! ```text
//!   Heap  | ... | block of a private heap                            | ...
//!               | tables |low guard| blocks and holes   |high guard|
//! ```
//!
//! Source: seed `001_f38423a55030a0f1.txt`: `CreateMalloc`, `IHostMalloc`, `HeapCreate` and `HeapDestroy`.

mod allocator;
mod error;
#[cfg_attr(not(feature = "mpu"), path = "guards_none.rs")]
mod guards;
mod leaks;
mod stats;

pub use error::{PrivateError, PrivateHeapError};
pub use leaks::{LeakSite, Leaks};
pub use stats::PrivateStats;

use core::alloc::Layout;
use core::fmt;
use core::panic::Location;
use core::ptr::NonNull;

use lock_api::{Mutex, RawMutex};

use super::Heap;
use crate::base::core_id::CoreId;
use crate::base::granule::{GRANULE, MAX_GRANULES};
use crate::base::lock::NoLock;
use crate::native::private::{Private, Site};
use guards::{GuardPlan, Guards};

/// A heap of its own, in one block of a [`Heap`]: made by [`Heap::private_heap`], used through raw pointers, and given back as a
/// whole when it is dropped, with whatever is still allocated in it.
///
/// `M` is its lock: that of the heap it comes from, or [`NoLock`]; then it stays with one thread of control.
///
/// Blocks lie one beside the other, each behind a header of 16 bytes (24 on 64 bits), which tells its size and, for those of
/// [`debug_alloc`](PrivateHeap::debug_alloc), who asked for it. The first hole that is large enough serves, so that operations take
/// time that grows with the number of holes: a private heap is meant to be small. Nothing in it is moved, collected or noticed
/// by the watermarks of the heap, in which all of it counts as in use.
///
/// With feature `allocator-api2` or `nightly`, a reference to it is an `Allocator`.
///
/// # Examples
/// ```
/// # static HEAP: terrace::CriticalSectionHeap = terrace::CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// use core::alloc::Layout;
///
/// let before = HEAP.load();
/// let session = HEAP.private_heap(4096).create()?;
/// let block = session.debug_alloc(Layout::new::<[u32; 8]>())?;
/// assert_eq!(session.stats().blocks, 1);
/// println!("{}", session.leaks()); // src/main.rs:5: 1 block, 32 bytes
///
/// // SAFETY: nobody uses the block any more.
/// unsafe { session.free(block)? };
/// assert_eq!(session.leaks().count(), 0);
/// session.destroy();
/// assert_eq!(HEAP.load(), before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PrivateHeap<'h, M> {
    heap: Mutex<M, Private>,
    home: &'h dyn Home,
    /// The block of the heap that all of it lies in.
    block: NonNull<u8>,
    layout: Layout,
    guards: Guards,
}

/// The heap that a private heap lies in, whatever its type.
trait Home {
    /// Takes the block back.
    ///
    /// # Safety
    /// It was allocated here for this layout, and nobody uses it any more.
    unsafe fn take_back(&self, block: NonNull<u8>, layout: Layout);
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Home for Heap<L, C, CONTEXTS> {
    unsafe fn take_back(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { self.release(block.as_ptr(), layout) };
    }
}

// Invariant `HOME`: `M` is the lock of the heap that is `home`, or `NoLock`, which is neither `Sync` nor `Send`.

// SAFETY: HOME: if `M` is `Sync`, it is the lock of a heap which is `Sync` for that reason. What the private heap itself has is
// behind `M`; the block is its own.
unsafe impl<M: Sync> Sync for PrivateHeap<'_, M> {}

// SAFETY: HOME: as above, of a heap that may be used from the other thread.
unsafe impl<M: Send + Sync> Send for PrivateHeap<'_, M> {}

/// A private heap that is to be made: see [`Heap::private_heap`].
#[must_use = "a private heap is made by `create` or `create_local`"]
pub struct NewPrivateHeap<'h, L, C, const CONTEXTS: usize> {
    home: &'h Heap<L, C, CONTEXTS>,
    bytes: usize,
    guards: GuardPlan,
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// A private heap of at least `bytes` bytes, which the headers of its blocks are part of, in one block of this heap. That is
    /// a thirty-second larger, for tables. Nothing is done before [`create`](NewPrivateHeap::create) or
    /// [`create_local`](NewPrivateHeap::create_local) is called.
    pub fn private_heap(&self, bytes: usize) -> NewPrivateHeap<'_, L, C, CONTEXTS> {
        NewPrivateHeap {
            home: self,
            bytes,
            guards: GuardPlan::NONE,
        }
    }
}

impl<'h, L: RawMutex, C: CoreId, const CONTEXTS: usize> NewPrivateHeap<'h, L, C, CONTEXTS> {
    /// Makes it, for any thread of control that may use the heap it lies in: its lock is of the same kind, but its own.
    /// O(bytes / 256), outside of all locks. From interrupts as the lock permits.
    ///
    /// # Errors
    /// It is too small for a block, the heap has no room for it, which counts as a failed request there, or there is no guard.
    pub fn create(self) -> Result<PrivateHeap<'h, L>, PrivateHeapError> {
        self.create_with()
    }

    /// Makes it, for one thread of control, without a lock. O(bytes / 256).
    ///
    /// # Errors
    /// As for [`NewPrivateHeap::create`].
    pub fn create_local(self) -> Result<PrivateHeap<'h, NoLock>, PrivateHeapError> {
        self.create_with()
    }

    /// HOME: the callers' locks are the two that may be.
    fn create_with<M: RawMutex>(self) -> Result<PrivateHeap<'h, M>, PrivateHeapError> {
        let plan = Plan::new(self.bytes, self.guards.bytes())?;
        let no_room = PrivateHeapError::OutOfMemory {
            requested: plan.layout.size(),
        };
        let block = NonNull::new(self.home.allocate(plan.layout)).ok_or(no_room)?;
        // SAFETY: the block is ours, and as long and aligned as the plan says; the places in it are apart.
        unsafe {
            let at = |offset: usize| block.as_ptr().add(offset);
            let guards = match self.guards.raise(at(plan.low_guard()), at(plan.high_guard())) {
                Ok(guards) => guards,
                Err(error) => {
                    self.home.release(block.as_ptr(), plan.layout);
                    return Err(error);
                }
            };
            Ok(PrivateHeap {
                heap: Mutex::new(Private::new(block.as_ptr(), at(plan.area), plan.area_bytes)),
                home: self.home,
                block,
                layout: plan.layout,
                guards,
            })
        }
    }
}

/// What lies where in a private heap's block.
#[derive(PartialEq, Eq, Debug)]
struct Plan {
    /// Of the block, which begins with the tables.
    layout: Layout,
    /// The offset of what blocks and holes lie in, and its bytes.
    area: usize,
    area_bytes: usize,
    /// Bytes of each guard, or 0.
    guard: usize,
}

impl Plan {
    /// A plan with guards of so many bytes, a power of two that is no less than a granule, or without any.
    fn new(bytes: usize, guard: usize) -> Result<Plan, PrivateHeapError> {
        if bytes < Private::LEAST {
            return Err(PrivateHeapError::TooSmall {
                bytes,
                required: Private::LEAST,
            });
        }
        let align = guard.max(GRANULE);
        let plan = || {
            let area_bytes = bytes.checked_next_multiple_of(align)?;
            let tables = Private::table_bytes(area_bytes).checked_next_multiple_of(align)?;
            let area = tables.checked_add(guard)?;
            let size = area.checked_add(area_bytes)?.checked_add(guard)?;
            Some(Plan {
                layout: Layout::from_size_align(size, align).ok()?,
                area,
                area_bytes,
                guard,
            })
        };
        plan()
            .filter(|plan| plan.area_bytes / GRANULE <= MAX_GRANULES)
            .ok_or(PrivateHeapError::OutOfMemory { requested: bytes })
    }

    fn low_guard(&self) -> usize {
        self.area - self.guard
    }

    fn high_guard(&self) -> usize {
        self.area + self.area_bytes
    }
}

impl<M: RawMutex> PrivateHeap<'_, M> {
    /// A block for `layout`; one for no bytes is a block as well. Its contents are undefined. It is the caller's until it is
    /// freed, or the private heap is dropped. O(holes). From interrupts as the lock permits.
    ///
    /// # Errors
    /// [`PrivateError::OutOfMemory`]; nothing has changed, but for the counts.
    pub fn alloc(&self, layout: Layout) -> Result<NonNull<u8>, PrivateError> {
        self.allocate(layout, None)
    }

    /// As [`PrivateHeap::alloc`], and remembers where it was called: file and line are what [`PrivateHeap::leaks`] lists the block
    /// under.
    ///
    /// # Errors
    /// As for [`PrivateHeap::alloc`].
    #[track_caller]
    pub fn debug_alloc(&self, layout: Layout) -> Result<NonNull<u8>, PrivateError> {
        self.allocate(layout, Some(Location::caller()))
    }

    /// As [`PrivateHeap::debug_alloc`], on behalf of the code at `site`.
    ///
    /// # Errors
    /// As for [`PrivateHeap::alloc`].
    pub fn debug_alloc_at(
        &self,
        layout: Layout,
        site: &'static Location<'static>,
    ) -> Result<NonNull<u8>, PrivateError> {
        self.allocate(layout, Some(site))
    }

    fn allocate(&self, layout: Layout, site: Site) -> Result<NonNull<u8>, PrivateError> {
        let mut heap = self.heap.lock();
        NonNull::new(heap.allocate(layout, site)).ok_or_else(|| PrivateError::OutOfMemory {
            requested: layout.size(),
            align: layout.align(),
            free: heap.capacity() - heap.used(),
        })
    }

    /// Takes a block back, by the address of its first byte. O(holes). From interrupts as the lock permits.
    ///
    /// Whatever the address, the answer is exact: what blocks there are is known apart from their contents. Two mistakes can't
    /// be told: a block that was freed and whose address another one has got since is this other block; and so is, for a
    /// private heap that was destroyed, what a later one has put at the same address.
    ///
    /// # Errors
    /// No block starts at the address, or its header was overwritten; nothing has changed, but for the count of misuses.
    ///
    /// # Safety
    /// If a block of this private heap starts at the address, nobody uses it any more. (With the safety of others at stake, such
    /// as that of a vector which lies in the block, no check of the address can do without this.)
    pub unsafe fn free(&self, block: NonNull<u8>) -> Result<(), PrivateError> {
        let address = block.addr().get();
        // SAFETY: the caller's.
        unsafe { self.heap.lock().free(address) }.map_err(|refusal| PrivateError::of(refusal, address))
    }

    /// The figures. O(1). From interrupts as the lock permits.
    pub fn stats(&self) -> PrivateStats {
        PrivateStats::of(&self.heap.lock())
    }

    /// The blocks in use by the sites that asked for them: what leaks, where nothing should be in use any more.
    pub fn leaks(&self) -> Leaks<'_, '_, M> {
        Leaks::new(self)
    }

    /// Looks at the headers of all blocks. O(bytes / 256 + blocks), under the lock. Not for interrupts.
    ///
    /// # Errors
    /// [`PrivateError::Overwritten`], with the lowest block whose header was.
    pub fn check(&self) -> Result<(), PrivateError> {
        let mut found = Ok(());
        self.heap.lock().each(|address, live| {
            if live.is_none() && found.is_ok() {
                found = Err(PrivateError::Overwritten { address });
            }
        });
        found
    }

    /// Gives all of its memory back to the heap at once, with every block that is still in it, as dropping it does; tells what
    /// there was at the end. O(1).
    pub fn destroy(self) -> PrivateStats {
        self.stats()
    }
}

impl<M> Drop for PrivateHeap<'_, M> {
    fn drop(&mut self) {
        self.guards.lower();
        // SAFETY: the block was allocated there, for this layout. What lies in it is used no more: its users have borrowed `self`,
        // or have it from methods that say until when it is theirs. Nothing guards it any more.
        unsafe { self.home.take_back(self.block, self.layout) };
    }
}

impl<M> fmt::Debug for PrivateHeap<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateHeap")
            .field("block", &self.block)
            .field("bytes", &self.layout.size())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b3_guards_lie_at_multiples_of_their_size_on_both_sides() {
        for guard in [0, 32, 64, 4096] {
            for bytes in Private::LEAST..3000 {
                let plan = Plan::new(bytes, guard).unwrap();
                let places = [plan.area, plan.area_bytes, plan.low_guard(), plan.high_guard()];
                assert!(places.iter().all(|place| place.is_multiple_of(guard.max(GRANULE))));
                assert!(plan.area_bytes >= bytes && plan.low_guard() >= Private::table_bytes(plan.area_bytes));
                assert_eq!(plan.high_guard() + guard, plan.layout.size());
            }
        }
    }

    #[test]
    fn b3_no_size_overflows() {
        for guard in [0, 32, 1 << (usize::BITS - 2)] {
            for bytes in [
                usize::MAX,
                usize::MAX - 7,
                isize::MAX as usize,
                isize::MAX as usize - 64,
            ] {
                let error = PrivateHeapError::OutOfMemory { requested: bytes };
                assert_eq!(Plan::new(bytes, guard), Err(error));
            }
        }
    }
}
