//! All allocators under comparison, and the static that each lives in.

use crate::{
    peers::{Buddy, Dlmalloc, LinkedList, Rlsf, Talc, WideTlsf},
    scaling::Threads,
    subject::Subject,
};
use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    mem::MaybeUninit,
};
use terrace_measure::region::Region;

/// The spin lock that every fixed-region allocator is behind.
pub type Lock = spin::Mutex<()>;

/// Where the one instance of an allocator lives: a static, as in a program that uses it as its global allocator.
pub struct Place<A>(UnsafeCell<MaybeUninit<A>>);

// SAFETY: written only by `open`, whose caller promises that nobody uses the instance before.
unsafe impl<A: Sync> Sync for Place<A> {}

/// An allocator with a static of its own.
pub trait Placed: Subject {
    fn place() -> &'static Place<Self>;

    /// The instance.
    ///
    /// # Safety
    /// After [`open`](Placed::open).
    #[inline(always)]
    unsafe fn heap() -> &'static Self {
        // SAFETY: `open` wrote it, by the caller's promise.
        unsafe { (*Self::place().0.get()).assume_init_ref() }
    }

    /// Makes a new heap over `region`; false if the region is too small for it.
    ///
    /// # Safety
    /// No block of an earlier heap is used any more, and no other thread uses the heap.
    unsafe fn open(region: &Region) -> bool {
        // SAFETY: nobody else refers to the old value, by the caller's promise. None of these types needs to be
        // dropped: they own nothing but the region.
        unsafe { (*Self::place().0.get()).write(Self::fresh()) };
        // SAFETY: written above; the region belongs to this heap until the next `open`.
        unsafe { Self::heap().claim(region.start(), region.len()) }
    }
}

/// What is done with each allocator.
pub trait Visitor {
    /// Whether allocators with several contexts are visited as well.
    const CONTEXTS: bool = false;

    fn visit<A: Placed>(&mut self);
}

macro_rules! allocators {
    ($($allocator:ty),* $(,)?) => {
        $(impl Placed for $allocator {
            #[inline(always)]
            fn place() -> &'static Place<Self> {
                static PLACE: Place<$allocator> = Place(UnsafeCell::new(MaybeUninit::uninit()));
                &PLACE
            }
        })*

        /// Visits each allocator whose name contains one of `names`, all if there is none, in the order of the tables.
        pub fn for_each<V: Visitor>(names: &[String], visitor: &mut V) {
            $(if (V::CONTEXTS || <$allocator>::CONTEXTS == 1)
                && (names.is_empty() || names.iter().any(|name| <$allocator>::NAME.contains(name.as_str())))
            {
                visitor.visit::<$allocator>();
            })*
        }
    };
}

allocators!(
    terrace::Heap<Lock>,
    terrace::Heap<Lock, Threads, 2>,
    terrace::Heap<terrace::FairSpin, Threads, 2>,
    Talc<Lock>,
    Rlsf<Lock>,
    LinkedList<Lock>,
    WideTlsf<Lock>,
    Buddy<Lock>,
    Dlmalloc<Lock>,
    Glibc,
    Mimalloc,
);

macro_rules! yardstick {
    ($type:ident, $inner:path, $name:literal, $doc:literal) => {
        #[doc = $doc]
        pub struct $type;

        // SAFETY: hands every call on unchanged.
        unsafe impl GlobalAlloc for $type {
            #[inline]
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                // SAFETY: the caller's promise.
                unsafe { $inner.alloc(layout) }
            }

            #[inline]
            unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
                // SAFETY: the caller's promise.
                unsafe { $inner.dealloc(block, layout) }
            }

            #[inline]
            unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
                // SAFETY: the caller's promise.
                unsafe { $inner.realloc(block, layout, size) }
            }
        }

        // SAFETY: as above; needs no region.
        unsafe impl Subject for $type {
            const NAME: &'static str = $name;
            const FIXED: bool = false;

            fn fresh() -> Self {
                $type
            }

            unsafe fn claim(&self, _: *mut u8, _: usize) -> bool {
                true
            }
        }
    };
}

yardstick!(
    Glibc,
    std::alloc::System,
    "system malloc",
    "The C library's `malloc`: glibc on most Linux hosts."
);
yardstick!(
    Mimalloc,
    mimalloc::MiMalloc,
    "mimalloc",
    "mimalloc, with memory from the system."
);
