//! Pointers that are used as `Rc` is. The module around this one says what `Pointer`, `Cell` and `Trace` are: one text for all.

use super::{COLLECTS, Cell, NAME, Pointer, Trace, collect};
use crate::contestant::{Contestant, Cyclic, Kind, Places, Window};
use crate::workload;

finalize!(Tree, Node, Small, Link, Knot);

pub struct Pointers;

#[derive(Trace)]
pub struct Tree {
    children: Option<(Pointer<Tree>, Pointer<Tree>)>,
}

#[derive(Trace)]
pub struct Node {
    left: Cell<Option<Pointer<Node>>>,
    right: Cell<Option<Pointer<Node>>>,
    _data: [i32; 2],
}

#[derive(Trace)]
pub struct Small {
    id: u64,
    _data: [u64; 2],
}

#[derive(Trace)]
pub struct Link {
    value: u32,
    depth: u32,
    next: Option<Pointer<Link>>,
}

#[derive(Trace)]
pub struct Knot {
    value: u64,
    next: Cell<Option<Pointer<Knot>>>,
}

/// A table is an object as well.
type Table<T> = Pointer<Cell<Vec<Option<Pointer<T>>>>>;

pub struct Kept {
    tree: Option<Pointer<Tree>>,
    node: Option<Pointer<Node>>,
    small: Table<Small>,
    chains: Table<Link>,
    arrays: Table<Vec<u64>>,
}

impl Contestant for Pointers {
    const NAME: &'static str = NAME;
    type Session<'s> = Kept;
    type Window<'g> = Kept;

    fn run<R>(places: Places, work: impl FnOnce(&mut Kept) -> R) -> R {
        work(&mut Kept {
            tree: None,
            node: None,
            small: Pointer::new(Cell::new((0..places.small).map(|_| None).collect())),
            chains: Pointer::new(Cell::new((0..places.chains).map(|_| None).collect())),
            arrays: Pointer::new(Cell::new((0..places.arrays).map(|_| None).collect())),
        })
    }

    fn step<R>(kept: &mut Kept, _: Kind, _: usize, work: impl for<'g> FnOnce(&mut Kept) -> R) -> R {
        work(kept)
    }

    #[inline(always)]
    fn put_array(kept: &mut Kept, place: usize, len: usize, first: u64) {
        let numbers: Vec<u64> = (0..len).map(|index| first + index as u64).collect();
        let array = Pointer::new(numbers);
        kept.arrays.borrow_mut()[place] = Some(array);
    }

    fn ends_of_array(kept: &mut Kept, place: usize) -> (u64, u64) {
        let arrays = kept.arrays.borrow();
        arrays[place]
            .as_ref()
            .map_or((0, 0), |array| (array[0], array[array.len() - 1]))
    }

    fn rings(kept: &mut Kept, count: usize) -> Option<u64> {
        COLLECTS.then(|| workload::rings::<Pointers>(kept, count))
    }

    fn collect(_: &mut Kept) {
        collect();
    }
}

impl Window for Kept {
    type Tree = Pointer<Tree>;
    type Node = Pointer<Node>;
    type Small = Pointer<Small>;
    type Link = Pointer<Link>;

    #[inline(always)]
    fn tree(&mut self, children: Option<(Pointer<Tree>, Pointer<Tree>)>) -> Pointer<Tree> {
        Pointer::new(Tree { children })
    }

    fn count(&mut self, tree: &Pointer<Tree>) -> u64 {
        tree.count()
    }

    fn keep_tree(&mut self, tree: Pointer<Tree>) {
        self.tree = Some(tree);
    }

    fn count_kept_tree(&mut self) -> u64 {
        self.tree.as_ref().map_or(0, |tree| tree.count())
    }

    #[inline(always)]
    fn node(&mut self, children: Option<(Pointer<Node>, Pointer<Node>)>) -> Pointer<Node> {
        let (left, right) = children.unzip();
        let (left, right, _data) = (Cell::new(left), Cell::new(right), [0; 2]);
        Pointer::new(Node { left, right, _data })
    }

    fn grow(&mut self, node: &mut Pointer<Node>, then: &mut impl FnMut(&mut Self, &mut Pointer<Node>)) {
        let mut left = self.node(None);
        let mut right = self.node(None);
        *node.left.borrow_mut() = Some(left.clone());
        *node.right.borrow_mut() = Some(right.clone());
        then(self, &mut left);
        then(self, &mut right);
    }

    fn count_nodes(&mut self, node: &Pointer<Node>) -> u64 {
        node.count()
    }

    fn keep_node(&mut self, node: Pointer<Node>) {
        self.node = Some(node);
    }

    fn count_kept_nodes(&mut self) -> u64 {
        self.node.as_ref().map_or(0, |node| node.count())
    }

    #[inline(always)]
    fn small(&mut self, id: u64) -> Pointer<Small> {
        Pointer::new(Small { id, _data: [id; 2] })
    }

    fn keep_small(&mut self, place: usize, small: Pointer<Small>) {
        self.small.borrow_mut()[place] = Some(small);
    }

    fn kept_small(&mut self, place: usize) -> Option<u64> {
        self.small.borrow()[place].as_ref().map(|small| small.id)
    }

    #[inline(always)]
    fn link(&mut self, value: u32, depth: u32, next: Option<Pointer<Link>>) -> Pointer<Link> {
        Pointer::new(Link { value, depth, next })
    }

    fn depth(&mut self, link: &Pointer<Link>) -> u32 {
        link.depth
    }

    fn take_head(&mut self, chain: usize) -> Option<Pointer<Link>> {
        self.chains.borrow_mut()[chain].take()
    }

    fn set_head(&mut self, chain: usize, link: Pointer<Link>) {
        self.chains.borrow_mut()[chain] = Some(link);
    }

    fn sum(&mut self, chain: usize) -> u64 {
        let chains = self.chains.borrow();
        let mut sum = 0;
        let mut at = &chains[chain];
        while let Some(link) = at {
            sum += u64::from(link.value);
            at = &link.next;
        }
        sum
    }
}

impl Cyclic for Kept {
    type Knot = Pointer<Knot>;

    #[inline(always)]
    fn knot(&mut self, value: u64) -> Pointer<Knot> {
        let next = Cell::new(None);
        Pointer::new(Knot { value, next })
    }

    fn tie(&mut self, from: &Pointer<Knot>, to: &Pointer<Knot>) {
        *from.next.borrow_mut() = Some(to.clone());
    }

    fn next(&mut self, knot: &Pointer<Knot>) -> Pointer<Knot> {
        knot.next.borrow().clone().expect("a ring has no end")
    }

    fn value(&mut self, knot: &Pointer<Knot>) -> u64 {
        knot.value
    }
}

impl Tree {
    fn count(&self) -> u64 {
        match &self.children {
            Some((left, right)) => 1 + left.count() + right.count(),
            None => 1,
        }
    }
}

impl Node {
    fn count(&self) -> u64 {
        let count = |child: &Cell<Option<Pointer<Node>>>| child.borrow().as_ref().map_or(0, |child| child.count());
        1 + count(&self.left) + count(&self.right)
    }
}
