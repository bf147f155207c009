//! What a workload needs of whoever manages memory.

/// The objects that workloads make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A node of an immutable binary tree: two references.
    Tree,
    /// A node of GCBench: two references that change, two integers.
    Node,
    /// Three words, no references.
    Small,
    /// A member of a chain: a reference, two integers.
    Link,
    /// A member of a ring: a reference that changes, an integer.
    Knot,
}

/// How many places there are for what a workload keeps.
#[derive(Clone, Copy, Default)]
pub struct Places {
    pub small: usize,
    pub chains: usize,
    pub arrays: usize,
}

/// A way to manage memory.
pub trait Contestant: 'static {
    const NAME: &'static str;
    /// A heap, and what the workload keeps in it.
    type Session<'s>;
    /// A stretch of the program within which nothing is collected that it uses.
    type Window<'g>: Window;

    /// Makes a heap for `work`, and takes it down behind it.
    fn run<R>(places: Places, work: impl FnOnce(&mut Self::Session<'_>) -> R) -> R;

    /// A part of the program that makes `count` objects of a kind. Between two of them there may be a collection.
    fn step<R>(
        session: &mut Self::Session<'_>,
        kind: Kind,
        count: usize,
        work: impl for<'g> FnOnce(&mut Self::Window<'g>) -> R,
    ) -> R;

    /// Makes an array of `len` numbers, `first`, `first + 1` and so on, and keeps it in a place, in which another may be. Inlined by
    /// all, so that the loop is compiled for the same known length.
    fn put_array(session: &mut Self::Session<'_>, place: usize, len: usize, first: u64);

    /// First and last number of the array in a place.
    fn ends_of_array(session: &mut Self::Session<'_>, place: usize) -> (u64, u64);

    /// [`workload::rings`](crate::workload::rings), if cycles can be collected.
    fn rings(_: &mut Self::Session<'_>, _count: usize) -> Option<u64> {
        None
    }

    /// Collects everything, if that is a thing.
    fn collect(_: &mut Self::Session<'_>) {}
}

/// Objects in a window. What makes objects is inlined, so that being generic costs nobody anything.
pub trait Window {
    type Tree;
    type Node;
    type Small;
    type Link;

    fn tree(&mut self, children: Option<(Self::Tree, Self::Tree)>) -> Self::Tree;
    /// Nodes of a tree.
    fn count(&mut self, tree: &Self::Tree) -> u64;
    fn keep_tree(&mut self, tree: Self::Tree);
    fn count_kept_tree(&mut self) -> u64;

    fn node(&mut self, children: Option<(Self::Node, Self::Node)>) -> Self::Node;
    /// Gives a node two new children, and calls `then` with each.
    fn grow(&mut self, node: &mut Self::Node, then: &mut impl FnMut(&mut Self, &mut Self::Node));
    fn count_nodes(&mut self, node: &Self::Node) -> u64;
    fn keep_node(&mut self, node: Self::Node);
    fn count_kept_nodes(&mut self) -> u64;

    fn small(&mut self, id: u64) -> Self::Small;
    fn keep_small(&mut self, place: usize, small: Self::Small);
    /// The id of what is kept in a place.
    fn kept_small(&mut self, place: usize) -> Option<u64>;

    fn link(&mut self, value: u32, depth: u32, next: Option<Self::Link>) -> Self::Link;
    fn depth(&mut self, link: &Self::Link) -> u32;
    /// The first of a chain, which is then set anew.
    fn take_head(&mut self, chain: usize) -> Option<Self::Link>;
    fn set_head(&mut self, chain: usize, link: Self::Link);
    /// The sum of the values in a chain.
    fn sum(&mut self, chain: usize) -> u64;
}

/// Objects that can refer to each other in cycles.
pub trait Cyclic: Window {
    type Knot: Clone;

    fn knot(&mut self, value: u64) -> Self::Knot;
    /// Makes `from` refer to `to`.
    fn tie(&mut self, from: &Self::Knot, to: &Self::Knot);
    fn next(&mut self, knot: &Self::Knot) -> Self::Knot;
    fn value(&mut self, knot: &Self::Knot) -> u64;
}
