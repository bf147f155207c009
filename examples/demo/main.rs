//! A gateway with 64 KiB of heap serves JSON documents. It parses each into an owned tree and keeps the trees in a map
//! until the heap is nearly full; then the low-memory callback drops them, and work goes on as if nothing had been.
//!
//! What it shows on a display is a tree of widgets in an arena, which takes its memory from the same heap, in segments, and gives
//! it back when memory is low: what the trees of the one kind leave, those of the other get.
//!
//! `cargo run --release --example demo --target thumbv7em-none-eabi` runs it on a Cortex-M4F under QEMU,
//! without a target it runs on this machine.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

mod cache;
mod digest;
mod documents;
mod screen;

use alloc::string::String;
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use serde_json::Value;
use terrace::{Arena, CriticalSectionHeap, Cx, LowMemory, OutOfMemory, Threshold, Watermarks};
use terrace_board::{NAME, REGION_BYTES, instructions, println};

use cache::Cache;
use digest::digest;
use documents::{DOCUMENTS, Demand};
use screen::Screen;

/// Requests in all, and how many of them are shown one by one.
const REQUESTS: usize = 1000;
const SHOWN: usize = 40;
/// Bytes of widgets that are made before garbage is collected, unless memory is low.
const GARBAGE: usize = 4 << 10;
/// Free memory that must be there before a document is parsed: more than the largest tree and a screen take.
const HEADROOM: usize = REGION_BYTES / 4 + GARBAGE;

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

/// Collects the garbage of the display if memory is low. A callback cannot, as it has no token.
fn compact(cx: &mut Cx, seen: &mut u32, given: &mut usize) {
    let drops = DROPS.load(Ordering::Relaxed);
    if drops == *seen {
        return;
    }
    *seen = drops;
    let (held, free) = (cx.stats().held, HEAP.load().free());
    cx.compact();
    let now = cx.stats().held;
    *given += held - now;
    if !QUIET.load(Ordering::Relaxed) {
        let free_now = HEAP.load().free();
        println!("  arena: {held} -> {now} bytes in segments, so the documents have {free} -> {free_now}\n");
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

/// Serves all requests and shows each; returns the bytes that the arena has given back when memory was low.
fn serve(cx: &mut Cx, served: &mut Served) -> Result<usize, OutOfMemory> {
    cx.set_budget(GARBAGE);
    let (mut screen, mut seen, mut given) = (None::<Screen>, 0, 0);
    for (request, number) in Demand::new(1).take(REQUESTS).enumerate() {
        if request == SHOWN {
            println!("  ... and {} requests more\n", REQUESTS - SHOWN);
            QUIET.store(true, Ordering::Relaxed);
        }
        // Before each document, so that there is room for it; what was done is told by the callback.
        let _ = HEAP.poll();
        compact(cx, &mut seen, &mut given);
        screen.iter().for_each(|screen| screen.verify(cx));
        served.serve(number, request < SHOWN);
        let (name, _) = DOCUMENTS[number];
        let document = CACHE.with(|index| index.get(name).map(|document| Screen::draw(cx, name, document)));
        screen = document.transpose()?;
    }
    Ok(given)
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
    let mut arena = Arena::new(&HEAP).expect("there is room for an arena");
    let given = arena
        .enter(|cx| serve(cx, &mut served))
        .expect("there is room for a screen");
    let display = arena.stats();
    drop(arena);
    let drops = DROPS.load(Ordering::Relaxed);
    println!(
        "  {REQUESTS} requests: {} served from the cache, {} parsed ({} bytes of JSON), the cache dropped {drops} times",
        served.hits, served.parsed, served.bytes
    );
    let [young, middle, old] = display.collections;
    println!(
        "  {REQUESTS} screens, whose garbage {young} young, {middle} middle and {old} full collections found; {given} bytes of \
         segments given back in low memory"
    );
    if let Some(instructions) = instructions() {
        println!("  {} thousand instructions", instructions / 1000);
    }

    let documents = CACHE.clear();
    HEAP.trim();
    println!("\n  the heap at the end\n{}\n\n{}", HEAP.map::<256>(), HEAP.stats());
    assert!(drops > 10 && documents > 0, "the heap was nearly full again and again");
    assert!(given > 0, "memory flows from the arena to the documents");
    assert_eq!(HEAP.stats().failures, 0);
    assert_eq!(HEAP.stats().used, before, "nothing is lost");
    HEAP.check().expect("the heap is sound");
    println!("\n  nothing is lost, the heap is sound");
}
