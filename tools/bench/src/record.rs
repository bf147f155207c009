//! Records what a program asks of its global allocator, as a trace.

use crate::trace::{Op, Trace};
use core::{
    alloc::{GlobalAlloc, Layout},
    cell::{Cell, RefCell},
};
use std::{alloc::System, collections::HashMap};

/// The global allocator of this program: the system's, with an ear.
pub struct Recorder;

#[global_allocator]
static GLOBAL: Recorder = Recorder;

thread_local! {
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static TAPE: RefCell<Tape> = RefCell::new(Tape::default());
}

#[derive(Default)]
struct Tape {
    trace: Trace,
    /// The slot of each block in use, by address.
    slots: HashMap<usize, u32>,
    free_slots: Vec<u32>,
}

impl Tape {
    fn alloc(&mut self, block: *mut u8, layout: Layout) {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.trace.slots += 1;
            self.trace.slots as u32 - 1
        });
        self.slots.insert(block.addr(), slot);
        self.trace.ops.push(Op::Alloc {
            slot,
            size: layout.size() as u32,
            align: layout.align() as u32,
        });
    }

    fn resize(&mut self, old: *mut u8, new: *mut u8, size: usize) {
        if let Some(slot) = self.slots.remove(&old.addr()) {
            self.slots.insert(new.addr(), slot);
            self.trace.ops.push(Op::Resize {
                slot,
                size: size as u32,
            });
        }
    }

    fn free(&mut self, block: *mut u8) {
        if let Some(slot) = self.slots.remove(&block.addr()) {
            self.free_slots.push(slot);
            self.trace.ops.push(Op::Free { slot });
        }
    }
}

/// Notes what `note` says, unless nothing is being recorded on this thread or the note itself allocates.
fn note(note: impl FnOnce(&mut Tape)) {
    let listening = LISTENING
        .try_with(|listening| listening.replace(false))
        .unwrap_or(false);
    if listening {
        TAPE.with_borrow_mut(note);
        LISTENING.set(true);
    }
}

// SAFETY: hands every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Recorder {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { System.alloc(layout) };
        note(|tape| tape.alloc(block, layout));
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(|tape| tape.free(block));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { System.alloc_zeroed(layout) };
        note(|tape| tape.alloc(block, layout));
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let new = unsafe { System.realloc(block, layout, size) };
        note(|tape| tape.resize(block, new, size));
        new
    }
}

/// Runs `program` on this thread and returns its allocations. What it leaves in use is freed at the end of the trace,
/// oldest slot first. Requests for zeroed memory are recorded as plain ones.
pub fn record(program: impl FnOnce()) -> Trace {
    LISTENING.set(true);
    program();
    LISTENING.set(false);
    let tape = TAPE.take();
    let mut trace = tape.trace;
    let mut left: Vec<u32> = tape.slots.into_values().collect();
    left.sort_unstable();
    trace.ops.extend(left.into_iter().map(|slot| Op::Free { slot }));
    trace
}
