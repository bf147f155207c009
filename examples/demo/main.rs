//! A gateway with 64 KiB of heap serves JSON documents. It parses each into an owned tree and keeps the trees in a map
//! until the heap is nearly full; then the low-memory callback drops them, and work goes on as if nothing had been.
//!
//! `cargo run --release --example demo --target thumbv7em-none-eabi` runs it on a Cortex-M4F under QEMU,
//! without a target it runs on this machine.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

mod cache;
mod digest;
mod documents;

use alloc::string::String;
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use serde_json::Value;
use terrace::{CriticalSectionHeap, LowMemory, Threshold, Watermarks};
use terrace_board::{NAME, REGION_BYTES, instructions, println};

use cache::Cache;
use digest::digest;
use documents::{DOCUMENTS, Demand};

/// Requests in all, and how many of them are shown one by one.
const REQUESTS: usize = 1000;
const SHOWN: usize = 40;
/// Free memory that must be there before a document is parsed: more than the largest tree takes.
const HEADROOM: usize = REGION_BYTES / 4;

#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
static CACHE: Cache = Cache::new();
/// Number of times the cache was dropped. Written by the callback only.
static DROPS: AtomicU32 = AtomicU32::new(0);
/// Whether all that is to be shown has been shown.
static QUIET: AtomicBool = AtomicBool::new(false);

/// The low-memory callback: nothing in the cache is worth more than the next request.
fn drop_cache(event: &LowMemory, cache: &'static Cache) {
    DROPS.store(event.count, Ordering::Relaxed);
    if event.count == 1 {
        println!(
            "\n  the heap when memory is low for the first time\n{}\n",
            HEAP.map::<256>()
        );
    }
    let before = HEAP.load();
    let documents = cache.clear();
    if !QUIET.load(Ordering::Relaxed) {
        let back = before.used - HEAP.load().used;
        println!("  low memory: {before} in use; {documents} documents dropped, {back} bytes back\n");
    }
}

/// What the service has done.
#[derive(Default)]
struct Served {
    hits: u32,
    parsed: u32,
    bytes: usize,
    digests: [Option<u32>; DOCUMENTS.len()],
}

impl Served {
    /// Serves document `number`: from the cache, or by parsing it. The content must be the same every time.
    fn serve(&mut self, number: usize, show: bool) {
        let (name, text) = DOCUMENTS[number];
        let cached = CACHE.with(|index| index.get(name).map(digest));
        let content = cached.unwrap_or_else(|| self.parse(name, text, show));
        self.hits += u32::from(cached.is_some());
        let expected = *self.digests[number].get_or_insert(content);
        assert_eq!(content, expected, "the content of {name} has changed");
    }

    fn parse(&mut self, name: &str, text: &str, show: bool) -> u32 {
        let free = HEAP.load().free();
        let tree: Value = serde_json::from_str(text).expect("the documents are well-formed");
        let content = digest(&tree);
        CACHE.with(|index| index.insert(String::from(name), tree));
        self.parsed += 1;
        self.bytes += text.len();
        if show {
            let load = HEAP.load();
            let tree = free - load.free();
            println!(
                "  {name:<14}{:>5} B{tree:>7} B   {} {:>3} %",
                text.len(),
                bar(load.percent()),
                load.percent()
            );
        }
        content
    }
}

/// A bar of 40 columns.
fn bar(percent: u8) -> impl fmt::Display {
    let full = usize::from(percent) * 40 / 100;
    let rest = 40 - full;
    fmt::from_fn(move |f| write!(f, "{0:█<full$}{0:░<rest$}", ""))
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    println!("\n  terrace on {NAME}, {} bytes of heap\n", HEAP.stats().capacity);
    println!("  {:<14}{:>7}{:>9}   heap in use", "document", "text", "tree");
    let before = HEAP.stats().used;

    let watermarks = Watermarks {
        high: Threshold::BytesFree(HEADROOM),
        low: Threshold::Percent(50),
    };
    HEAP.set_watermarks(watermarks).expect("low is below high");
    HEAP.on_low_memory(drop_cache, &CACHE).expect("the table has room");

    let mut served = Served::default();
    for (request, number) in Demand::new(1).take(REQUESTS).enumerate() {
        if request == SHOWN {
            println!("  ... and {} requests more\n", REQUESTS - SHOWN);
            QUIET.store(true, Ordering::Relaxed);
        }
        // Before each document, so that there is room for it; what was done is told by the callback.
        let _ = HEAP.poll();
        served.serve(number, request < SHOWN);
    }
    let drops = DROPS.load(Ordering::Relaxed);
    println!(
        "  {REQUESTS} requests: {} served from the cache, {} parsed ({} bytes of JSON), the cache dropped {drops} times",
        served.hits, served.parsed, served.bytes
    );
    if let Some(instructions) = instructions() {
        println!("  {} thousand instructions", instructions / 1000);
    }

    let documents = CACHE.clear();
    HEAP.trim();
    println!("\n  the heap at the end\n{}\n\n{}", HEAP.map::<256>(), HEAP.stats());
    assert!(drops > 10 && documents > 0, "the heap was nearly full again and again");
    assert_eq!(HEAP.stats().failures, 0);
    assert_eq!(HEAP.stats().used, before, "nothing is lost");
    HEAP.check().expect("the heap is sound");
    println!("\n  nothing is lost, the heap is sound");
}
