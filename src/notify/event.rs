//! Events: what a heap has to tell, delivered from `poll`.

use super::{LowMemory, Pressure, load::Load, post::Posting};
use crate::base::fault::{Fault, FaultKind};

/// Something that happened since the last poll. Several alike are told as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// Memory was claimed, or added; `capacity` bytes there are now.
    Claimed {
        /// Bytes that blocks can be made of.
        capacity: usize,
    },
    /// Requests failed.
    Failed {
        /// How many since the last poll.
        count: usize,
        /// The size of the last one, in bytes.
        bytes: usize,
    },
    /// The low-memory callbacks were due.
    LowMemory(LowMemory),
    /// The load is at the low watermark or below it again.
    Recovered(Load),
    /// The host posted this.
    Posted(Pressure),
    /// The host posted that there is plenty of memory.
    Plenty,
    /// A rule of the heap was found broken.
    Fault(Fault),
}

impl Event {
    pub(crate) fn of_post(posting: Posting) -> Event {
        match posting {
            Posting::Pressure(level) => Event::Posted(level),
            Posting::Plenty => Event::Plenty,
        }
    }
}

/// Takes events, one at a time, outside of any lock.
pub type Sink = fn(&Event);

/// A sink that logs events by defmt: faults as errors, failures and low memory as warnings, the rest as information.
/// Feature `defmt`.
#[cfg(feature = "defmt")]
pub fn defmt_sink(event: &Event) {
    match event {
        Event::Fault(_) => defmt::error!("{}", event),
        Event::Failed { .. } | Event::LowMemory(_) => defmt::warn!("{}", event),
        _ => defmt::info!("{}", event),
    }
}

/// What is to be told at the next poll.
pub(crate) struct Journal {
    pub sink: Option<Sink>,
    pub claimed: bool,
    pub recovered: bool,
    /// The first fault: its kind, in a byte beside others, and its address.
    fault_kind: Option<FaultKind>,
    fault_address: usize,
    fault_told: bool,
    /// Failures counted and told.
    pub failures: usize,
    pub failures_told: usize,
    pub last_failed: usize,
}

impl Journal {
    /// Nothing to tell. All of it is zero, so that a static heap lies in `.bss`.
    pub(crate) const EMPTY: Journal = Journal {
        sink: None,
        claimed: false,
        recovered: false,
        fault_kind: None,
        fault_address: 0,
        fault_told: false,
        failures: 0,
        failures_told: 0,
        last_failed: 0,
    };

    /// Notes a failed request.
    pub(crate) fn failed(&mut self, bytes: usize) {
        self.failures = self.failures.wrapping_add(1);
        self.last_failed = bytes;
    }

    /// Notes a broken rule; the first one stays.
    pub(crate) fn faulted(&mut self, fault: Fault) {
        if self.fault_kind.is_none() {
            (self.fault_kind, self.fault_address) = (Some(fault.kind), fault.address);
        }
    }

    /// The first broken rule, if there was one.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault_kind.map(|kind| Fault::new(kind, self.fault_address))
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        let has_fault = self.fault_kind.is_some() && !self.fault_told;
        !(self.claimed || self.recovered || has_fault || self.failures != self.failures_told)
    }

    /// The next thing to tell, besides posts and low memory; `load` is the load now.
    pub(crate) fn next(&mut self, load: Load) -> Option<Event> {
        if core::mem::take(&mut self.claimed) {
            return Some(Event::Claimed {
                capacity: load.capacity,
            });
        }
        if let Some(fault) = self.fault().filter(|_| !self.fault_told) {
            self.fault_told = true;
            return Some(Event::Fault(fault));
        }
        let count = self.failures.wrapping_sub(self.failures_told);
        if count != 0 {
            self.failures_told = self.failures;
            return Some(Event::Failed {
                count,
                bytes: self.last_failed,
            });
        }
        core::mem::take(&mut self.recovered).then_some(Event::Recovered(load))
    }
}
