//! The whole system with one arena: objects that are made, linked, rooted and collected beside the global allocator.

use crate::heap;
use core::hint::black_box;
use terrace::{Arena, Cx, Generation, OutOfMemory, Root, Slot, Trace};

#[derive(Trace)]
struct Node<'g> {
    value: u32,
    next: Slot<'g, Node<'g>>,
}

/// Puts a node before a list.
fn push(cx: &mut Cx, value: u32, list: Option<&Root<Node<'static>>>) -> Result<Root<Node<'static>>, OutOfMemory> {
    cx.new::<Node>(|g| Node {
        value,
        next: list.map_or(Slot::null(), |list| Slot::new(g, list.get(g))),
    })
}

fn work(cx: &mut Cx) -> Result<u32, OutOfMemory> {
    let first = push(cx, black_box(1), None)?;
    let second = push(cx, black_box(2), Some(&first))?;
    first.get(cx).next.set(cx, Some(second.get(cx)));
    drop(first);
    cx.collect(black_box(Generation::Old));
    let next = second.get(cx).next.get(cx).map_or(0, |next| next.value);
    Ok(second.get(cx).value + next)
}

pub fn run() {
    let Ok(mut arena) = Arena::new(&heap::HEAP) else { return };
    black_box(arena.enter(work).unwrap_or(0));
}
