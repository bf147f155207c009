//! Layer 0: units, the boundary-bit table, locks, cores and faults.
//!
//! Nothing here knows what a heap is.

pub(crate) mod atomic;
pub mod available;
pub(crate) mod bits;
pub mod core_id;
pub mod criticality;
#[cfg(feature = "spin")]
pub mod fair;
pub mod fault;
#[cfg_attr(terrace_small, path = "fill_small.rs")]
pub(crate) mod fill;
pub(crate) mod flag;
pub(crate) mod granule;
#[cfg(feature = "mpu")]
pub mod guard;
#[cfg_attr(not(terrace_cortex_m), path = "interrupt_none.rs")]
mod interrupt;
pub mod limits;
pub mod lock;
#[cfg(feature = "mpu")]
#[cfg_attr(not(terrace_pmsa), path = "mpu_none.rs")]
pub mod mpu;
#[cfg(target_arch = "x86_64")]
pub(crate) mod prefetch;
#[cfg_attr(terrace_small, path = "shift_small.rs")]
pub(crate) mod shift;
