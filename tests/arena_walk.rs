//! Looking at an arena: its objects, types, segments, gaps and map (row C17).

#[path = "support/node.rs"]
mod node;
mod support;

use std::cell::Cell;
use std::collections::BTreeMap;

use node::Node;
use support::{Random, heap_for_good as heap, scaled};
use terrace::*;

/// The address of what a reference refers to.
fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>() as usize
}

#[test]
fn c17_a_walk_meets_what_lives_and_nothing_else() {
    brand!(Here);
    for seed in 0..scaled(30) as u64 {
        let mut random = Random::new(seed);
        let mut arena = Arena::<Here>::branded(heap([24, 64, 512][seed as usize % 3] << 10)).unwrap();
        arena.enter(|cx| {
            let (mut nodes, mut texts, mut pins) = (Vec::new(), Vec::new(), Vec::new());
            for step in 0..scaled(1000) {
                match random.below(6) {
                    0 if nodes.len() > 40 => drop(nodes.swap_remove(random.below(40))),
                    0 => texts.extend(cx.new_str(&"x".repeat(random.below(100)))),
                    1 if texts.len() > 20 => drop(texts.swap_remove(random.below(20))),
                    2 if pins.len() < 5 => {
                        let buffer = cx.new_slice::<Cell<u8>>(random.size(3000), |_, _| Cell::new(1));
                        pins.extend(buffer.and_then(|buffer| cx.pin(buffer.get(cx))));
                    }
                    3 => drop(cx.new::<Node<Here>>(|_| Node::new(0))),
                    _ => nodes.extend(cx.new::<Node<Here>>(|_| Node::new(step as u32))),
                }
            }
            cx.collect(Generation::Old);
            let mut expected = BTreeMap::new();
            for root in &nodes {
                let size = size_of_object::<Node<Here>>();
                expected.insert(address(&*root.get(cx)), (size, 1, false));
            }
            let header = size_of::<usize>() + 4;
            for text in &texts {
                let len = text.get(cx).len();
                expected.insert(
                    address(&*text.get(cx)),
                    ((header + len).next_multiple_of(8), len, false),
                );
            }
            for pin in &pins {
                expected.insert(
                    address(&**pin),
                    ((header + pin.len()).next_multiple_of(8), pin.len(), true),
                );
            }
            let met: Vec<_> = cx.walk().collect();
            assert!(met.is_sorted_by_key(|object| object.address()), "seed {seed}");
            let met = met
                .iter()
                .map(|object| (object.address(), (object.bytes(), object.len(), object.is_pinned())));
            assert_eq!(met.collect::<BTreeMap<_, _>>(), expected, "seed {seed}");
            assert!(cx.walk().all(|object| object.generation() == Generation::Old));
        });
    }
}

#[test]
fn c17_a_walk_does_not_mind_what_is_made_meanwhile() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(1 << 20)).unwrap();
    arena.enter(|cx| {
        let list = cx
            .new_slice::<Slot<Node<Here>, Here>>(500, |_, _| Slot::null())
            .unwrap();
        for i in 0..500 {
            let node = cx.new::<Node<Here>>(|_| Node::new(i as u32)).unwrap();
            // Every other one survives, so that there are gaps for what is made meanwhile.
            if i % 2 == 0 {
                list.get(cx)[i].set(cx, Some(node.get(cx)));
            }
        }
        cx.collect(Generation::Young);
        let young = cx.stats().young;
        assert_eq!(young, 0);
        let mut roots = Vec::new();
        let (mut count, mut segments) = (0, cx.stats().held);
        for object in cx.walk() {
            count += 1;
            // New objects, segments, handles and tables; and a reference from old to young.
            for _ in 0..20 {
                let node = cx.try_new(Node::<Here>::new(7)).unwrap();
                roots.push(cx.root::<Node<Here>>(node).unwrap());
                list.get(cx)[1].set(cx, Some(node));
            }
            cx.try_slice(&[0u8; 300]).unwrap();
            assert!(object.generation() > Generation::Young);
        }
        assert_eq!(count, 251);
        segments = cx.stats().held - segments;
        assert!(segments > 0, "segments were taken");
        let made = 251 * (20 * size_of_object::<Node<Here>>() + (size_of::<usize>() + 4 + 300).next_multiple_of(8));
        // What is too small at the end of a gap is counted, too.
        assert!((made..made + made / 20).contains(&cx.stats().young));
        let young = cx.walk().find(|object| object.len() == 500).unwrap();
        let mut met = [0; 3];
        young.references(|node| met[node.generation() as usize] += 1);
        assert_eq!(met, [1, 250, 0], "the young one is met by whoever refers to it");
    });
}

#[test]
fn c17_references_are_told_as_often_as_there_are() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let leaf = cx.new::<Node<Here>>(|_| Node::new(1)).unwrap();
        let node = cx
            .new::<Node<Here>>(|g| Node {
                value: Cell::new(2),
                left: Slot::new(g, leaf.get(g)),
                right: Slot::new(g, leaf.get(g)),
            })
            .unwrap();
        cx.collect(Generation::Young);
        let (leaf, node) = (address(&*leaf.get(cx)), address(&*node.get(cx)));
        let mut told = Vec::new();
        cx.walk().for_each(|object| {
            object.references(|other| told.push((object.address(), other.address(), other.position())));
        });
        let position = cx.walk().find(|object| object.address() == leaf).unwrap().position();
        assert_eq!(told, [(node, leaf, position); 2]);
    });
}

#[test]
fn c17_types_are_counted_those_with_most_bytes_first() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let mut kept: (Vec<_>, Vec<_>, Vec<_>) = Default::default();
        for i in 0..10 {
            kept.0.push(cx.new::<Node<Here>>(|_| Node::new(i)).unwrap());
            kept.1.push(cx.new::<[u64; 9]>(|_| [0; 9]).unwrap());
            kept.2.push(cx.new_str("text").unwrap());
            cx.new::<i64>(|_| 0).unwrap();
        }
        cx.collect(Generation::Old);
        let types: TypeStats<4> = cx.walk().collect();
        let bytes = [size_of_object::<[u64; 9]>(), size_of_object::<Node<Here>>(), 16];
        let rows: Vec<_> = types.rows().iter().map(|row| (row.count, row.bytes)).collect();
        assert_eq!(rows, bytes.map(|bytes| (10, 10 * bytes)), "{types}");
        let object_type = types.rows()[2].object_type;
        assert_eq!((object_type.is_slice(), object_type.element_bytes()), (true, 1));
        if cfg!(feature = "names") {
            let names: Vec<_> = types.rows().iter().map(|row| row.object_type.name().unwrap()).collect();
            assert_eq!((names[0], names[2]), ("[u64; 9]", "[u8]"));
            assert!(names[1].contains("Node"), "{}", names[1]);
            assert!(types.to_string().contains("[u64; 9]"));
        } else {
            assert_eq!(object_type.name(), None);
        }
        // A table that is too small still counts all.
        let short: TypeStats<1> = cx.walk().collect();
        assert_eq!((short.total(), short.rows().len()), (types.total(), 1));
        assert_eq!(short.others().0, 20);
        let none: TypeStats<0> = cx.walk().collect();
        assert_eq!(none.total(), types.total());
    });
}

#[test]
fn c17_segments_and_gaps_add_up() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(1 << 20)).unwrap();
    arena.enter(|cx| {
        let mut kept = Vec::new();
        for i in 0..3000 {
            let root = cx.new::<[u32; 8]>(|_| [i; 8]).unwrap();
            if i % 3 == 0 {
                let pin = cx.pin(root.get(cx)).unwrap();
                kept.push(pin);
            }
        }
        let large = cx.new_slice::<u64>(5000, |_, _| 0).unwrap();
        cx.collect(Generation::Old);
        let held = cx.stats().held;
        let live: usize = cx.walk().map(ObjectInfo::bytes).sum();
        let segments: Vec<_> = cx.segments().collect();
        assert_eq!(segments.iter().map(|segment| segment.bytes).sum::<usize>(), held);
        assert_eq!(segments.iter().map(|segment| segment.live).sum::<usize>(), live);
        assert_eq!(segments.iter().filter(|segment| segment.is_large).count(), 1);
        let gaps: Vec<_> = cx.gaps().collect();
        assert!(gaps.len() > 100, "{}", gaps.len());
        assert_eq!(gaps.len(), segments.iter().map(|segment| segment.gaps).sum());
        assert_eq!(
            gaps.iter().map(|gap| gap.bytes).sum::<usize>(),
            segments.iter().map(|segment| segment.free).sum()
        );
        for segment in &segments {
            let within = |gap: &&GapInfo| (segment.address..segment.address + segment.bytes).contains(&gap.address);
            let largest = gaps.iter().filter(within).map(|gap| gap.bytes).max();
            assert_eq!(segment.largest_gap, largest.unwrap_or(0));
            assert!(segment.is_large || segment.live + segment.free <= segment.bytes);
        }
        let met = |address: usize| cx.walk().any(|object| object.address() == address);
        assert!(kept.iter().all(|pin| met(address(&**pin))));
        let large = address(&*large.get(cx));
        assert!(cx.walk().find(|object| object.address() == large).unwrap().is_large());
    });
}

/// What stands between the bars of a map.
fn columns<const N: usize>(map: &ArenaMap<N>) -> String {
    let map = map.to_string();
    map.lines().filter_map(|line| line.split('|').nth(1)).collect()
}

#[test]
fn c17_the_map_shows_generations_and_density() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        assert_eq!(columns(&cx.map::<16>()), ".".repeat(32), "nothing is there");
        let large = cx.new_slice::<u64>(1000, |_, _| 0).unwrap();
        let small = cx.new::<u32>(|_| 0).unwrap();
        let map = columns(&cx.map::<64>());
        assert!(
            map.contains("LLLL") && map.contains('-') && map.contains('0'),
            "the small one is young: {map}"
        );
        cx.collect(Generation::Old);
        let map = cx.map::<64>();
        assert!(columns(&map).contains('2') && columns(&map).contains("####"), "{map}");
        assert_eq!(map.to_string().lines().count(), 3, "{map}");
        assert_eq!(columns(&cx.map::<100>()).len() % 2, 0, "two rows");
        assert_eq!(columns(&cx.map::<0>()), "");
        drop((large, small));
        cx.collect(Generation::Old);
        assert_eq!(columns(&cx.map::<16>()), ".".repeat(32), "nothing is there");
    });
}
