//! An arena as a small program has one: objects with slots, slices, text, handles of all kinds, destructors and collections.

use crate::heap;
use core::hint::black_box;
use terrace::{Arena, Cx, Gc, OutOfMemory, Root, Slot, Trace};

#[derive(Trace)]
struct Node<'g> {
    value: u32,
    next: Slot<'g, Node<'g>>,
    name: Slot<'g, str>,
}

#[derive(Trace)]
struct Port {
    number: u32,
}

impl Drop for Port {
    fn drop(&mut self) {
        black_box(self.number);
    }
}

/// Puts a node before a list.
fn push(cx: &mut Cx, value: u32, list: Option<&Root<Node<'static>>>) -> Result<Root<Node<'static>>, OutOfMemory> {
    cx.new::<Node>(|g| Node {
        value,
        next: list.map_or(Slot::null(), |list| Slot::new(g, list.get(g))),
        name: Slot::null(),
    })
}

/// What a list is worth.
fn sum<'g>(cx: &'g Cx, node: Gc<'g, Node<'g>>) -> u32 {
    let name = node.get().name.get(cx).map_or(0, |name| name.len() as u32);
    node.value + name + node.get().next.get(cx).map_or(0, |next| next.value)
}

fn work(cx: &mut Cx) -> Result<u32, OutOfMemory> {
    let first = push(cx, black_box(1), None)?;
    let second = push(cx, black_box(2), Some(&first))?;
    let port = cx.new::<Port>(|_| Port { number: 3 })?;
    let numbers = cx.new_slice::<u32>(black_box(8), |_, index| index as u32)?;
    let buffer = cx.new_buffer(black_box(64))?;
    let pinned = cx.pin(buffer.get(cx))?;
    let weak = cx.weak::<Node>(second.get(cx))?;
    let name = cx.try_str("name")?;
    second.get(cx).name.set(cx, Some(name));
    cx.reserve(black_box(100))?;
    let node = Node {
        value: 4,
        next: Slot::new(cx, second.get(cx)),
        name: Slot::null(),
    };
    let last: Root<Node> = cx.root(cx.try_new(node)?)?;
    drop(port);
    cx.collect(black_box(terrace::Generation::Young));
    cx.compact();
    cx.poll();
    let kept = weak.get(cx).map_or(0, |node| sum(cx, node)) + sum(cx, last.get(cx));
    let seen = kept + numbers.get(cx)[black_box(2)] + pinned.len() as u32;
    cx.safe_point();
    Ok(seen)
}

pub fn run() {
    let Ok(mut arena) = Arena::new(&heap::HEAP) else { return };
    black_box(arena.enter(work).unwrap_or(0));
}
