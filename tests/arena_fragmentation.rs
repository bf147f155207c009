//! What a fragmented arena makes of its memory.

mod support;

use support::heap_for_good as heap;
use terrace::*;

const SLOTS: usize = 80_000;

type Bytes<'g, A> = Slot<'g, [u8], A>;
type Kept<A> = (Root<[Bytes<'static, A>], A>, Vec<Pinned<[u8], A>>);

/// Fills an arena with bytes in mixed sizes, keeps one of ten, and of those pins one of `pinned`.
fn fragmented<A: Brand>(heap: &LocalHeap, cx: &mut Cx<A>, pinned: usize) -> Kept<A> {
    let mut random = support::Random::new(1);
    let all = cx.new_slice::<Bytes<A>>(SLOTS, |_, _| Slot::null()).unwrap();
    // Room for the tables, as pinning in a window collects nothing.
    let layout = std::alloc::Layout::new::<[u64; 8192]>();
    // SAFETY: the layout's size is not 0.
    let spare = unsafe { std::alloc::GlobalAlloc::alloc(heap, layout) };
    let mut count = 0;
    while let Ok(root) = cx.new_slice::<u8>(16 + random.size(1000), |_, i| i as u8) {
        all.get(cx)[count].set(cx, Some(root.get(cx)));
        count += 1;
    }
    // SAFETY: the block is this heap's, of this layout.
    unsafe { std::alloc::GlobalAlloc::dealloc(heap, spare, layout) };
    let mut pins = Vec::new();
    for slot in all.get(cx).iter() {
        if !random.one_in(10) {
            slot.set(cx, None);
        } else if pinned != 0 && random.below(pinned) == pinned / 2 {
            pins.extend(slot.get(cx).map(|bytes| cx.pin(bytes).unwrap()));
        }
    }
    (all, pins)
}

#[test]
fn e3_compaction_makes_one_piece_of_what_is_free() {
    brand!(Here);
    let heap = heap(4 << 20);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let (kept, _) = fragmented(heap, cx, 0);
        cx.compact();
        let stats = heap.stats();
        assert!(stats.largest_free * 100 >= stats.free * 96, "{stats}");
        let kept = kept.get(cx).get().iter().filter_map(|slot| slot.get(cx));
        assert!(
            kept.flat_map(|bytes| bytes.get().iter().enumerate())
                .all(|(i, byte)| *byte == i as u8)
        );
    });
}

#[test]
fn c16_with_one_object_in_a_hundred_pinned_most_of_what_is_free_is_had_in_blocks_of_4_kib() {
    brand!(Here);
    let heap = heap(8 << 20);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let (kept, pins) = fragmented(heap, cx, 100);
        cx.compact();
        let kept = kept.get(cx).get().iter().filter_map(|slot| slot.get(cx));
        let sizes: Vec<usize> = kept.map(|bytes| (bytes.len() + 12).next_multiple_of(8)).collect();
        let free = heap.stats().free + cx.stats().held - sizes.iter().sum::<usize>() - SLOTS * 4;
        let mut blocks = Vec::new();
        while let Ok(block) = cx.new_slice::<u64>(510, |_, _| 0) {
            blocks.push(block);
        }
        println!(
            "{} of {free} bytes in blocks; {} of {} pinned",
            blocks.len() * 4096,
            pins.len(),
            sizes.len()
        );
        assert!(pins.len() > sizes.len() / 200);
        assert!(blocks.len() * 4096 * 100 >= free * 80);
    });
}
