//! What a fragmented arena makes of its memory.

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::ops::Range;

use terrace::*;

/// Bytes before the elements of a slice: descriptor and length.
const HEADER: usize = size_of::<usize>() + size_of::<u32>();

type Bytes<'g, A> = Slot<'g, [u8], A>;

/// What is left of a full arena: the table of the objects, and which are pinned.
struct Kept<A: Brand> {
    table: Root<[Bytes<'static, A>], A>,
    pins: Vec<Pinned<[u8], A>>,
}

impl<A: Brand> Kept<A> {
    /// Fills an arena in `heap` with bytes in mixed sizes, keeps one object of ten, and of those pins one of `pinned`.
    fn new(heap: &LocalHeap, cx: &mut Cx<A>, seed: u64, pinned: usize) -> Kept<A> {
        let mut random = support::Random::new(seed);
        let capacity = heap.stats().capacity;
        let table = cx.new_slice::<Bytes<A>>(capacity / 100, |_, _| Slot::null()).unwrap();
        // Room for the tables, as pinning in a window collects nothing.
        let layout = Layout::from_size_align(capacity / 64, 8).unwrap();
        // SAFETY: the layout's size is not 0.
        let spare = unsafe { heap.alloc(layout) };
        for number in 0.. {
            let Ok(root) = cx.new_slice::<u8>(16 + random.size(1000), |_, i| i as u8) else {
                break;
            };
            table.get(cx)[number].set(cx, Some(root.get(cx)));
        }
        // SAFETY: the block is this heap's, of this layout.
        unsafe { heap.dealloc(spare, layout) };
        let (mut pins, mut kept) = (Vec::new(), 0);
        for slot in table.get(cx).iter() {
            if !random.one_in(10) {
                slot.set(cx, None);
            } else if let Some(bytes) = slot.get(cx) {
                if pinned != 0 && kept % pinned == pinned / 5 {
                    pins.push(cx.pin(bytes).unwrap());
                }
                kept += 1;
            }
        }
        assert!(pinned == 0 || pins.len() * pinned + pinned > kept && !pins.is_empty());
        Kept { table, pins }
    }

    /// Verifies each object; returns the bytes that all take, headers included.
    fn verify(&self, cx: &Cx<A>) -> usize {
        let table = self.table.get(cx).get();
        let objects = table.iter().filter_map(|slot| slot.get(cx));
        let bytes = objects.map(|bytes| {
            assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == i as u8));
            bytes.len() + HEADER
        });
        bytes
            .chain([table.len() * 4 + HEADER])
            .map(|bytes| bytes.next_multiple_of(8))
            .sum()
    }
}

/// The free blocks of a heap, down to those that hardly matter.
fn free_blocks(heap: &LocalHeap) -> Vec<usize> {
    const LEAST: usize = 512;
    let take = |size| {
        let layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the layout's size is not 0.
        let block = unsafe { heap.alloc(layout) };
        (!block.is_null()).then_some((block, layout))
    };
    // Of many blocks of about the same size, within a power of two on 32-bit targets, some are not looked at: then less than the
    // largest is asked for.
    let largest = || Some(heap.stats().largest_free).filter(|size| *size >= LEAST);
    let next = || largest().and_then(|size| [size, size / 4 * 3, size / 2].into_iter().find_map(take));
    let mut blocks: Vec<(*mut u8, Layout)> = std::iter::from_fn(next).collect();
    assert!(largest().is_none(), "half of the largest free block can be had");
    blocks.sort_unstable_by_key(|(block, _)| *block);
    for (block, layout) in &blocks {
        // SAFETY: the block is this heap's, of this layout.
        unsafe { heap.dealloc(*block, *layout) };
    }
    let is_next = |a: &(*mut u8, Layout), b: &(*mut u8, Layout)| a.0.wrapping_add(a.1.size()) == b.0;
    let whole = blocks.chunk_by(is_next);
    whole
        .map(|parts| parts.iter().map(|(_, layout)| layout.size()).sum())
        .collect()
}

/// Verifies a share, in percent, in a region of 64 KiB, on average of some loads, where single blocks and segments weigh much;
/// and in one of 8 MiB. Both return a part and the whole, for bytes and seed.
fn share_is(percent: usize, small: fn(usize, u64) -> (usize, usize), large: fn(usize, u64) -> (usize, usize)) {
    let shares = (0..10).map(|seed| small(64 << 10, seed));
    let (part, whole) = shares.fold((0, 0), |sum, share| (sum.0 + share.0, sum.1 + share.1));
    assert!(part * 100 >= whole * percent, "{part} of {whole}");
    let (part, whole) = large(8 << 20, 1);
    assert!(part * 100 >= whole * percent, "{part} of {whole}");
}

/// After compaction: the largest piece that the heap has, and all of it.
fn in_one_piece<A: Brand>(bytes: usize, seed: u64) -> (usize, usize) {
    let heap = support::heap_for_good(bytes);
    let mut arena = Arena::<A>::branded(heap).unwrap();
    arena.enter(|cx| {
        let kept = Kept::new(heap, cx, seed, 0);
        cx.compact();
        let live = kept.verify(cx);
        let stats = heap.stats();
        println!("{} of {} bytes in one piece", stats.largest_free, stats.free);
        assert!(cx.stats().held - live <= bytes / 16, "the arena keeps little");
        (stats.largest_free, stats.free)
    })
}

/// After compaction, with one object in a hundred pinned: bytes in the largest pieces, of which there are as many as holes
/// between pinned objects and ends of segments that part them, and bytes in all.
fn in_one_piece_for_each_hole<A: Brand>(bytes: usize, seed: u64) -> (usize, usize) {
    let heap = support::heap_for_good(bytes);
    let mut arena = Arena::<A>::branded(heap).unwrap();
    arena.enter(|cx| {
        let kept = Kept::new(heap, cx, seed, 100);
        cx.compact();
        let free = heap.stats().free + cx.stats().held - kept.verify(cx);
        let mut pieces = free_blocks(heap);
        pieces.extend(cx.gaps().map(|gap| gap.bytes));
        pieces.sort_unstable_by(|a, b| b.cmp(a));
        let most = kept.pins.len() + 1 + cx.segments().count();
        let sum: usize = pieces.iter().take(most).sum();
        println!(
            "{sum} of {free} bytes in {most} pieces, of {}: {:?}",
            pieces.len(),
            &pieces[..pieces.len().min(8)]
        );
        (sum, free)
    })
}

/// After compaction, with one object in a hundred pinned: bytes that can be had in managed blocks of 4 KiB, and bytes in all.
fn in_blocks<A: Brand>(bytes: usize, seed: u64) -> (usize, usize) {
    let heap = support::heap_for_good(bytes);
    let mut arena = Arena::<A>::branded(heap).unwrap();
    arena.enter(|cx| {
        let kept = Kept::new(heap, cx, seed, 100);
        cx.compact();
        let free = heap.stats().free + cx.stats().held - kept.verify(cx);
        let mut blocks = Vec::new();
        while let Ok(block) = cx.new_slice::<u64>(510, |_, _| 0) {
            blocks.push(block);
        }
        println!(
            "{} of {free} bytes in blocks; {} pinned",
            blocks.len() * 4096,
            kept.pins.len()
        );
        kept.verify(cx);
        (blocks.len() * 4096, free)
    })
}

/// How many blocks of the native heap's own can be had.
fn native_blocks(heap: &LocalHeap, bytes: usize) -> usize {
    let layout = Layout::from_size_align(bytes, 8).unwrap();
    // SAFETY: the layout's size is not 0, and the blocks are this heap's, of this layout.
    unsafe {
        let blocks: Vec<*mut u8> = std::iter::repeat_with(|| heap.alloc(layout))
            .take_while(|block| !block.is_null())
            .collect();
        blocks.iter().for_each(|block| heap.dealloc(*block, layout));
        blocks.len()
    }
}

/// How many blocks fit between pinned objects in `memory`, of whose low end other objects take `live` bytes.
fn most_blocks<A: Brand>(kept: &Kept<A>, cx: &Cx<A>, memory: Range<usize>, mut live: usize, bytes: usize) -> usize {
    let mut pins: Vec<_> = kept.pins.iter().map(|pin| pin.get(cx).as_ptr_range()).collect();
    pins.sort_unstable_by_key(|pin| pin.start);
    let starts = [memory.start]
        .into_iter()
        .chain(pins.iter().map(|pin| pin.end as usize));
    let ends = pins.iter().map(|pin| pin.start as usize).chain([memory.end]);
    let blocks = starts.zip(ends).map(|(start, end)| {
        let taken = live.min(end - start);
        live -= taken;
        (end - start - taken) / bytes
    });
    blocks.sum()
}

#[test]
fn e3_compaction_makes_one_piece_of_what_is_free() {
    brand!(Small);
    brand!(Large);
    share_is(97, in_one_piece::<Small>, in_one_piece::<Large>);
}

#[test]
fn c13_compaction_makes_one_piece_of_each_hole_between_pinned_objects() {
    brand!(Small);
    brand!(Large);
    share_is(
        97,
        in_one_piece_for_each_hole::<Small>,
        in_one_piece_for_each_hole::<Large>,
    );
}

#[test]
fn c16_with_one_object_in_a_hundred_pinned_most_of_what_is_free_is_had_in_blocks_of_4_kib() {
    brand!(Small);
    brand!(Large);
    share_is(80, in_blocks::<Small>, in_blocks::<Large>);
}

#[test]
fn c16_the_heap_gets_what_is_free_between_pinned_objects_and_pins_that_end_leave_nothing_behind() {
    const REGION: usize = 8 << 20;
    const BLOCK: usize = 64 << 10;
    brand!(Here);
    let heap = support::heap_for_good(REGION);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let mut kept = Kept::new(heap, cx, 1, 100);
        for _ in 0..3 {
            cx.compact();
            cx.verify().unwrap();
        }
        let live = kept.verify(cx);
        let start = cx.segments().next().unwrap().address;
        let memory = start..start + cx.stats().held + heap.stats().free;
        let most = most_blocks(&kept, cx, memory, live, BLOCK);
        let blocks = native_blocks(heap, BLOCK);
        println!(
            "{blocks} blocks of {most}; {live} bytes live, {} pinned",
            kept.pins.len()
        );
        assert!(blocks * 10 >= most * 9, "{blocks} blocks of {most}");
        kept.pins.clear();
        cx.compact();
        cx.verify().unwrap();
        kept.verify(cx);
        let stats = heap.stats();
        println!("{} of {} bytes in one piece", stats.largest_free, stats.free);
        assert!(
            stats.largest_free * 100 >= stats.free * 97,
            "what was pinned has moved down"
        );
    });
}
