//! Runs a trace against an allocator, through functions of their own so that they can be counted.

use crate::{
    allocators::Placed,
    trace::{Op, Trace},
};
use core::alloc::Layout;

/// The name that the counted functions have in common; callgrind collects only inside of these.
pub const COUNTED: &str = "*counted_*";

/// What the compiler makes of `__rust_alloc` for a global allocator `A`: size and alignment arrive in registers, the
/// allocator is inlined. The count is from its first instruction to its return.
#[inline(never)]
fn counted_alloc<A: Placed>(size: usize, align: usize) -> *mut u8 {
    // SAFETY: replay opened the heap; size and align come from a layout.
    unsafe { A::heap().alloc(Layout::from_size_align_unchecked(size, align)) }
}

/// As `counted_alloc`, for `__rust_dealloc`.
#[inline(never)]
fn counted_free<A: Placed>(block: *mut u8, size: usize, align: usize) {
    // SAFETY: replay passes each block once, with its layout.
    unsafe { A::heap().dealloc(block, Layout::from_size_align_unchecked(size, align)) }
}

/// As `counted_alloc`, for `__rust_realloc`.
#[inline(never)]
fn counted_resize<A: Placed>(block: *mut u8, size: usize, align: usize, new_size: usize) -> *mut u8 {
    // SAFETY: replay passes a block in use, with its layout.
    unsafe { A::heap().realloc(block, Layout::from_size_align_unchecked(size, align), new_size) }
}

#[derive(Clone, Copy)]
struct Block {
    start: *mut u8,
    size: u32,
    align: u32,
}

const NONE: Block = Block {
    start: core::ptr::null_mut(),
    size: 0,
    align: 1,
};

/// One run of a trace: the blocks it holds.
pub struct Replay<'a, A> {
    trace: &'a Trace,
    blocks: Vec<Block>,
    /// Requests that the heap refused. The trace goes on without the block.
    pub failures: usize,
    allocator: core::marker::PhantomData<A>,
}

impl<'a, A: Placed> Replay<'a, A> {
    pub fn new(trace: &'a Trace) -> Self {
        Replay {
            trace,
            blocks: vec![NONE; trace.slots],
            failures: 0,
            allocator: core::marker::PhantomData,
        }
    }

    /// Runs the operations that bring the heap into its state.
    ///
    /// # Safety
    /// `A` was opened and its heap is used by this replay only.
    pub unsafe fn warm_up(&mut self) {
        for i in 0..self.trace.warm {
            // SAFETY: the caller's promise.
            unsafe { self.step::<false>(self.trace.ops[i]) };
        }
    }

    /// Runs the others, through the counted functions.
    ///
    /// # Safety
    /// As `warm_up`, which ran before.
    pub unsafe fn measure(&mut self) {
        for i in self.trace.warm..self.trace.ops.len() {
            // SAFETY: the caller's promise.
            unsafe { self.step::<true>(self.trace.ops[i]) };
        }
    }

    /// Runs the whole trace; false at the first request that is refused.
    ///
    /// # Safety
    /// As `warm_up`.
    pub unsafe fn fits(&mut self) -> bool {
        self.trace.ops.iter().all(|&op| {
            // SAFETY: the caller's promise.
            unsafe { self.step::<false>(op) };
            self.failures == 0
        })
    }

    /// Frees whatever is left.
    ///
    /// # Safety
    /// As `warm_up`.
    pub unsafe fn finish(self) -> usize {
        for block in self.blocks.iter().filter(|block| !block.start.is_null()) {
            // SAFETY: in use, with the layout it was made with.
            unsafe {
                let layout = Layout::from_size_align_unchecked(block.size as usize, block.align as usize);
                A::heap().dealloc(block.start, layout);
            }
        }
        self.failures
    }

    /// # Safety
    /// As `warm_up`.
    unsafe fn step<const COUNTED: bool>(&mut self, op: Op) {
        match op {
            Op::Alloc { slot, size, align } => {
                let start = if COUNTED {
                    counted_alloc::<A>(size as usize, align as usize)
                } else {
                    // SAFETY: the heap is open; the trace holds valid layouts.
                    unsafe { A::heap().alloc(Layout::from_size_align_unchecked(size as usize, align as usize)) }
                };
                self.failures += usize::from(start.is_null());
                self.blocks[slot as usize] = Block { start, size, align };
            }
            Op::Resize { slot, size } => {
                let block = self.blocks[slot as usize];
                if block.start.is_null() {
                    return;
                }
                let start = if COUNTED {
                    counted_resize::<A>(block.start, block.size as usize, block.align as usize, size as usize)
                } else {
                    // SAFETY: the block is in use and has this layout.
                    unsafe {
                        let layout = Layout::from_size_align_unchecked(block.size as usize, block.align as usize);
                        A::heap().realloc(block.start, layout, size as usize)
                    }
                };
                if start.is_null() {
                    self.failures += 1;
                } else {
                    self.blocks[slot as usize] = Block { start, size, ..block };
                }
            }
            Op::Free { slot } => {
                let block = core::mem::replace(&mut self.blocks[slot as usize], NONE);
                if block.start.is_null() {
                    return;
                }
                if COUNTED {
                    counted_free::<A>(block.start, block.size as usize, block.align as usize);
                } else {
                    // SAFETY: the block was in use until now and has this layout.
                    unsafe {
                        let layout = Layout::from_size_align_unchecked(block.size as usize, block.align as usize);
                        A::heap().dealloc(block.start, layout);
                    }
                }
            }
        }
    }
}
