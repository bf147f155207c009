//! What must not compile does not (row E5).

/// The messages are those of the compiler in use; under checkers, which need flags of their own, this says nothing new.
#[test]
#[cfg_attr(any(miri, not(target_pointer_width = "64")), ignore = "compiles for the host")]
fn e5_misuses_do_not_compile() {
    if std::env::var_os("TERRACE_TEST_SCALE").is_none() {
        trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
    }
}

/// The same for the auto traits, whatever the compiler says: the method of the trait is only found where the inherent one
/// does not exist.
#[test]
fn e5_heaps_are_shared_as_their_locks_permit() {
    use std::marker::PhantomData;
    use terrace::{CriticalSectionHeap, LocalHeap};

    trait Otherwise {
        fn is_sync(&self) -> bool {
            false
        }
        fn is_send(&self) -> bool {
            false
        }
    }
    struct Sync_<T>(PhantomData<T>);
    struct Send_<T>(PhantomData<T>);
    impl<T> Otherwise for Sync_<T> {}
    impl<T> Otherwise for Send_<T> {}
    impl<T: Sync> Sync_<T> {
        fn is_sync(&self) -> bool {
            true
        }
    }
    impl<T: Send> Send_<T> {
        fn is_send(&self) -> bool {
            true
        }
    }
    assert!(!Sync_::<LocalHeap>(PhantomData).is_sync() && !Send_::<LocalHeap>(PhantomData).is_send());
    assert!(Sync_::<terrace::Symbol>(PhantomData).is_sync() && Send_::<terrace::Symbol>(PhantomData).is_send());
    #[cfg(feature = "spin")]
    assert!(Sync_::<terrace::SpinHeap>(PhantomData).is_sync() && Send_::<terrace::SpinHeap>(PhantomData).is_send());
    assert!(Sync_::<CriticalSectionHeap>(PhantomData).is_sync());
}
