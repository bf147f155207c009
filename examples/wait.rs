//! Tasks of an async executor: one of them waits for low memory, and sleeps until there is a reason to wake.
//!
//! The executor here is the smallest there is, `block_on` of embassy-futures; with embassy-executor, or any other, the tasks
//! are the same. Somebody has to call `poll`: a task of its own does.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

use alloc::{boxed::Box, vec::Vec};
use core::cell::{Cell, RefCell};

use embassy_futures::{block_on, select::select, yield_now};
use terrace::{Cause, CriticalSectionHeap};
use terrace_board::{REGION_BYTES, println};

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

type Cache = RefCell<Vec<Box<[u8; 200]>>>;

/// Fills the cache, a page at a time, and lets others run.
async fn worker(cache: &Cache, pages: u32) {
    for page in 0..pages {
        cache.borrow_mut().push(Box::new([page as u8; 200]));
        yield_now().await;
    }
}

/// Empties the cache whenever memory is low.
async fn janitor(cache: &Cache, times: &Cell<u32>) -> ! {
    loop {
        let event = HEAP.low_memory().expect("there is a place").await;
        assert_eq!(event.cause, Cause::Watermark, "no request ever fails");
        times.set(times.get() + 1);
        cache.take();
    }
}

/// Stands for the idle task: does what is due.
async fn poller() -> ! {
    loop {
        let _ = HEAP.poll();
        yield_now().await;
    }
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    let (cache, times) = (Cache::default(), Cell::new(0));
    let pages = 20 * REGION_BYTES as u32 / 200;
    block_on(select(worker(&cache, pages), select(janitor(&cache, &times), poller())));
    println!(
        "{pages} pages of 200 bytes went through a heap of {REGION_BYTES}; it was emptied {} times",
        times.get()
    );
    assert!(times.get() >= 20, "each time that it was full");
    assert_eq!(HEAP.stats().failures, 0);
    drop(cache);
    HEAP.check().expect("the heap is sound");
}
