//! Arenas: objects, references, handles.

mod support;

use std::cell::Cell;
use std::rc::Rc;

use support::Memory;
use terrace::*;

/// A heap that is never given back, over memory that is not either.
fn heap(bytes: usize) -> &'static LocalHeap {
    let heap: &'static LocalHeap = Box::leak(Box::new(LocalHeap::new()));
    let memory = Box::leak(Box::new(Memory::new(bytes)));
    // SAFETY: the memory is this heap's for good.
    unsafe { heap.claim_raw(memory.start(), bytes).unwrap() };
    heap
}

#[derive(Trace)]
struct Node<'g, A: Brand> {
    value: Cell<u32>,
    left: Slot<'g, Node<'g, A>, A>,
    right: Slot<'g, Node<'g, A>, A>,
}

impl<A: Brand> Node<'_, A> {
    fn new(value: u32) -> Self {
        Node {
            value: Cell::new(value),
            left: Slot::null(),
            right: Slot::null(),
        }
    }
}

#[test]
fn c4_objects_are_made_and_read() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let leaf = cx.new::<Node<Here>>(|_| Node::new(7)).unwrap();
        let root = cx
            .new::<Node<Here>>(|g| {
                let node = Node::new(8);
                node.left.set(g, Some(leaf.get(g)));
                node
            })
            .unwrap();
        drop(leaf);
        cx.collect(Generation::Young);
        cx.collect(Generation::Old);
        let node = root.get(cx);
        assert_eq!(node.value.get(), 8);
        assert_eq!(node.left.get(cx).unwrap().value.get(), 7);
        assert!(node.right.get(cx).is_none());
    });
}

#[test]
fn c13_a_list_survives_megabytes_of_garbage_in_32_kib() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(32 << 10)).unwrap();
    arena.enter(|cx| {
        let mut head = cx.new::<Node<Here>>(|_| Node::new(0)).unwrap();
        for i in 1..100 {
            for _ in 0..support::scaled(1000) {
                cx.new::<Node<Here>>(|_| Node::new(i)).unwrap();
            }
            head = cx
                .new::<Node<Here>>(|g| {
                    let node = Node::new(i);
                    node.left.set(g, Some(head.get(g)));
                    node
                })
                .unwrap();
        }
        let (mut at, mut count) = (Some(head.get(cx)), 0);
        while let Some(node) = at {
            count += 1;
            assert_eq!(node.value.get(), 100 - count);
            at = node.left.get(cx);
        }
        assert_eq!(count, 100);
        println!("{}", cx.stats());
    });
}
