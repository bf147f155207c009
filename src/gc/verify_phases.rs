//! Verification within a collection, after each phase. Feature `check`.
//!
//! A broken rule ends the program: a collection aborts on panics.

use super::Collector;
use super::brick::Forward;
use super::object;
use super::verify::{ArenaFaultKind, Found};

impl Collector {
    /// After the mark phase, and after objects have moved: what is live is whole, and refers to what is.
    pub(super) fn verify_live(&self) {
        let is_live = |position: u32| {
            // SAFETY: SPACE: a position of a segment.
            self.holder(position).is_some() && unsafe { self.space.is_live(position) }
        };
        let found = self.verify_segments().and_then(|()| {
            self.verify_objects()?;
            for (_, position) in self.handles.iter() {
                self.require(is_live(position), ArenaFaultKind::Handle, position)?;
            }
            self.verify_slots(is_live)
        });
        demand(found);
    }

    /// After the plan phase: each object has a place that is its alone, in order, and what is pinned stays.
    pub(super) fn verify_plan(&self, generation: u8) {
        demand(self.verify_fills().and_then(|()| self.verify_forward(generation)));
    }

    /// After everything.
    pub(super) fn verify_all(&self) {
        demand(self.verify());
    }

    /// Verifies that what will be filled lies in segments, and apart.
    fn verify_fills(&self) -> Found {
        let fills = self.fills.as_slice();
        for (index, fill) in fills.iter().enumerate() {
            let segment = self.holder(fill.start);
            let is_inside = segment.is_some_and(|segment| fill.start < fill.end && fill.end <= segment.end);
            let is_apart = |other: &super::plan::Range| other.end <= fill.start || fill.end <= other.start;
            let is_sound = is_inside && fills[..index].iter().all(is_apart);
            self.require(is_sound, ArenaFaultKind::Plan, fill.start)?;
        }
        Ok(())
    }

    /// Verifies that objects go side by side to what will be filled, and fill it.
    fn verify_forward(&self, generation: u8) -> Found {
        let forward = Forward::new(self.turns.as_slice());
        let (fills, pins) = (self.fills.as_slice(), self.pins.as_slice());
        let (mut next, mut end, mut started, mut granules) = (0, 0, 0, 0);
        for segment in self.segments.as_slice() {
            let mut at = segment.start;
            while segment.is_compactable(generation)
                && let Some(position) = self.next_old(segment, at)
            {
                // SAFETY: LIVE, BRICK: a marked object starts there, and the plan is made.
                let (to, size) = unsafe {
                    (
                        forward.position(&self.space, position),
                        object::size(self.space.at(position)),
                    )
                };
                at = position + size;
                granules += size;
                if pins.iter().any(|pin| pin.start == position) {
                    let stays = to == position && fills.iter().any(|fill| fill.start == to && fill.end == at);
                    self.require(stays, ArenaFaultKind::Plan, position)?;
                    started += 1;
                    continue;
                }
                if to != next || to == end {
                    let fill = fills.iter().find(|fill| fill.start == to);
                    end = fill.map_or(0, |fill| fill.end);
                    started += 1;
                }
                next = to + size;
                self.require(next <= end, ArenaFaultKind::Plan, position)?;
            }
        }
        let filled: u32 = fills.iter().map(|fill| fill.end - fill.start).sum();
        self.require(started == fills.len() && filled == granules, ArenaFaultKind::Plan, 0)
    }
}

fn demand(found: Found) {
    if let Err(fault) = found {
        panic!("{fault}");
    }
}
