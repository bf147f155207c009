//! Statistics, as numbers and as text.

use core::fmt;

use crate::native::pool::Steps;
use crate::notify::load::Load;

/// A snapshot of a heap's figures. Counters wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Stats {
    /// Bytes that blocks can be made of, in all spans, with what a host may commit yet.
    pub capacity: usize,
    /// Bytes in blocks that are in use, rounded up to granules of 8 bytes.
    pub used: usize,
    /// Bytes that are not in use: in the buckets, in caches or in the rests of chunks.
    pub free: usize,
    /// Bytes of `capacity` that no memory was committed for; 0 without a host.
    pub uncommitted: usize,
    /// Bytes of `free` that caches and chunks hold, ready for small requests; [`Heap::trim`](crate::Heap::trim) gives
    /// them back.
    pub idle: usize,
    /// Bytes of the largest free block: the largest request that can be served.
    pub largest_free: usize,
    /// The most bytes that were ever out of the buckets, in use or idle.
    pub peak: usize,
    /// Bytes of `used` that arenas hold in segments and tables.
    pub managed: usize,
    /// Bytes in use outside of the heap, as [`Heap::acquired`](crate::Heap::acquired) was told.
    pub external: usize,
    /// Bytes of bookkeeping inside the spans.
    pub bookkeeping: usize,
    /// Spans.
    pub spans: usize,
    /// Requests served.
    pub allocations: usize,
    /// Requests of those that a cache served.
    pub cache_hits: usize,
    /// How the others were served.
    pub steps: Steps,
    /// Requests that failed.
    pub failures: usize,
    /// The size of the last request that failed, in bytes.
    pub last_failed: usize,
    /// Requests that a reserve or the host denied; those of [`Heap::allocate_critical`](crate::Heap::allocate_critical) that a
    /// reserve did are among the failed ones, too.
    pub denied: usize,
    /// How often the low-memory callbacks became due.
    pub low_memory: u32,
    /// The bytes in use when they became due last; 0 if they never did.
    pub low_memory_used: usize,
    /// What the host's memory manager was asked for, if there is one.
    pub host: HostStats,
}

/// What a heap has had of its [`HostMemory`](crate::HostMemory). Counters wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct HostStats {
    /// Bytes of addresses.
    pub reserved: usize,
    /// Bytes of memory, bookkeeping among them.
    pub committed: usize,
    /// How often memory was committed for a request that there was no room for.
    pub commits: usize,
    /// How often memory was given back.
    pub decommits: usize,
    /// How often the host denied.
    pub denied: usize,
    /// How often the host had no memory.
    pub out_of_memory: usize,
    /// How often the host failed, or does not do what it was asked for.
    pub failed: usize,
}

impl Stats {
    /// The load.
    pub const fn load(&self) -> Load {
        Load {
            used: self.used,
            capacity: self.capacity,
        }
    }

    /// How much of the free memory is not in the largest free block, in percent: 0 if all of it is in one.
    pub const fn fragmentation(&self) -> u8 {
        if self.free == 0 {
            return 0;
        }
        100 - (self.largest_free as u64 * 100 / self.free as u64) as u8
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, value: usize| writeln!(f, "  {name:<14}{value:>10}");
        writeln!(f, "load {}", self.load())?;
        row(f, "free", self.free)?;
        row(f, "  idle", self.idle)?;
        row(f, "  largest", self.largest_free)?;
        row(f, "peak", self.peak)?;
        row(f, "bookkeeping", self.bookkeeping)?;
        if self.host.reserved != 0 {
            row(f, "committed", self.host.committed)?;
            row(f, "  commits", self.host.commits)?;
            row(f, "  decommits", self.host.decommits)?;
        }
        row(f, "allocations", self.allocations)?;
        row(f, "  cached", self.cache_hits)?;
        row(f, "  bumped", self.steps.bumped)?;
        row(f, "  refills", self.steps.refills)?;
        row(f, "  direct", self.steps.direct)?;
        row(f, "failures", self.failures)?;
        write!(f, "  {:<14}{:>10}", "low memory", self.low_memory)
    }
}
