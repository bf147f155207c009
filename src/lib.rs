//! One fixed region of memory, and a heap in it that firmware can live with.
//!
//! **terrace** is a `#[global_allocator]` for bare-metal Rust: dense, because blocks carry no header and the smallest one
//! is 8 bytes; fast, because frees are cached while memory is plentiful; in constant time, as long as there is room; and talkative:
//! when memory runs short, callbacks run from [`Heap::poll`], where the host wants them.
//!
//! ```text
//!   Box, Vec, String, BTreeMap ...
//!              |
//!        Heap: GlobalAlloc            notify: load, watermarks, callbacks, poll
//!              |
//!   native: contexts, caches, chunks, resizing
//!              |
//!   region: one span of memory, boundary bits, buckets
//! ```
//!
//! # Quick start
//! ```
//! use terrace::CriticalSectionHeap;
//!
//! // In firmware: #[global_allocator]
//! static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
//!
//! fn start() {
//!     terrace::init!(HEAP, 64 * 1024).expect("first claim");
//! }
//! # start();
//! # assert!(HEAP.load().capacity > 60_000);
//! ```
//!
//! # Arenas
//! [`Arena`] is a second heap in the same memory, for objects that refer to each other as they like: traced, generational and
//! compacting, and safe. What lives moves together, so that a region which has been used for years is as good as new.
//!
//! ```text
//!   Gc, Slot, Root, Weak, Pinned
//!              |
//!        Arena, Cx: windows and safe points
//!              |
//!   gc: mark, plan, relocate, compact, sweep -- segments --> region
//! ```
//!
//! # The host
//! Before a request fails, the host may [commit](Heap::claim_from) more memory, and arenas that nobody is using are collected. A host
//! can set [limits](Heap::set_limits), [reserves](Heap::set_reserve) and [handlers](Heap::add_gc_handler), tell how much memory
//! [there is](Heap::notify), and do what is due in small [slices](Heap::poll_with). Nothing of this is linked unless it is used.
//!
//! # Features
//! | feature | default | what |
//! |---|---|---|
//! | `critical-section` | yes | [`CriticalSectionHeap`]: the lock is a critical section, whose implementation the firmware links |
//! | `spin` | | [`SpinHeap`]: a spin lock, for hosts and several cores; [`FairSpin`]: one with bounded waiting |
//! | `derive` | yes | `#[derive(Trace)]` for the types of managed objects |
//! | `defmt` | | `defmt::Format` on every public type, and a sink for events |
//! | `allocator-api2` | | `Allocator` of that crate for `&Heap` |
//! | `nightly` | | `core::alloc::Allocator` for `&Heap`; needs a nightly compiler |
//! | `names` | | the names of the types of managed objects are linked, for [`Cx::walk`] and [`TypeStats`] |
//! | `private-heaps` | yes | [`PrivateHeap`]: heaps of their own in one block, destroyed at once |
//! | `mpu` | | guards around private heaps, by the memory protection unit of ARMv7-M ([`Mpu`]); elsewhere there is none |
//! | `std` | | `OsMemory`: a heap's memory from the operating system, on Linux |
//! | `check` | | double free, foreign pointers, wrong layouts and overruns are found by the operation that commits them; slow |

#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[cfg(test)]
extern crate std;

mod arena;
mod base;
mod gc;
mod heap;
mod native;
mod notify;
mod region;

pub use arena::Arena;
pub use arena::alloc::Byte;
#[doc(hidden)]
pub use arena::brand::BrandState;
pub use arena::brand::{Brand, Main};
pub use arena::collections::element::Element;
pub use arena::collections::intern::Symbol;
pub use arena::collections::key::{Key, Query, Text};
pub use arena::collections::map::{GcMap, GcMapIter};
pub use arena::collections::string::{GcString, GcStringWriter};
pub use arena::collections::vec::{GcVec, GcVecIter};
pub use arena::cx::{Cx, Generation, size_of_object};
pub use arena::dynamic::{DynSlot, GcDyn};
pub use arena::error::{ArenaError, Full, OutOfMemory};
#[cfg(feature = "defmt")]
pub use arena::event::arena_defmt_sink;
pub use arena::finalize::Finalize;
pub use arena::finalizers::Finalizers;
pub use arena::gc::Gc;
pub use arena::handle::{Pinned, Root, Weak};
pub use arena::limits::CriticalityError;
pub use arena::map::ArenaMap;
pub use arena::native::NativeBytes;
pub use arena::segments::{GapInfo, Gaps, SegmentInfo, Segments};
pub use arena::slot::{Interior, Slot};
pub use arena::stats::{ArenaStats, ArenaSteps};
pub use arena::tagged::{Tagged, TaggedSlot};
pub use arena::trace::{Leaf, Object, Of, Plain, Rebind, Trace};
pub use arena::types::{TypeCount, TypeStats};
pub use arena::walk::{ObjectInfo, ObjectType, Objects};
pub use base::available::Available;
pub use base::core_id::{CoreId, SingleCore};
pub use base::criticality::Criticality;
pub use base::fault::{Fault, FaultKind};
#[cfg(feature = "mpu")]
pub use base::guard::{Access, GuardError, NoMpu, largest_guard};
pub use base::limits::{LimitError, Limits};
#[cfg(feature = "critical-section")]
pub use base::lock::CriticalSection;
pub use base::lock::NoLock;
#[cfg(feature = "spin")]
pub use base::lock::{FairSpin, Spin};
#[cfg(feature = "mpu")]
pub use base::mpu::{Guard, Mpu};
pub use gc::event::{ArenaEvent, ArenaSink, Clock, CollectionCause, REMEMBERED, Reason};
pub use gc::verify::{ArenaFault, ArenaFaultKind};
pub use gc::visit::Visitor;
#[cfg(feature = "critical-section")]
pub use heap::CriticalSectionHeap;
#[cfg(feature = "spin")]
pub use heap::SpinHeap;
pub use heap::arenas::Collected;
#[doc(hidden)]
pub use heap::claim::Memory;
pub use heap::commit::Growth;
pub use heap::control::HostControl;
pub use heap::criticality::{Denier, Failure, MemoryRequest, RequestError, ReserveError, Verdict, Veto};
pub use heap::external::NeedsHook;
pub use heap::gc_manager::{GcStats, StartupError};
pub use heap::handlers::GcHooks;
pub use heap::load::{LoadOverride, MemoryLoad};
pub use heap::map::Map;
pub use heap::poll::Polled;
#[cfg(feature = "private-heaps")]
pub use heap::private::{LeakSite, Leaks, NewPrivateHeap, PrivateError, PrivateHeap, PrivateHeapError, PrivateStats};
pub use heap::stats::{HostStats, Stats};
pub use heap::wait::{WaitError, WhenLow};
pub use heap::{Heap, HeapAt, LocalHeap};
pub use native::pool::Steps;
pub use notify::budget::Budget;
#[cfg(feature = "defmt")]
pub use notify::event::defmt_sink;
pub use notify::event::{Event, Sink};
pub use notify::external::{EXTERNALS, ExternalError};
pub use notify::handler::{GC_HANDLERS, GcEvent, GcType, HandlerError, Trigger};
pub use notify::load::Load;
pub use notify::table::{CALLBACKS, CallbackError, Priority};
pub use notify::waker::WAITERS;
pub use notify::watch::{Threshold, WatermarkError, Watermarks};
pub use notify::{Cause, LowMemory, Pressure};
pub use region::fixed::{Bank, Banks, FixedMemory};
pub use region::host::{Contents, HostError, HostLoad, HostMemory, MemoryInfo, MemoryState, Notifier, Protection};
#[cfg(all(feature = "std", target_os = "linux"))]
pub use region::os::OsMemory;
#[cfg(feature = "mpu")]
pub use region::shield::ShieldedBanks;
pub use region::span::{ClaimError, MIN_SPAN};

/// Implements [`Trace`], [`Of`] and [`Rebind`](trait@Rebind) for a struct or an enum with at most one lifetime, that of its slots;
/// with `#[trace(leaf)]`, [`Leaf`] as well, and with `#[trace(element)]`, [`Element`]. Type parameters are traced, but for those
/// with the bound [`Brand`].
#[cfg(feature = "derive")]
pub use terrace_derive::Trace;

// The examples of the README compile.
#[cfg(all(doctest, feature = "critical-section", feature = "spin"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the guide compile, and do what they say.
#[cfg(all(doctest, feature = "critical-section", feature = "derive", feature = "private-heaps"))]
mod guide {
    #[doc = include_str!("../docs/guide/low-memory-callback.md")]
    struct LowMemoryCallback;

    #[doc = include_str!("../docs/guide/clr-hosting.md")]
    struct ClrHosting;

    #[doc = include_str!("../docs/guide/gc-in-dotnet.md")]
    struct GcInDotnet;

    #[doc = include_str!("../docs/guide/jsvm-gc-handlers.md")]
    struct JsvmGcHandlers;
}
