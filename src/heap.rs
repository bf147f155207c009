//! Layer 5: the heap, which ties the layers together.
//!
//! ```text
//!   Heap<L, C, N>
//!   | Slot 0: lock L, Context | ... | Slot N-1 |      one for each core, picked by C
//!   | lock L, Shared: Pool (spans, buckets), watch, callbacks |
//!   | Posted |                                        written by interrupts
//! ```
//!
//! A fast operation takes its slot's lock and nothing else. A slow one takes the shared lock as well, always in this
//! order; with one slot, the slot's lock guards the shared part too. Whoever needs the whole takes all slots in order.

mod admit;
mod allocator;
pub mod arenas;
mod at;
mod checked;
pub(crate) mod claim;
pub mod commit;
pub mod control;
pub mod criticality;
pub mod external;
pub mod gc_manager;
mod global;
pub mod handlers;
pub mod host;
mod hosting;
mod limits;
pub mod load;
pub mod map;
mod observe;
mod operate;
pub mod poll;
#[cfg(feature = "private-heaps")]
pub mod private;
mod rescue;
mod segments;
mod side;
pub mod stats;
pub mod wait;

pub use at::HeapAt;

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use lock_api::RawMutex;

use crate::base::core_id::{CoreId, SingleCore};
use crate::base::granule::GRANULE_SHIFT;
use crate::base::lock::NoLock;
use crate::gc::parking::{Pace, Parking};
use crate::native::{context::Context, pool::Pool};
use crate::notify::{event::Journal, post::Posted, table::Table, watch::Watch};
use rescue::Rescuer;
use side::Side;

/// A heap over memory that is given to it once.
///
/// `L` is the lock, `C` tells the running core, `CONTEXTS` is the number of allocation contexts: one for each core that
/// allocates much, or 1.
///
/// A new heap has no memory: every request gets null until one of the `claim` methods or [`init!`](crate::init) has
/// given it some.
///
/// # Examples
/// ```no_run
/// use terrace::CriticalSectionHeap;
///
/// #[global_allocator]
/// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
///
/// fn main() {
///     terrace::init!(HEAP, 64 * 1024).expect("claimed once");
///     let numbers: Vec<u32> = (0..1000).collect();
///     assert!(HEAP.load().used >= 4000);
///     drop(numbers);
/// }
/// ```
// Where code has to be small, in the order of use, here and in what it consists of: instructions that reach the first 128 bytes
// are shorter on Cortex-M.
#[repr(C)]
pub struct Heap<L, C = SingleCore, const CONTEXTS: usize = 1> {
    slots: [Slot<L>; CONTEXTS],
    shared: UnsafeCell<Shared>,
    shared_lock: L,
    posted: Posted,
    core: PhantomData<fn() -> C>,
}

/// A heap for bare metal, whose lock is the critical section. Feature `critical-section`.
#[cfg(feature = "critical-section")]
pub type CriticalSectionHeap = Heap<crate::base::lock::CriticalSection>;

/// A heap for hosts and several cores, whose lock spins. Feature `spin`.
#[cfg(feature = "spin")]
pub type SpinHeap = Heap<crate::base::lock::Spin>;

/// A heap for one thread of control; it can't be a `static`.
pub type LocalHeap = Heap<NoLock>;

/// A context and its lock; on hosts, in cache lines of its own.
#[cfg_attr(target_pointer_width = "64", repr(align(128)))]
#[cfg_attr(terrace_small, repr(C))]
struct Slot<L> {
    lock: L,
    context: UnsafeCell<Context>,
}

/// What all contexts share.
#[cfg_attr(terrace_small, repr(C))]
struct Shared {
    pool: Pool,
    watch: Watch,
    /// There as soon as there is the host's side or an arena.
    rescuer: Option<&'static Rescuer>,
    /// What only hosts need that ask for it; nothing before that.
    side: Option<NonNull<Side>>,
    /// The arenas, each of which leads to the next.
    arenas: *const Parking,
    /// Granules that arenas hold.
    managed: usize,
    journal: Journal,
    table: Table,
    /// The last post that was handled.
    post_seen: u32,
    polling: bool,
    /// Something has happened that a poll has to do with.
    has_news: bool,
    /// The last post that was handled was not told to the sink yet.
    is_post_untold: bool,
    /// Low memory was not told to the sink yet.
    is_low_untold: bool,
    /// With several contexts: the load has reached the watermark, unless other contexts hold enough of it.
    is_doubtful: bool,
    /// How soon arenas collect.
    pace: Pace,
    /// The host, or a budget, asks for collections at the next poll.
    is_collecting: bool,
    is_due: bool,
}

impl Shared {
    const EMPTY: Shared = Shared {
        pool: Pool::EMPTY,
        watch: Watch::NEW,
        table: Table::EMPTY,
        journal: Journal::EMPTY,
        post_seen: 0,
        polling: false,
        has_news: false,
        is_post_untold: false,
        is_low_untold: false,
        is_doubtful: false,
        managed: 0,
        arenas: ptr::null(),
        pace: Pace::Neutral,
        is_collecting: false,
        is_due: false,
        side: None,
        rescuer: None,
    };
}

// SAFETY: contexts and the shared part are touched only under their locks (see `enter` and `enter_all`), the rest is
// atomic. What they point to is memory that was given to the heap for good.
unsafe impl<L: Sync, C, const CONTEXTS: usize> Sync for Heap<L, C, CONTEXTS> {}

// SAFETY: nothing in a heap is tied to the thread that made it; a lock that is says so by not being `Send`.
unsafe impl<L: Send, C, const CONTEXTS: usize> Send for Heap<L, C, CONTEXTS> {}

impl<L: RawMutex, C, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    const CHECKED: () = assert!(CONTEXTS > 0 && CONTEXTS <= 64, "a heap has 1 to 64 contexts");

    /// A heap without memory. `const`, so it can be the initial value of a `static`.
    pub const fn new() -> Self {
        let () = Self::CHECKED;
        Heap {
            slots: [const {
                Slot {
                    lock: L::INIT,
                    context: UnsafeCell::new(Context::EMPTY),
                }
            }; CONTEXTS],
            shared_lock: L::INIT,
            shared: UnsafeCell::new(Shared::EMPTY),
            posted: Posted::new(),
            core: PhantomData,
        }
    }

    /// Runs `work` with every context and the shared part, all locked.
    fn enter_all<R>(&self, work: impl FnOnce(&mut All<'_, L, CONTEXTS>, &mut Shared) -> R) -> R {
        for slot in &self.slots {
            slot.lock.lock();
        }
        self.lock_shared();
        // SAFETY: all locks are held, so this thread of control alone touches contexts and shared part; no user code
        // that could come back here runs in `work`.
        let result = unsafe { work(&mut All { slots: &self.slots }, &mut *self.shared.get()) };
        // SAFETY: they were locked above.
        unsafe {
            self.unlock_shared();
            for slot in self.slots.iter().rev() {
                slot.lock.unlock();
            }
        }
        result
    }

    /// Locks the shared part; the caller holds a slot's lock.
    #[inline(always)]
    fn lock_shared(&self) {
        if CONTEXTS > 1 {
            self.shared_lock.lock();
        }
    }

    /// # Safety
    /// The shared part was locked by [`Heap::lock_shared`].
    #[inline(always)]
    unsafe fn unlock_shared(&self) {
        if CONTEXTS > 1 {
            // SAFETY: as the caller says.
            unsafe { self.shared_lock.unlock() };
        }
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// The running core's slot.
    #[inline(always)]
    fn slot(&self) -> &Slot<L> {
        let index = if CONTEXTS > 1 { C::core_id() } else { 0 };
        self.slots.get(index).unwrap_or(&self.slots[0])
    }
}

impl<L: RawMutex, C, const CONTEXTS: usize> Default for Heap<L, C, CONTEXTS> {
    fn default() -> Self {
        Heap::new()
    }
}

/// All contexts of a heap, locked.
struct All<'a, L, const CONTEXTS: usize> {
    slots: &'a [Slot<L>; CONTEXTS],
}

impl<L, const CONTEXTS: usize> All<'_, L, CONTEXTS> {
    /// The contexts, one at a time.
    fn each(&mut self, mut visit: impl FnMut(&mut Context)) {
        for slot in self.slots {
            // SAFETY: `enter_all` holds all locks as long as this value lives; only one reference is made at a time.
            visit(unsafe { &mut *slot.context.get() });
        }
    }

    /// The first context.
    fn first(&mut self) -> &mut Context {
        // SAFETY: `enter_all` holds all locks as long as this value lives, which is borrowed as long as the reference is used.
        unsafe { &mut *self.slots[0].context.get() }
    }

    /// Bytes that the contexts hold without their being in use.
    fn idle(&mut self) -> usize {
        let mut idle = 0;
        self.each(|context| idle += context.idle());
        idle << GRANULE_SHIFT
    }
}
