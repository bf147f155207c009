//! Minimal firmware that reaches every entry of its global allocator, and nothing else; its size is measured.
#![no_std]
#![no_main]

extern crate alloc;

#[cfg_attr(feature = "full-arena", path = "arena_full.rs")]
#[cfg_attr(not(any(feature = "arena", feature = "full-arena")), path = "arena_none.rs")]
mod arena;
#[cfg(feature = "bump")]
mod bump;
mod heap;
#[allow(dead_code, reason = "not every allocator needs it")]
mod lock;
#[path = "../../src/peers.rs"]
#[allow(dead_code, reason = "one is linked at a time")]
mod peers;
#[path = "../../src/subject.rs"]
#[allow(dead_code, reason = "one is linked at a time")]
mod subject;

use alloc::alloc::{alloc, alloc_zeroed, dealloc, realloc};
use core::{alloc::Layout, cell::UnsafeCell, hint::black_box, mem::MaybeUninit};

/// Bytes of the region, which is not counted.
const REGION: usize = 64 << 10;

#[repr(align(8))]
struct Memory(UnsafeCell<MaybeUninit<[u8; REGION]>>);

// SAFETY: handed to the allocator once, at the start.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new(MaybeUninit::uninit()));

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: the memory is used by nothing else.
    unsafe { heap::claim(MEMORY.0.get().cast(), REGION) };
    let layout = black_box(Layout::new::<[u32; 10]>());
    // SAFETY: the layout is not empty; each block is used with its layout and freed once.
    unsafe {
        let one = black_box(alloc(layout));
        let two = black_box(alloc_zeroed(layout));
        let one = black_box(realloc(one, layout, black_box(100)));
        dealloc(two, layout);
        dealloc(one, black_box(Layout::new::<[u32; 25]>()));
    }
    arena::run();
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
