//! Limits of what a heap or an arena uses.

use core::fmt;

/// How many bytes may be in use, and how many should be; `None` sets no limit.
///
/// Source: seed `001_f38423a55030a0f1.txt`, the minimum and maximum memory settings of its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// From so many bytes on, something is done to use less. Below `hard`.
    pub soft: Option<usize>,
    /// More is not given out: the request fails. From 1 to all there are.
    pub hard: Option<usize>,
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits { soft: None, hard: None };

    /// Whether they are limits of something that has `capacity` bytes.
    ///
    /// # Errors
    /// `OutOfRange`, `Crossed`.
    pub(crate) fn check(&self, capacity: usize) -> Result<(), LimitError> {
        for limit in [self.soft, self.hard].into_iter().flatten() {
            if limit == 0 || limit > capacity {
                return Err(LimitError::OutOfRange { limit, capacity });
            }
        }
        match (self.soft, self.hard) {
            (Some(soft), Some(hard)) if soft >= hard => Err(LimitError::Crossed { soft, hard }),
            _ => Ok(()),
        }
    }
}

/// Why limits were refused. The old ones stay. All in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LimitError {
    /// A limit is 0, or more than there is.
    OutOfRange {
        /// The limit.
        limit: usize,
        /// All there is.
        capacity: usize,
    },
    /// The soft limit is not below the hard one.
    Crossed {
        /// The soft limit.
        soft: usize,
        /// The hard limit.
        hard: usize,
    },
    /// The reserves for critical requests do not fit below the hard limit.
    BelowReserve {
        /// The hard limit.
        hard: usize,
        /// All reserves.
        reserves: usize,
    },
    /// There is no memory to keep the limits in.
    OutOfMemory {
        /// What would be needed.
        requested: usize,
    },
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitError::OutOfRange { limit, capacity } => {
                write!(f, "a limit of {limit} bytes is not one for a capacity of {capacity}")
            }
            LimitError::Crossed { soft, hard } => {
                write!(f, "the soft limit ({soft} bytes) is not below the hard one ({hard})")
            }
            LimitError::BelowReserve { hard, reserves } => {
                write!(
                    f,
                    "reserves of {reserves} bytes do not fit below the hard limit ({hard})"
                )
            }
            LimitError::OutOfMemory { requested } => write!(f, "no room for {requested} bytes to keep the limits in"),
        }
    }
}

impl core::error::Error for LimitError {}
