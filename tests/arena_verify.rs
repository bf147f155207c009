//! Memory of an arena that is overwritten is reported, and not followed (row C17).
//!
//! What is overwritten is put back before anything else is done.

mod support;

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use support::{Random, heap_for_good as heap, scaled};
use terrace::*;

brand!(Here);

/// Runs `work` in an arena of so many bytes; one test at a time, as all have one brand.
fn in_arena(bytes: usize, work: impl FnOnce(&mut Cx<Here>)) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Arena::<Here>::branded(heap(bytes)).unwrap().enter(work);
}

#[derive(Trace)]
struct Node<'g> {
    value: Cell<u32>,
    left: Slot<'g, Node<'g>, Here>,
    name: Slot<'g, str, Here>,
}

/// What keeps the objects of a patient.
struct Kept {
    nodes: Vec<Root<Node<'static>, Here>>,
    pins: Vec<Pinned<[Cell<u8>], Here>>,
}

/// An arena with objects of all kinds, gaps between them, and young ones.
fn populate(cx: &mut Cx<Here>) -> Kept {
    let mut random = Random::new(7);
    let (mut nodes, mut pins) = (Vec::<Root<Node, Here>>::new(), Vec::new());
    for i in 0..400 {
        let name = cx.new_str(&"x".repeat(random.below(60))).unwrap();
        let node = cx.new::<Node>(|g| Node {
            value: Cell::new(i),
            left: nodes.last().map_or(Slot::null(), |last| Slot::new(g, last.get(g))),
            name: Slot::new(g, name.get(g)),
        });
        nodes.push(node.unwrap());
        if i % 100 == 50 {
            let buffer = cx.new_slice::<Cell<u8>>(40, |_, _| Cell::new(1)).unwrap();
            pins.push(cx.pin(buffer.get(cx)).unwrap());
        }
        if i % 3 == 0 {
            nodes.remove(random.below(nodes.len()));
        }
    }
    let large = cx.new_slice::<Cell<u8>>(9000, |_, _| Cell::new(1)).unwrap();
    pins.push(cx.pin(large.get(cx)).unwrap());
    cx.collect(Generation::Young);
    nodes.extend((0..50).map(|i| cx.new::<Node>(|_| node(i)).unwrap()));
    Kept { nodes, pins }
}

fn node<'g>(value: u32) -> Node<'g> {
    Node {
        value: Cell::new(value),
        left: Slot::null(),
        name: Slot::null(),
    }
}

/// A random word that is no address of the program's data, nor near it: what looks like a header, nobody can tell from one.
fn far(random: &mut Random) -> usize {
    random.next() as usize | usize::MAX << (usize::BITS - 8)
}

/// What is wrong when the word at `address` is `value`.
fn verify_with<T: Copy>(cx: &Cx<Here>, address: usize, value: T) -> Result<(), ArenaFault> {
    let word = std::ptr::with_exposed_provenance_mut::<T>(address);
    // SAFETY: the word lies in an object of the arena, nobody has a reference to it, and it is put back.
    unsafe {
        let before = word.read();
        word.write(value);
        let found = cx.verify();
        word.write(before);
        found
    }
}

/// Where objects are: the address of the header of each, and what is known of it.
fn headers<'g>(cx: &'g Cx<Here>) -> Vec<(usize, ObjectInfo<'g, Here>)> {
    let header = size_of::<usize>();
    let start = |object: ObjectInfo<'g, Here>| {
        let slice = if object.object_type().is_slice() { 4 } else { 0 };
        object.address() - (header + slice).next_multiple_of(object.object_type().element_bytes().clamp(1, 4))
    };
    cx.walk().map(|object| (start(object), object)).collect()
}

#[test]
fn c17_what_is_sound_is_found_sound() {
    in_arena(256 << 10, |cx| {
        assert_eq!(cx.verify(), Ok(()), "empty");
        let kept = populate(cx);
        assert_eq!(cx.verify(), Ok(()));
        // In a window, with references from old to young.
        let young = cx.try_new(node(1)).unwrap();
        kept.nodes[0].get(cx).left.set(cx, Some(young));
        assert_eq!(cx.verify(), Ok(()));
        for generation in [Generation::Young, Generation::Middle, Generation::Old] {
            cx.collect(generation);
            assert_eq!(cx.verify(), Ok(()));
        }
        assert_eq!(kept.pins.len(), 5);
    });
}

#[test]
fn c17_an_overwritten_header_is_reported() {
    in_arena(256 << 10, |cx| {
        let kept = populate(cx);
        let headers = headers(cx);
        assert!(headers.len() > 500);
        let mut random = Random::new(1);
        for (address, _) in headers.iter().step_by((100 / support::scale().max(1)).max(1)) {
            let garbage = [
                0,
                1,
                8,
                usize::MAX,
                usize::MAX / 255 * 0x41,
                *address,
                headers[0].0,
                far(&mut random),
            ];
            for value in garbage {
                let fault = verify_with(cx, *address, value).unwrap_err();
                assert_eq!(
                    (fault.kind, fault.address),
                    (ArenaFaultKind::Header, *address),
                    "{value:#x}"
                );
                assert!(fault.to_string().contains("header"), "{fault}");
            }
        }
        assert_eq!(cx.verify(), Ok(()));
        drop(kept);
    });
}

#[test]
fn c17_an_overwritten_length_is_reported() {
    in_arena(256 << 10, |cx| {
        let kept = populate(cx);
        let mut found = 0;
        for (address, object) in headers(cx) {
            if object.object_type().is_slice() {
                let len = object.len() as u32;
                for value in [len + 8, len + 800, u32::MAX, u32::MAX / 8] {
                    // A length that is wrong by little may take the next object for its own. Then that is reported, or nothing
                    // but the length is wrong.
                    let fault = verify_with(cx, address + size_of::<usize>(), value);
                    if let Err(fault) = fault {
                        found += 1;
                        assert!(fault.address >= address, "{fault}");
                    } else {
                        assert!(value <= len + 800, "{value}");
                    }
                }
            }
        }
        assert!(found > 500, "{found}");
        drop(kept);
    });
}

#[test]
fn c17_an_overwritten_slot_is_reported() {
    in_arena(256 << 10, |cx| {
        let kept = populate(cx);
        let starts: Vec<_> = cx.walk().map(|object| object.position()).collect();
        let mut random = Random::new(3);
        for root in kept.nodes.iter().take(scaled(200).max(20)) {
            let (object, slot) = {
                let node = root.get(cx);
                let object = cx.walk().find(|object| object.address() == &raw const *node as usize);
                (object, (&raw const node.left).expose_provenance())
            };
            let Some(object) = object else { continue };
            let start = starts[random.below(starts.len())];
            let inside = start + 1;
            let is_inside = !starts.contains(&inside);
            for (position, is_wrong) in [
                (1, true),
                (u32::MAX, true),
                (0x4141_4141, true),
                (inside, is_inside),
                (start, false),
                (0, false),
            ] {
                let found = verify_with(cx, slot, position);
                assert_eq!(found.is_err(), is_wrong, "{position:#x}: {found:?}");
                if let Err(fault) = found {
                    assert_eq!(fault.kind, ArenaFaultKind::Slot);
                    assert!(fault.address < object.address() && fault.address + 8 >= object.address());
                }
            }
        }
        assert_eq!(cx.verify(), Ok(()));
    });
}

#[test]
fn c17_an_overwritten_gap_is_reported() {
    in_arena(256 << 10, |cx| {
        let kept = populate(cx);
        cx.collect(Generation::Old);
        let gaps: Vec<_> = cx.gaps().collect();
        assert!(!gaps.is_empty());
        for gap in gaps {
            for value in [
                [1, 4],
                [u32::MAX, 4],
                [0, 0],
                [0, u32::MAX],
                [0, gap.bytes as u32 / 8 - 1],
            ] {
                let fault = verify_with(cx, gap.address, value).unwrap_err();
                assert_eq!(fault.kind, ArenaFaultKind::Gap, "{value:?}");
            }
        }
        assert_eq!(cx.verify(), Ok(()));
        drop(kept);
    });
}

#[test]
fn c17_any_overwritten_word_is_survived() {
    in_arena(64 << 10, |cx| {
        let kept: Vec<_> = (0..300).map(|i| cx.new::<Node>(|_| node(i)).unwrap()).collect();
        let text = cx.new_str(&"x".repeat(100)).unwrap();
        kept.iter()
            .for_each(|node| node.get(cx).name.set(cx, Some(text.get(cx))));
        cx.collect(Generation::Old);
        let segments: Vec<_> = cx.segments().collect();
        let (mut random, mut faults) = (Random::new(11), 0);
        for _ in 0..scaled(20_000) {
            let segment = &segments[random.below(segments.len())];
            let address = segment.address + 8 * random.below(segment.bytes / 8);
            let value = match random.below(3) {
                0 => [far(&mut random); 8 / size_of::<usize>()],
                1 => [random.below(100); 8 / size_of::<usize>()],
                _ => [random.below(64 << 7); 8 / size_of::<usize>()],
            };
            faults += usize::from(verify_with(cx, address, value).is_err());
        }
        assert!(faults > scaled(20_000) / 10, "{faults}");
        assert_eq!(cx.verify(), Ok(()));
    });
}
