//! The segments of an arena and the gaps in them, for whoever looks at them.

use core::fmt;

use super::brand::{Brand, Main};
use super::cx::{Cx, Generation};
use crate::base::granule::GRANULE;
use crate::gc::segment::Segment;

impl<A: Brand> Cx<A> {
    /// The segments, in ascending order. Nothing can be allocated meanwhile. O(segments + bricks + gaps) in all.
    pub fn segments(&mut self) -> Segments<'_, A> {
        Segments { cx: self, at: 0 }
    }

    /// The gaps that objects can be allocated in, in order of the segments. Nothing can be allocated meanwhile. What is left
    /// of the gap that objects are being allocated in is not among them, nor are gaps of less than 32 bytes. O(gaps).
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// arena.enter(|cx| {
    ///     let kept = cx.new::<[u32; 16]>(|_| [0; 16]).unwrap();
    ///     cx.collect(Generation::Young);
    ///     let free: usize = cx.gaps().map(|gap| gap.bytes).sum();
    ///     let segment = cx.segments().next().unwrap();
    ///     assert_eq!((segment.gaps, segment.free), (1, free));
    ///     assert_eq!(segment.live + free, segment.bytes);
    ///     # drop(kept);
    /// });
    /// ```
    pub fn gaps(&mut self) -> Gaps<'_, A> {
        Gaps { cx: self, rest: None }
    }
}

/// A segment: a block of the heap that objects lie in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Where it starts.
    pub address: usize,
    /// How long it is.
    pub bytes: usize,
    /// The generation that the old objects in it belong to.
    pub generation: Generation,
    /// It holds a single object, which does not move.
    pub is_large: bool,
    /// It is for objects that are pinned from birth.
    pub is_pinned: bool,
    /// Bytes of objects that the last collection found alive.
    pub live: usize,
    /// Bytes in gaps that objects can be allocated in.
    pub free: usize,
    /// How many such gaps.
    pub gaps: usize,
    /// Bytes of the largest one.
    pub largest_gap: usize,
}

impl fmt::Display for SegmentInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:#010x} {:>8} bytes  {:<6} {:>8} live {:>8} free in {} gaps, at most {}",
            self.address,
            self.bytes,
            self.generation.name(),
            self.live,
            self.free,
            self.gaps,
            self.largest_gap
        )?;
        f.write_str(match (self.is_large, self.is_pinned) {
            (true, _) => ", large",
            (_, true) => ", pinned",
            _ => "",
        })
    }
}

/// The segments of an arena, from [`Cx::segments`].
pub struct Segments<'c, A = Main> {
    /// Exclusive, so that lists of gaps do not change.
    cx: &'c mut Cx<A>,
    /// The next segment ends behind this position.
    at: u32,
}

impl<A: Brand> Iterator for Segments<'_, A> {
    type Item = SegmentInfo;

    fn next(&mut self) -> Option<SegmentInfo> {
        let collector = self.cx.collector();
        let segment = collector.segment_behind(self.at)?;
        self.at = segment.end;
        let gaps = collector.gaps_of(&segment);
        Some(SegmentInfo {
            address: collector.space.at(segment.start) as usize,
            bytes: segment.granules() as usize * GRANULE,
            generation: Generation::from_index(segment.generation),
            is_large: segment.is_large,
            is_pinned: segment.is_pinned,
            live: collector.live_between(segment.start, segment.end) as usize * GRANULE,
            free: segment.free as usize * GRANULE,
            gaps: gaps.count,
            largest_gap: gaps.largest as usize * GRANULE,
        })
    }
}

/// A gap between objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct GapInfo {
    /// Where it starts.
    pub address: usize,
    /// How long it is.
    pub bytes: usize,
}

/// The gaps of an arena, from [`Cx::gaps`].
pub struct Gaps<'c, A = Main> {
    /// Exclusive, so that lists of gaps do not change.
    cx: &'c mut Cx<A>,
    /// A copy of the segment with the gaps that are left.
    rest: Option<Segment>,
}

impl<A: Brand> Iterator for Gaps<'_, A> {
    type Item = GapInfo;

    fn next(&mut self) -> Option<GapInfo> {
        let collector = self.cx.collector();
        loop {
            if let Some(gap) = self.rest.as_mut().and_then(|rest| collector.next_gap(rest)) {
                return Some(GapInfo {
                    address: collector.space.at(gap.position) as usize,
                    bytes: gap.granules as usize * GRANULE,
                });
            }
            let at = self.rest.map_or(0, |segment| segment.end);
            self.rest = Some(collector.segment_behind(at)?);
        }
    }
}
