//! The parsed documents, by name.

use alloc::{collections::BTreeMap, string::String};
use core::cell::Cell;

use critical_section::Mutex;
use serde_json::Value;

/// While it is worked with, the index is out of the cell: interrupts are masked only while it is taken out and put back.
pub struct Cache(Mutex<Cell<BTreeMap<String, Value>>>);

impl Cache {
    pub const fn new() -> Self {
        Self(Mutex::new(Cell::new(BTreeMap::new())))
    }

    /// Works with the index. Not to be nested: within, the cache appears to be empty.
    pub fn with<R>(&self, work: impl FnOnce(&mut BTreeMap<String, Value>) -> R) -> R {
        let mut index = critical_section::with(|cs| self.0.borrow(cs).take());
        let result = work(&mut index);
        critical_section::with(|cs| self.0.borrow(cs).set(index));
        result
    }

    /// Gives everything back. Returns the number of documents.
    pub fn clear(&self) -> usize {
        let index = critical_section::with(|cs| self.0.borrow(cs).take());
        index.len()
    }
}
