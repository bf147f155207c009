//! The atomics: those of the core library, or those of a program that tries all orders of execution.

#[cfg(not(terrace_model))]
pub(crate) use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(terrace_model)]
pub(crate) use shuttle::sync::atomic::{AtomicU32, Ordering};
