//! bumpalo: a bump allocator that frees nothing before its end. The limit for the others.

use bumpalo::Bump;
use std::cell::{Cell, RefCell};

use crate::contestant::{Contestant, Cyclic, Kind, Places, Window};
use crate::workload::rings;

pub struct Bumped;

pub struct Tree<'b> {
    children: Option<(&'b Tree<'b>, &'b Tree<'b>)>,
}

pub struct Node<'b> {
    left: Cell<Option<&'b Node<'b>>>,
    right: Cell<Option<&'b Node<'b>>>,
    _data: [i32; 2],
}

pub struct Small {
    id: u64,
    _data: [u64; 2],
}

pub struct Link<'b> {
    value: u32,
    depth: u32,
    next: Option<&'b Link<'b>>,
}

pub struct Knot<'b> {
    value: u64,
    next: Cell<Option<&'b Knot<'b>>>,
}

pub struct Kept<'b> {
    bump: &'b Bump,
    tree: Option<&'b Tree<'b>>,
    node: Option<&'b Node<'b>>,
    small: &'b mut [Option<&'b Small>],
    chains: &'b mut [Option<&'b Link<'b>>],
    arrays: &'b mut [&'b [u64]],
}

impl Contestant for Bumped {
    const NAME: &'static str = "bumpalo";
    type Session<'s> = Kept<'s>;
    type Window<'g> = Kept<'g>;

    fn run<R>(places: Places, work: impl FnOnce(&mut Kept<'_>) -> R) -> R {
        thread_local! {
            static BUMP: RefCell<Bump> = RefCell::new(Bump::new());
        }
        BUMP.with_borrow_mut(|bump| {
            let before = bump.allocated_bytes();
            let result = with_bump(bump, places, work);
            if bump.allocated_bytes() > before {
                *bump = chunk(bump.allocated_bytes());
            } else {
                bump.reset();
            }
            result
        })
    }

    fn step<R>(kept: &mut Kept<'_>, _: Kind, _: usize, work: impl for<'g> FnOnce(&mut Kept<'g>) -> R) -> R {
        work(kept)
    }

    #[inline(always)]
    fn put_array(kept: &mut Kept<'_>, place: usize, len: usize, first: u64) {
        kept.arrays[place] = kept.bump.alloc_slice_fill_with(len, |index| first + index as u64);
    }

    fn ends_of_array(kept: &mut Kept<'_>, place: usize) -> (u64, u64) {
        let array = kept.arrays[place];
        (array[0], array[array.len() - 1])
    }

    fn rings(kept: &mut Kept<'_>, count: usize) -> Option<u64> {
        Some(rings::<Bumped>(kept, count))
    }
}

/// Runs `work` in an empty bump allocator.
fn with_bump<R>(bump: &Bump, places: Places, work: impl FnOnce(&mut Kept<'_>) -> R) -> R {
    work(&mut Kept {
        bump,
        tree: None,
        node: None,
        small: bump.alloc_slice_fill_copy(places.small, None),
        chains: bump.alloc_slice_fill_copy(places.chains, None),
        arrays: bump.alloc_slice_fill_copy(places.arrays, &[]),
    })
}

/// A bump allocator with a chunk of `bytes`, which are mapped.
fn chunk(bytes: usize) -> Bump {
    let mut bump = Bump::with_capacity(bytes);
    bump.alloc_slice_fill_copy(bytes, 1u8);
    bump.reset();
    bump
}

impl<'b> Window for Kept<'b> {
    type Tree = &'b Tree<'b>;
    type Node = &'b Node<'b>;
    type Small = &'b Small;
    type Link = &'b Link<'b>;

    #[inline(always)]
    fn tree(&mut self, children: Option<(Self::Tree, Self::Tree)>) -> Self::Tree {
        self.bump.alloc(Tree { children })
    }

    fn count(&mut self, tree: &Self::Tree) -> u64 {
        tree.count()
    }

    fn keep_tree(&mut self, tree: Self::Tree) {
        self.tree = Some(tree);
    }

    fn count_kept_tree(&mut self) -> u64 {
        self.tree.map_or(0, Tree::count)
    }

    #[inline(always)]
    fn node(&mut self, children: Option<(Self::Node, Self::Node)>) -> Self::Node {
        let (left, right) = children.unzip();
        let (left, right, _data) = (Cell::new(left), Cell::new(right), [0; 2]);
        self.bump.alloc(Node { left, right, _data })
    }

    fn grow(&mut self, node: &mut Self::Node, then: &mut impl FnMut(&mut Self, &mut Self::Node)) {
        let mut left = self.node(None);
        let mut right = self.node(None);
        node.left.set(Some(left));
        node.right.set(Some(right));
        then(self, &mut left);
        then(self, &mut right);
    }

    fn count_nodes(&mut self, node: &Self::Node) -> u64 {
        node.count()
    }

    fn keep_node(&mut self, node: Self::Node) {
        self.node = Some(node);
    }

    fn count_kept_nodes(&mut self) -> u64 {
        self.node.map_or(0, Node::count)
    }

    #[inline(always)]
    fn small(&mut self, id: u64) -> Self::Small {
        self.bump.alloc(Small { id, _data: [id; 2] })
    }

    fn keep_small(&mut self, place: usize, small: Self::Small) {
        self.small[place] = Some(small);
    }

    fn kept_small(&mut self, place: usize) -> Option<u64> {
        self.small[place].map(|small| small.id)
    }

    #[inline(always)]
    fn link(&mut self, value: u32, depth: u32, next: Option<Self::Link>) -> Self::Link {
        self.bump.alloc(Link { value, depth, next })
    }

    fn depth(&mut self, link: &Self::Link) -> u32 {
        link.depth
    }

    fn take_head(&mut self, chain: usize) -> Option<Self::Link> {
        self.chains[chain]
    }

    fn set_head(&mut self, chain: usize, link: Self::Link) {
        self.chains[chain] = Some(link);
    }

    fn sum(&mut self, chain: usize) -> u64 {
        let mut sum = 0;
        let mut at = self.chains[chain];
        while let Some(link) = at {
            sum += u64::from(link.value);
            at = link.next;
        }
        sum
    }
}

impl<'b> Cyclic for Kept<'b> {
    type Knot = &'b Knot<'b>;

    #[inline(always)]
    fn knot(&mut self, value: u64) -> Self::Knot {
        let next = Cell::new(None);
        self.bump.alloc(Knot { value, next })
    }

    fn tie(&mut self, from: &Self::Knot, to: &Self::Knot) {
        from.next.set(Some(to));
    }

    fn next(&mut self, knot: &Self::Knot) -> Self::Knot {
        knot.next.get().expect("a ring has no end")
    }

    fn value(&mut self, knot: &Self::Knot) -> u64 {
        knot.value
    }
}

impl Tree<'_> {
    fn count(&self) -> u64 {
        match self.children {
            Some((left, right)) => 1 + left.count() + right.count(),
            None => 1,
        }
    }
}

impl Node<'_> {
    fn count(&self) -> u64 {
        let count = |child: &Cell<Option<&Node<'_>>>| child.get().map_or(0, Node::count);
        1 + count(&self.left) + count(&self.right)
    }
}
