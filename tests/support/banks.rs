//! A heap in banks of memory. These are modelled: one that is off holds a pattern, which must still be there when it goes on.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;
use std::sync::Mutex;

use terrace::{Bank, Banks, Contents, Criticality, FixedMemory, Growth, HostError, LocalHeap, Protection};

use crate::support::memory::{Memory, empty_heap_for_good, for_good};

/// Banks of a modelled region.
pub const BANKS: usize = 4;

/// What fills a bank that is off.
const OFF: u8 = 0xB4;

/// What the banks are told to do, and what they were asked for.
#[derive(Default)]
pub struct Power {
    state: Mutex<State>,
}

#[derive(Default, Clone, Copy)]
pub struct State {
    pub on: [bool; BANKS],
    pub switched_on: usize,
    pub switched_off: usize,
    /// Why no bank goes on.
    pub refusal: Option<HostError>,
    /// Why no bank goes off.
    pub keeps_on: Option<HostError>,
    /// Whether a bank is cleared when it goes on.
    pub zeroes: bool,
    pub criticality: Criticality,
    pub protection: Option<Protection>,
    pub pauses: usize,
}

impl Power {
    pub fn state(&self) -> State {
        *self.state.lock().unwrap()
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// How many banks are on; the lowest ones.
    pub fn count(&self) -> usize {
        let on = self.state().on;
        let count = on.iter().filter(|on| **on).count();
        assert!(
            on[..count].iter().all(|on| *on),
            "the banks that are on are the lowest: {on:?}"
        );
        count
    }
}

// SAFETY: the memory is there, whatever is told.
unsafe impl Banks for Power {
    unsafe fn switch_on(&self, bank: Bank, criticality: Criticality) -> Result<Contents, HostError> {
        let mut state = self.state.lock().unwrap();
        if let Some(error) = state.refusal {
            return Err(error);
        }
        assert!(!state.on[bank.index], "bank {} is on", bank.index);
        assert_off(bank.start, bank.bytes);
        state.on[bank.index] = true;
        state.switched_on += 1;
        state.criticality = criticality;
        let fill = if state.zeroes { 0 } else { 0x3C };
        // SAFETY: the bank is there, and nobody uses it.
        unsafe { bank.start.write_bytes(fill, bank.bytes) };
        Ok(if state.zeroes {
            Contents::Zeroed
        } else {
            Contents::Undefined
        })
    }

    unsafe fn switch_off(&self, bank: Bank) -> Result<(), HostError> {
        let mut state = self.state.lock().unwrap();
        assert!(state.on[bank.index], "bank {} is off", bank.index);
        if let Some(error) = state.keeps_on {
            return Err(error);
        }
        state.on[bank.index] = false;
        state.switched_off += 1;
        // SAFETY: as above.
        unsafe { bank.start.write_bytes(OFF, bank.bytes) };
        Ok(())
    }

    unsafe fn protect(&self, _: NonNull<[u8]>, protection: Protection) -> Result<Protection, HostError> {
        let mut state = self.state.lock().unwrap();
        Ok(state.protection.replace(protection).unwrap_or(Protection::ReadWrite))
    }

    fn pause(&self) -> bool {
        self.state.lock().unwrap().pauses += 1;
        false
    }
}

/// Nobody has written to memory that is off.
fn assert_off(start: *mut u8, bytes: usize) {
    // SAFETY: the memory is there, and nobody writes to it.
    let bytes = unsafe { std::slice::from_raw_parts(start, bytes) };
    let touched = bytes.iter().position(|byte| *byte != OFF);
    assert_eq!(touched, None, "a bank that is off was written to");
}

/// A region of four banks, all off, for good.
pub struct Region {
    pub host: &'static FixedMemory<Power, BANKS>,
    bank: usize,
}

/// Four banks for good, all off, switched by what `wrap` makes of a model.
pub fn fixed<B>(bank: usize, wrap: impl FnOnce(Power) -> B) -> &'static FixedMemory<B, BANKS> {
    let memory = for_good(Memory::new(bank * BANKS));
    // SAFETY: the memory is this host's for good.
    let host = unsafe {
        memory.start().write_bytes(OFF, bank * BANKS);
        FixedMemory::from_raw(memory.start(), bank * BANKS, wrap(Power::default()))
    };
    for_good(host)
}

impl Region {
    pub fn new(bank: usize) -> Region {
        let host = fixed(bank, |power| power);
        Region { host, bank }
    }

    pub fn power(&self) -> &'static Power {
        self.host.banks()
    }

    /// Bytes in all banks.
    pub fn bytes(&self) -> usize {
        self.bank * BANKS
    }

    /// Verifies that nothing has touched the banks that are off.
    pub fn verify(&self) {
        let on = self.power().state().on;
        for (index, _) in on.iter().enumerate().filter(|(_, on)| !**on) {
            let bank = self.host.bank(index).unwrap();
            assert_off(bank.start, bank.bytes);
        }
    }
}

/// A heap for good in four banks.
pub fn heap(region: &Region, growth: Growth) -> &'static LocalHeap {
    let heap = empty_heap_for_good();
    heap.claim_from(region.host, growth).unwrap();
    heap
}

/// A region of four banks, and a heap in it.
pub fn banks(bank: usize) -> (Region, &'static LocalHeap) {
    let region = Region::new(bank);
    let heap = heap(&region, Growth::new(region.bytes()));
    (region, heap)
}

/// A native block, filled.
pub struct Block<'a> {
    heap: &'a LocalHeap,
    start: NonNull<u8>,
    pub layout: Layout,
    fill: u8,
}

impl<'a> Block<'a> {
    pub fn new(heap: &'a LocalHeap, bytes: usize, fill: u8) -> Option<Block<'a>> {
        let layout = Layout::from_size_align(bytes, 8).unwrap();
        // SAFETY: no test asks for no bytes.
        let start = NonNull::new(unsafe { heap.alloc(layout) })?;
        // SAFETY: the block has so many bytes.
        unsafe { start.write_bytes(fill, bytes) };
        Some(Block {
            heap,
            start,
            layout,
            fill,
        })
    }

    pub fn address(&self) -> usize {
        self.start.addr().get()
    }

    pub fn verify(&self) {
        // SAFETY: the block has so many bytes, which were written.
        let bytes = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) };
        assert!(
            bytes.iter().all(|byte| *byte == self.fill),
            "a block keeps what is in it"
        );
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.verify();
        }
        // SAFETY: the heap handed the block out with this layout.
        unsafe { self.heap.dealloc(self.start.as_ptr(), self.layout) };
    }
}
