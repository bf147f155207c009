//! Layer 4: the load of the heap and who is told about it.
//!
//! ```text
//!   allocation, failure ---> Watch ----.
//!   post() from interrupts -> Posted --+--> due --> poll(): callbacks, events
//! ```
//!
//! Noticing and telling are apart: an operation of the heap only notes that something is due. The callbacks run from
//! [`Heap::poll`](crate::Heap::poll), which the host calls where it is ready for them: never inside an allocation, a
//! lock or an interrupt.
//!
//! Source: seed `000_14978f4eafed0bf6.txt` (a flag raised by the collector and reset where the callback runs);
//! seed `003_406b49dbc1d5ad59.txt` (callbacks keyed by function and data; levels of pressure).

pub mod budget;
pub mod event;
pub mod external;
pub mod handler;
pub mod load;
pub(crate) mod post;
pub mod table;
pub mod waker;
pub mod watch;

use load::Load;

/// How pressing it is. Ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Pressure {
    /// No pressure.
    #[default]
    None = 0,
    /// Free what is easily had again, such as caches.
    Moderate = 1,
    /// Free whatever can be freed.
    Critical = 2,
}

impl Pressure {
    pub(crate) fn from_bits(bits: u32) -> Pressure {
        match bits {
            0 => Pressure::None,
            1 => Pressure::Moderate,
            _ => Pressure::Critical,
        }
    }
}

/// Why the low-memory callbacks run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Cause {
    /// The load reached the high watermark, or the soft limit of [`Heap::set_limits`](crate::Heap::set_limits).
    Watermark,
    /// A request of so many bytes failed.
    Failure {
        /// The size of the last request that failed, in bytes.
        bytes: usize,
    },
    /// The host posted it.
    Posted,
    /// So many bytes are needed outside of the heap, as [`Heap::needs`](crate::Heap::needs) was told.
    External {
        /// How many.
        bytes: usize,
    },
}

/// What a low-memory callback is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LowMemory {
    /// [`Pressure::Moderate`] at the watermark, [`Pressure::Critical`] after a failure, and as posted otherwise.
    pub level: Pressure,
    /// Why.
    pub cause: Cause,
    /// The load when it was noticed, which may be higher than it is now.
    pub load: Load,
    /// How often this has happened, this time included; wraps.
    pub count: u32,
}
