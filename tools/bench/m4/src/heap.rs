//! The global allocator that the features choose.

macro_rules! global {
    ($type:ty, $fresh:expr, |$start:ident, $len:ident| $claim:expr) => {
        #[global_allocator]
        pub static HEAP: $type = $fresh;

        /// # Safety
        /// The memory belongs to the heap from now on; called once.
        #[allow(unused_braces, reason = "rustfmt puts them round longer expressions")]
        pub unsafe fn claim($start: *mut u8, $len: usize) {
            // SAFETY: the caller's promise.
            let _ = unsafe { $claim };
        }
    };
}

#[cfg(feature = "terrace")]
global!(terrace::CriticalSectionHeap, terrace::Heap::new(), |start, len| HEAP
    .claim_raw(start, len));

#[cfg(feature = "talc")]
global!(
    crate::peers::Talc<crate::lock::Critical>,
    talc::TalcLock::new(talc::source::Manual),
    |start, len| { HEAP.lock().claim(start, len) }
);

#[cfg(feature = "rlsf")]
global!(
    crate::peers::Rlsf<crate::lock::Critical>,
    crate::subject::Locked::new(rlsf::Tlsf::new()),
    |start, len| { crate::subject::Subject::claim(&HEAP, start, len) }
);

#[cfg(feature = "linked_list_allocator")]
global!(
    crate::peers::LinkedList<crate::lock::Critical>,
    crate::subject::Locked::new(linked_list_allocator::Heap::empty()),
    |start, len| crate::subject::Subject::claim(&HEAP, start, len)
);

#[cfg(feature = "llff")]
global!(
    embedded_alloc::LlffHeap,
    embedded_alloc::LlffHeap::empty(),
    |start, len| HEAP.init(start.addr(), len)
);

#[cfg(feature = "tlsf")]
global!(
    embedded_alloc::TlsfHeap,
    embedded_alloc::TlsfHeap::empty(),
    |start, len| HEAP.init(start.addr(), len)
);

#[cfg(feature = "buddy_system_allocator")]
global!(
    crate::peers::Buddy<crate::lock::Critical>,
    crate::subject::Locked::new(buddy_system_allocator::Heap::new()),
    |start, len| crate::subject::Subject::claim(&HEAP, start, len)
);

#[cfg(feature = "dlmalloc")]
global!(
    crate::peers::Dlmalloc<crate::lock::Critical>,
    crate::subject::Locked::new(crate::peers::new_dlmalloc()),
    |start, len| { crate::subject::Subject::claim(&HEAP, start, len) }
);

#[cfg(feature = "bump")]
global!(
    crate::subject::Locked<crate::lock::Critical, crate::bump::Bump>,
    crate::subject::Locked::new(crate::bump::Bump::new()),
    |start, len| crate::subject::Subject::claim(&HEAP, start, len)
);
