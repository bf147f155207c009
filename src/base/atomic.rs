//! The atomics: those of the core library, or those of a program that tries all orders of execution. For spin locks, with
//! compare-and-swap everywhere.

#[cfg(not(any(terrace_model, feature = "spin")))]
pub(crate) use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(all(terrace_model, feature = "spin"))]
pub(crate) use shuttle::hint::spin_loop;
#[cfg(terrace_model)]
pub(crate) use shuttle::sync::atomic::{AtomicU32, Ordering};
#[cfg(all(not(terrace_model), feature = "spin"))]
pub(crate) use {
    core::hint::spin_loop,
    portable_atomic::{AtomicU32, Ordering},
};
