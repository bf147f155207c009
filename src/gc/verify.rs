//! Verification of an arena: every header, live bit, slot, handle and gap against what the collector relies on.
//!
//! Nothing is believed before it was looked at: headers come first, then what they say of sizes and slots. So memory that was
//! overwritten is reported, and not followed out of the arena.

use core::fmt;

use super::Collector;
use super::card;
use super::object::{self, Descriptor};
use super::plan::index_of;
use super::segment::Segment;
use super::space::BRICK_SHIFT;
use super::walk::each_reference;
use crate::base::granule::{GRANULE, GRANULE_SHIFT};

/// A rule of an arena that was found broken, with the address of the evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArenaFault {
    /// What is wrong.
    pub kind: ArenaFaultKind,
    /// Where: the address of the object or the segment concerned.
    pub address: usize,
}

/// The kinds of [`ArenaFault`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ArenaFaultKind {
    /// A segment overlaps another one, or does not lie in the span.
    Segment,
    /// The object's header is none.
    Header,
    /// The object's length leads out of its segment, or beyond what the live bits say.
    Size,
    /// A slot of the object leads to where no object is.
    Slot,
    /// A handle leads to where no object is; the address is that.
    Handle,
    /// The list of the segment's gaps leads to what is no gap.
    Gap,
    /// The unused memory that objects are made in is not the segment's, or is in use.
    Context,
    /// The collector has not forgotten where an object was to move.
    Brick,
    /// An object was to move to a place that is not its alone. Found within collections, under feature `check`.
    Plan,
}

impl fmt::Display for ArenaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ArenaFaultKind::Segment => "wrong place of the segment",
            ArenaFaultKind::Header => "overwritten header of the object",
            ArenaFaultKind::Size => "wrong length of the object",
            ArenaFaultKind::Slot => "slot that leads to no object in the object",
            ArenaFaultKind::Handle => "handle of no object, which should lie",
            ArenaFaultKind::Gap => "broken list of gaps in the segment",
            ArenaFaultKind::Context => "wrong place to make objects in, which begins",
            ArenaFaultKind::Brick => "plan that was not forgotten for the brick",
            ArenaFaultKind::Plan => "wrong plan for the object",
        };
        write!(f, "{what} at {:#x}", self.address)
    }
}

impl core::error::Error for ArenaFault {}

/// What has been found.
pub(super) type Found = Result<(), ArenaFault>;

/// Descriptors lie in the program's read-only data, so not farther apart than this.
const IMAGE: usize = if cfg!(target_pointer_width = "64") {
    16 << 20
} else {
    4 << 20
};

/// Nothing lies below, but for firmware.
const LOWEST: usize = if cfg!(target_os = "none") { 1 } else { 1 << 16 };

static ANCHOR: Descriptor = Descriptor::of::<()>(None, None, None);

impl Collector {
    /// Verifies everything, but for young objects, which only those know who refer to them. O(objects + slots + bricks).
    pub(crate) fn verify(&self) -> Found {
        self.verify_segments()?;
        self.verify_objects()?;
        for segment in self.segments.as_slice() {
            self.verify_gaps(segment)?;
            self.verify_bricks(segment)?;
        }
        self.verify_context()?;
        for (_, position) in self.handles.iter() {
            self.require(self.leads_to_object(position), ArenaFaultKind::Handle, position)?;
        }
        self.verify_slots(|position| self.leads_to_object(position))
    }

    pub(super) fn require(&self, holds: bool, kind: ArenaFaultKind, position: u32) -> Found {
        if holds {
            return Ok(());
        }
        let address = self.space.at(position) as usize;
        Err(ArenaFault { kind, address })
    }

    pub(super) fn verify_segments(&self) -> Found {
        let mut end = 0;
        for segment in self.segments.as_slice() {
            let is_sound = end <= segment.start && segment.start < segment.end && segment.end <= self.space.end();
            self.require(is_sound, ArenaFaultKind::Segment, segment.start)?;
            end = segment.end;
        }
        Ok(())
    }

    /// Verifies headers, lengths and live bits of the objects that have such.
    pub(super) fn verify_objects(&self) -> Found {
        for segment in self.segments.as_slice() {
            let mut at = segment.start;
            while let Some(position) = self.next_old(segment, at) {
                let sound = self.has_sound_header(position);
                self.require(sound, ArenaFaultKind::Header, position)?;
                // SAFETY: SPACE: positions of the segment; the header is that of an object.
                let is_whole = unsafe {
                    let size = self.size_within(position, segment);
                    at = position + size;
                    size != 0 && self.space.find(position, at, false) == at
                };
                self.require(is_whole, ArenaFaultKind::Size, position)?;
            }
        }
        Ok(())
    }

    /// Whether a descriptor's address lies at a position, as far as can be told. It is looked into only if it is near others.
    fn has_sound_header(&self, position: u32) -> bool {
        // SAFETY: SPACE: a position of a segment, which starts with a word that was written.
        let descriptor = unsafe { *self.space.at(position).cast::<*const Descriptor>() };
        let is_near = (descriptor as usize).abs_diff(&raw const ANCHOR as usize) < IMAGE;
        let in_heap = self.space.offset(descriptor as usize).is_some();
        // SAFETY: an aligned address in the program's data, or next to it.
        is_near
            && descriptor as usize >= LOWEST
            && !in_heap
            && descriptor.is_aligned()
            && unsafe { (*descriptor).is_sound() }
    }

    /// Granules of an object; 0 if it does not end in the segment.
    ///
    /// # Safety
    /// A sound header lies there.
    unsafe fn size_within(&self, position: u32, segment: &Segment) -> u32 {
        let object = self.space.at(position);
        let room = ((segment.end - position) as usize) << GRANULE_SHIFT;
        // SAFETY: the caller's; a slice is not measured before its length is known to be possible.
        unsafe {
            let descriptor = object::descriptor(object);
            let is_slice = descriptor.is_slice();
            if is_slice && object::len(object).saturating_mul(descriptor.element()) > room {
                return 0;
            }
            let size = object::size(object);
            if (size as usize) << GRANULE_SHIFT <= room {
                size
            } else {
                0
            }
        }
    }

    /// Verifies the slots of objects whose headers are sound.
    pub(super) fn verify_slots(&self, is_target: impl Fn(u32) -> bool) -> Found {
        for segment in self.segments.as_slice() {
            let mut at = segment.start;
            while let Some(position) = self.next_old(segment, at) {
                let mut sound = true;
                // SAFETY: OBJECT: the header was verified; a slot that leads nowhere is not followed.
                unsafe {
                    each_reference(self.space, position, |target| sound &= is_target(target));
                    at = position + object::size(self.space.at(position));
                }
                self.require(sound, ArenaFaultKind::Slot, position)?;
            }
        }
        Ok(())
    }

    /// The segment that holds a position, whatever that is.
    pub(super) fn holder(&self, position: u32) -> Option<&Segment> {
        let segments = self.segments.as_slice();
        let segment = segments.get(index_of(segments, position))?;
        (segment.start <= position).then_some(segment)
    }

    /// Whether an old object starts at a position, or a young one may. The headers of old ones are sound.
    fn leads_to_object(&self, position: u32) -> bool {
        let Some(segment) = self.holder(position) else {
            return false;
        };
        // SAFETY: SPACE, LIVE, FIRST: positions of a segment; the walk goes from an old object to the next.
        unsafe {
            if !self.space.is_live(position) {
                return segment.is_touched || segment.is_pinned && !segment.is_large;
            }
            let mut at = card::start_of_walk(&self.space, segment, position >> BRICK_SHIFT);
            while let Some(start) = self.next_old(segment, at).filter(|start| *start < position) {
                at = start + object::size(self.space.at(start));
            }
            self.next_old(segment, at) == Some(position)
        }
    }

    fn verify_gaps(&self, segment: &Segment) -> Found {
        let (mut at, mut left) = (segment.gaps, segment.free);
        while at != 0 {
            let is_inside = segment.start <= at && at < segment.end;
            self.require(is_inside, ArenaFaultKind::Gap, segment.start)?;
            // SAFETY: SPACE: a position of the segment, where a gap starts with two words.
            let [next, granules] = unsafe { *self.space.at(at).cast::<[u32; 2]>() };
            let fits = granules != 0 && granules <= left && granules <= segment.end - at;
            // SAFETY: SPACE: positions of the segment.
            let is_empty = fits && unsafe { self.space.find(at, at + granules, true) } == at + granules;
            self.require(is_empty, ArenaFaultKind::Gap, segment.start)?;
            left -= granules;
            at = next;
        }
        self.require(left == 0, ArenaFaultKind::Gap, segment.start)
    }

    fn verify_bricks(&self, segment: &Segment) -> Found {
        for brick in segment.start >> BRICK_SHIFT..segment.end >> BRICK_SHIFT {
            // SAFETY: SPACE: the entries of a segment's bricks exist.
            let is_forgotten = unsafe { *self.space.bricks.add(brick as usize) } == 0;
            self.require(is_forgotten, ArenaFaultKind::Brick, brick << BRICK_SHIFT)?;
        }
        Ok(())
    }

    fn verify_context(&self) -> Found {
        let rest = self.context.rest();
        if rest == 0 {
            return Ok(());
        }
        let start = self.space.position(self.context.next);
        let end = start.saturating_add((rest / GRANULE) as u32);
        let segment = self
            .holder(start)
            .filter(|segment| end <= segment.end && segment.is_touched);
        // SAFETY: SPACE: positions of a segment.
        let is_free = segment.is_some() && unsafe { self.space.find(start, end, true) } == end;
        self.require(is_free, ArenaFaultKind::Context, start)
    }
}
