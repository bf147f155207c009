//! terrace: what objects are made of, and the arena.

use std::sync::atomic::{AtomicUsize, Ordering};

use terrace::{Arena, Cx, Gc, Root, Slot, SpinHeap, Trace};

use crate::contestant::Places;

pub mod handles;
pub mod windows;

/// Bytes that the heap is given: all that there is for objects and the collector's tables.
pub static REGION: AtomicUsize = AtomicUsize::new(64 << 20);

#[derive(Trace)]
pub struct Tree<'g> {
    left: Slot<'g, Tree<'g>>,
    right: Slot<'g, Tree<'g>>,
}

#[derive(Trace)]
pub struct Node<'g> {
    left: Slot<'g, Node<'g>>,
    right: Slot<'g, Node<'g>>,
    _data: [i32; 2],
}

#[derive(Trace)]
pub struct Small {
    id: u64,
    _data: [u64; 2],
}

#[derive(Trace)]
pub struct Link<'g> {
    value: u32,
    depth: u32,
    next: Slot<'g, Link<'g>>,
}

#[derive(Trace)]
pub struct Knot<'g> {
    value: u64,
    next: Slot<'g, Knot<'g>>,
}

/// What workloads keep, over safe points.
pub struct Kept {
    tree: Option<Root<Tree<'static>>>,
    node: Option<Root<Node<'static>>>,
    small: Root<[Slot<'static, Small>]>,
    chains: Root<[Slot<'static, Link<'static>>]>,
    arrays: Vec<Option<Root<[u64]>>>,
}

impl Kept {
    fn new(cx: &mut Cx, places: Places) -> Kept {
        Kept {
            tree: None,
            node: None,
            small: cx
                .new_slice::<Slot<Small>>(places.small, |_, _| Slot::null())
                .expect(ROOM),
            chains: cx
                .new_slice::<Slot<Link>>(places.chains, |_, _| Slot::null())
                .expect(ROOM),
            arrays: (0..places.arrays).map(|_| None).collect(),
        }
    }

    #[inline(always)]
    fn put_array(&mut self, cx: &mut Cx, place: usize, len: usize, first: u64) {
        let array = cx.new_slice::<u64>(len, |_, index| first + index as u64).expect(ROOM);
        self.arrays[place] = Some(array);
    }

    /// The sum of the values in a chain.
    fn sum(&self, cx: &Cx, chain: usize) -> u64 {
        let mut sum = 0;
        let mut at = self.chains.get(cx)[chain].get(cx);
        while let Some(link) = at {
            sum += u64::from(link.value);
            at = link.next.get(cx);
        }
        sum
    }

    fn ends_of_array(&self, cx: &Cx, place: usize) -> (u64, u64) {
        let array = self.arrays[place].as_ref().map(|array| array.get(cx).get());
        array.map_or((0, 0), |array| (array[0], array[array.len() - 1]))
    }
}

/// Why `expect` may be called.
const ROOM: &str = "the region is large enough";

/// An arena in a heap of [`REGION`], both as a host program would have them.
fn with_arena<R>(work: impl FnOnce(&mut Cx) -> R) -> R {
    static HEAP: SpinHeap = SpinHeap::new();
    if HEAP.stats().spans == 0 {
        let region = Box::leak(Box::new_uninit_slice(REGION.load(Ordering::Relaxed)));
        HEAP.claim(region).expect("enough for a heap");
    }
    Arena::new(&HEAP).expect("one arena at a time").enter(work)
}

impl Tree<'_> {
    fn count<'g>(tree: Gc<'g, Tree<'g>>, cx: &'g Cx) -> u64 {
        match (tree.left.get(cx), tree.right.get(cx)) {
            (Some(left), Some(right)) => 1 + Tree::count(left, cx) + Tree::count(right, cx),
            _ => 1,
        }
    }
}

impl Node<'_> {
    fn count<'g>(node: Gc<'g, Node<'g>>, cx: &'g Cx) -> u64 {
        let count = |child: &Slot<'g, Node<'g>>| child.get(cx).map_or(0, |child| Node::count(child, cx));
        1 + count(&node.get().left) + count(&node.get().right)
    }
}
