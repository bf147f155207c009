//! What belongs to one thread can't be the data of callbacks and handlers, which run anywhere.

use terrace::*;

static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

fn with_arena(_: &LowMemory, _: &'static Arena) {}
fn with_token(_: &LowMemory, _: &'static Cx) {}
fn with_root(_: &GcEvent, _: &'static Root<u32>) {}
fn with_pinned(_: &GcEvent, _: &'static Pinned<u32>) {}

fn work(arena: &'static Arena, cx: &'static Cx, root: &'static Root<u32>, pinned: &'static Pinned<u32>) {
    let _ = HEAP.on_low_memory(with_arena, arena);
    let _ = HEAP.on_low_memory(with_token, cx);
    let _ = HEAP.add_gc_handler(Trigger::After, GcType::ALL, with_root, root);
    let _ = HEAP.add_gc_handler(Trigger::After, GcType::ALL, with_pinned, pinned);
}

fn main() {}
