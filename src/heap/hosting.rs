//! What a heap knows of the host that its memory comes from, and when it asks it for what.
//!
//! ```text
//!   start                      committed                       reserved
//!   | step | step | step | step |      |      |      |      |      |
//!                     tail free       <- a step more, when a request finds no room
//! ```
//!
//! The boundary moves in two halves: under the lock it is decided what is to be done, then the host is asked outside of it, and what
//! came of it is noted under the lock again. Meanwhile the hosting is *busy*, and nobody else moves the boundary. Memory that is to
//! go is cut off the region in the first half, so that nobody has it when it goes; memory that has come joins it in the second.

use core::ptr::NonNull;

use super::rescue::Request;
use super::side::Side;
use super::stats::HostStats;
use super::{All, Shared};
use crate::base::granule::{GRANULE, GRANULE_SHIFT, granules};
use crate::region::Region;
use crate::region::host::{Contents, HostError, HostMemory};

/// Gives back what is free at the end of the host's memory; tells whether there was anything.
///
/// # Safety
/// The pointer is that of the heap that the function was made for. No lock is held.
pub(super) type GiveBack = unsafe fn(heap: *const ()) -> bool;

/// The host of the first span.
///
/// **Invariant `HOSTED`**: the first span starts at `start`; of the `reserved` bytes from there on, which the host has reserved for
/// this heap, the first `committed` are committed, and the region ends where these end, or before if part of them is on its way out.
/// If not `busy`, no call for them is under way.
pub(super) struct Hosting {
    pub host: &'static dyn HostMemory,
    pub start: NonNull<u8>,
    pub give_back: GiveBack,
    /// Bytes that stay committed.
    pub least: usize,
    /// Bytes that stay free when memory is given back, in percent of those in use.
    pub slack: u8,
    pub busy: bool,
    pub stats: HostStats,
}

/// What has to be done before a request is tried again.
pub(super) enum Order {
    /// Nothing helps.
    Stop,
    /// Nothing: there is room now.
    Retry,
    /// To wait for another one.
    Wait(&'static dyn HostMemory),
    /// To commit this.
    Commit(Part),
}

/// A part of the reservation whose state is being changed.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub host: &'static dyn HostMemory,
    pub range: NonNull<[u8]>,
}

impl Side {
    pub(super) fn host_stats(&self) -> HostStats {
        self.hosting
            .as_ref()
            .map_or(HostStats::default(), |hosting| hosting.stats)
    }
}

impl Hosting {
    /// The bytes from `from` to `to`.
    fn part(&self, from: usize, to: usize) -> Part {
        // SAFETY: HOSTED: the reservation is longer, so this does not leave it.
        let start = unsafe { self.start.add(from) };
        Part {
            host: self.host,
            range: NonNull::slice_from_raw_parts(start, to - from),
        }
    }

    /// The first boundary at or behind so many bytes, or the end of the reservation.
    pub(super) fn boundary(&self, bytes: usize) -> usize {
        let up = bytes.checked_next_multiple_of(self.host.step());
        up.map_or(self.stats.reserved, |up| up.min(self.stats.reserved))
    }

    fn note(&mut self, error: HostError) {
        let count = match error {
            HostError::Denied { .. } => &mut self.stats.denied,
            HostError::OutOfMemory { .. } => &mut self.stats.out_of_memory,
            HostError::Failed { .. } | HostError::Unsupported => &mut self.stats.failed,
        };
        *count = count.wrapping_add(1);
    }
}

/// How often it is tried with a larger block, and one more: a request's progress is its round, and so many for each time that it was
/// tried again because there was room.
const ROUNDS: usize = 4;

/// How often a request may find that somebody else has had the room that there was.
const RETRIES: usize = 100;

/// How large the free block at the region's end is to become for a request that `n` granules hold wherever they lie; nothing if that
/// does not help any more.
///
/// A block of `n` should do. Where it does not, as which blocks are looked at depends on their class, a larger one will.
fn wanted(region: &Region, n: usize, round: usize) -> Option<usize> {
    let possible = (region.reserved() - region.granules() + region.tail()) as usize;
    match round {
        0 => Some(n).filter(|n| *n <= possible),
        1 => Some(n.saturating_add(n / 4 + 1).min(possible)),
        2 => Some(n.saturating_mul(2).min(possible)),
        _ => None,
    }
}

impl Shared {
    /// Takes the host, and the region, apart from the rest.
    pub(super) fn hosting(&mut self) -> Option<(&mut Hosting, &mut Region)> {
        // SAFETY: SIDE: the side lives in a block that nobody else has, so it is apart from the region's fields; the exclusive
        // reference to the shared part makes both exclusive.
        let side = unsafe { self.side?.as_mut() };
        Some((side.hosting.as_mut()?, &mut self.pool.region))
    }

    /// What has to be done for a request that there was no room for, while contexts hold `idle` bytes. If it is to commit something,
    /// the hosting is busy until [`Shared::end_commit`].
    pub(super) fn begin_commit(&mut self, request: Request, idle: usize, progress: &mut usize) -> Order {
        let n = granules(request.bytes);
        // What must be left free does not become less by what comes.
        let left = self.free(idle).checked_sub(n.saturating_mul(GRANULE));
        let is_within = left.is_some_and(|left| left >= self.floor_of(request.criticality));
        let Some((hosting, region)) = self.hosting() else {
            return Order::Stop;
        };
        if hosting.busy {
            return Order::Wait(hosting.host);
        }
        if !is_within {
            return Order::Stop;
        }
        let n_anywhere = n.saturating_add((request.align >> GRANULE_SHIFT).saturating_sub(1));
        // Others may have given room, and may take it again: that is theirs to win a number of times, but not for ever.
        if n <= region.granules() as usize && region.has_room(n as u32, request.align) {
            *progress += ROUNDS;
            return if *progress < RETRIES * ROUNDS {
                Order::Retry
            } else {
                Order::Stop
            };
        }
        let tail = region.tail() as usize;
        while let Some(wanted) = wanted(region, n_anywhere, *progress % ROUNDS) {
            if tail < wanted {
                let needed = region.bytes_to(region.granules() as usize - tail + wanted);
                let to = hosting.boundary(needed);
                hosting.busy = true;
                return Order::Commit(hosting.part(hosting.stats.committed, to));
            }
            *progress += 1;
        }
        Order::Stop
    }

    /// Takes note of what came of committing a part, and makes it the region's.
    pub(super) fn end_commit<L, const CONTEXTS: usize>(
        &mut self,
        all: &mut All<'_, L, CONTEXTS>,
        part: Part,
        result: Result<Contents, HostError>,
    ) {
        let Some((hosting, region)) = self.hosting() else {
            return;
        };
        hosting.busy = false;
        match result {
            Ok(contents) => {
                hosting.stats.commits = hosting.stats.commits.wrapping_add(1);
                hosting.stats.committed += part.range.len();
                let to = region.granules_in(hosting.stats.committed);
                self.grow(all, to, contents == Contents::Zeroed);
            }
            Err(error) => hosting.note(error),
        }
    }

    /// Cuts off what can be given back; the hosting is busy then until [`Shared::end_decommit`]. Nothing if there is nothing.
    pub(super) fn begin_decommit<L, const CONTEXTS: usize>(&mut self, all: &mut All<'_, L, CONTEXTS>) -> Option<Part> {
        let (hosting, region) = self.hosting()?;
        if hosting.busy || hosting.slack == u8::MAX {
            return None;
        }
        let used = (region.granules() - region.free()) as usize;
        let slack = used / 100 * usize::from(hosting.slack) + used % 100 * usize::from(hosting.slack) / 100;
        let surplus = (region.free() as usize).saturating_sub(slack);
        let cut = surplus.min(region.tail() as usize);
        let least = region.bytes_to(region.granules() as usize - cut).max(hosting.least);
        let (to, committed) = (hosting.boundary(least), hosting.stats.committed);
        if to >= committed {
            return None;
        }
        let part = hosting.part(to, committed);
        hosting.busy = true;
        let (old, granules) = (region.granules(), region.granules_in(to));
        // SAFETY: what goes is part of the free block at the end: the boundary is not before the rest of that.
        unsafe { region.shrink(granules) };
        self.follow_resize(all, granules as isize - old as isize);
        Some(part)
    }

    /// Takes note of what came of giving a part back; what the host does not take is the region's again.
    pub(super) fn end_decommit<L, const CONTEXTS: usize>(
        &mut self,
        all: &mut All<'_, L, CONTEXTS>,
        part: Part,
        result: Result<(), HostError>,
    ) {
        let Some((hosting, region)) = self.hosting() else {
            return;
        };
        hosting.busy = false;
        match result {
            Ok(()) => {
                hosting.stats.decommits = hosting.stats.decommits.wrapping_add(1);
                hosting.stats.committed -= part.range.len();
            }
            Err(error) => {
                hosting.note(error);
                let to = region.granules_in(hosting.stats.committed);
                self.grow(all, to, false);
            }
        }
    }

    /// Makes the first span as long as its committed part.
    fn grow<L, const CONTEXTS: usize>(&mut self, all: &mut All<'_, L, CONTEXTS>, granules: u32, zeroed: bool) {
        let region = &mut self.pool.region;
        let old = region.granules();
        if granules > old {
            // SAFETY: HOSTED: all of what comes is committed, and nobody has it.
            unsafe { region.grow(granules, zeroed) };
            self.follow_resize(all, granules as isize - old as isize);
        }
    }

    /// Follows a change of the first span's length.
    fn follow_resize<L, const CONTEXTS: usize>(&mut self, all: &mut All<'_, L, CONTEXTS>, change: isize) {
        let grant = self.pool.resized(CONTEXTS as u8, change);
        self.set_floor();
        self.set_alarm();
        all.each(|context| {
            context.regrant(grant);
            self.pool.settle(context);
        });
    }
}
