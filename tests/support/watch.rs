//! A second, simpler watch over the load: what the heap must have noticed when it is polled.

use std::cell::RefCell;

use terrace::{Cause, Event, LowMemory, Pressure, Threshold, Watermarks};

thread_local! {
    static TOLD: RefCell<Vec<LowMemory>> = const { RefCell::new(Vec::new()) };
    static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
}

/// A callback that records what it is told, for this thread.
pub fn record(event: &LowMemory, _: &'static ()) {
    TOLD.with_borrow_mut(|told| told.push(*event));
}

/// A sink that records events, for this thread.
pub fn record_event(event: &Event) {
    EVENTS.with_borrow_mut(|events| events.push(*event));
}

/// What [`record`] was told since the last call.
pub fn told() -> Vec<LowMemory> {
    TOLD.take()
}

/// What [`record_event`] was told since the last call.
pub fn events() -> Vec<Event> {
    EVENTS.take()
}

/// The bytes in use at which `threshold` is reached; none if it is out of range.
pub fn used_at(threshold: Threshold, capacity: usize) -> Option<usize> {
    match threshold {
        Threshold::Percent(percent) => {
            (percent <= 100).then(|| (capacity as u64 * u64::from(percent)).div_ceil(100) as usize)
        }
        Threshold::BytesFree(bytes) => capacity.checked_sub(bytes),
    }
}

/// The bytes in use at which both of `watermarks` are reached; none if they are not to be accepted.
pub fn limits(watermarks: Watermarks, capacity: usize) -> Option<(usize, usize)> {
    let (high, low) = (used_at(watermarks.high, capacity)?, used_at(watermarks.low, capacity)?);
    (low < high).then_some((high, low))
}

/// The watch. It sees every change of the load, one operation at a time.
#[derive(Clone, Debug)]
pub struct Watch {
    watermarks: Watermarks,
    high: usize,
    low: usize,
    /// None after an operation within which the heap may or may not have seen a load above the high watermark.
    armed: Option<bool>,
    due: Option<(Pressure, Cause)>,
    /// Whether all that was raised since the last poll is known.
    sure: bool,
    /// How often callbacks became due.
    pub count: u32,
}

impl Watch {
    /// The watch of a heap that has just claimed `capacity` bytes.
    pub fn new(capacity: usize) -> Watch {
        let (high, low) = limits(Watermarks::DEFAULT, capacity).unwrap();
        Watch {
            watermarks: Watermarks::DEFAULT,
            high,
            low,
            armed: Some(true),
            due: None,
            sure: true,
            count: 0,
        }
    }

    /// New watermarks are a new watch, if they are to be accepted.
    pub fn set(&mut self, watermarks: Watermarks, capacity: usize, used: usize) -> bool {
        let Some((high, low)) = limits(watermarks, capacity) else {
            return false;
        };
        (self.watermarks, self.high, self.low) = (watermarks, high, low);
        self.armed = Some(true);
        self.see(used);
        true
    }

    /// A new capacity moves the watermarks and leaves the watch as it is.
    pub fn resize(&mut self, capacity: usize) {
        if limits(self.watermarks, capacity).is_none() {
            self.watermarks = Watermarks::DEFAULT;
        }
        (self.high, self.low) = limits(self.watermarks, capacity).unwrap();
    }

    /// The watermarks in force.
    pub fn watermarks(&self) -> Watermarks {
        self.watermarks
    }

    /// The load after an operation.
    pub fn see(&mut self, used: usize) {
        if used <= self.low {
            self.armed = Some(true);
        } else if used >= self.high && self.armed == Some(true) {
            self.armed = Some(false);
            self.raise(Pressure::Moderate, Cause::Watermark);
        }
    }

    /// A load that was there only within an operation: the heap may have seen it or not.
    pub fn may_see(&mut self, used: usize) {
        if used >= self.high && self.armed != Some(false) {
            (self.armed, self.sure) = (None, false);
        }
    }

    /// The callbacks become due.
    pub fn raise(&mut self, level: Pressure, cause: Cause) {
        if self.due.is_none() {
            self.count = self.count.wrapping_add(1);
        }
        if self.due.is_none_or(|(due, _)| due < level) {
            self.due = Some((level, cause));
        }
    }

    /// What the callbacks are to be told at a poll now; none if that is not known. `count` is what the heap counted.
    pub fn take(&mut self, count: u32) -> Option<Option<(Pressure, Cause)>> {
        let due = self.due.take();
        let sure = self.sure;
        self.sure = self.armed.is_some();
        if !sure {
            self.count = count;
        }
        sure.then_some(due)
    }
}
