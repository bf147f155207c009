//! terrace as it is meant for many objects: room is made for a step, which then runs in a window. Nothing can fail there, and
//! only what is to be kept gets a handle.

use terrace::{Cx, Gc, Slot, size_of_object};

use super::{Kept, Knot, Link, Node, ROOM, Small, Tree, with_arena};
use crate::contestant::{Contestant, Cyclic, Kind, Places, Window};
use crate::workload;

pub struct Windows;

/// The token and what is kept.
pub struct Session<'s> {
    cx: &'s mut Cx,
    kept: Kept,
}

/// A window.
pub struct View<'g> {
    cx: &'g Cx,
    kept: &'g mut Kept,
}

/// Bytes that an object takes.
pub fn size_of(kind: Kind) -> usize {
    match kind {
        Kind::Tree => size_of_object::<Tree>(),
        Kind::Node => size_of_object::<Node>(),
        Kind::Small => size_of_object::<Small>(),
        Kind::Link => size_of_object::<Link>(),
        Kind::Knot => size_of_object::<Knot>(),
    }
}

impl Contestant for Windows {
    const NAME: &'static str = "terrace";
    type Session<'s> = Session<'s>;
    type Window<'g> = View<'g>;

    fn run<R>(places: Places, work: impl FnOnce(&mut Session<'_>) -> R) -> R {
        with_arena(|cx| {
            let kept = Kept::new(cx, places);
            work(&mut Session { cx, kept })
        })
    }

    fn step<R>(
        session: &mut Session<'_>,
        kind: Kind,
        count: usize,
        work: impl for<'g> FnOnce(&mut View<'g>) -> R,
    ) -> R {
        session.cx.reserve(count * size_of(kind)).expect(ROOM);
        work(&mut View {
            cx: session.cx,
            kept: &mut session.kept,
        })
    }

    #[inline(always)]
    fn put_array(session: &mut Session<'_>, place: usize, len: usize, first: u64) {
        session.kept.put_array(session.cx, place, len, first);
    }

    fn ends_of_array(session: &mut Session<'_>, place: usize) -> (u64, u64) {
        session.kept.ends_of_array(session.cx, place)
    }

    fn rings(session: &mut Session<'_>, count: usize) -> Option<u64> {
        Some(workload::rings::<Windows>(session, count))
    }

    fn collect(session: &mut Session<'_>) {
        session.cx.collect(terrace::Generation::Old);
    }
}

impl<'g> View<'g> {
    /// An object, for which there is room.
    #[inline(always)]
    fn make<T: terrace::Of<terrace::Main> + 'g>(&self, value: T) -> Gc<'g, T> {
        match self.cx.try_new(value) {
            Ok(object) => object,
            Err(_) => panic!("room was made"),
        }
    }
}

impl<'g> Window for View<'g> {
    type Tree = Gc<'g, Tree<'g>>;
    type Node = Gc<'g, Node<'g>>;
    type Small = Gc<'g, Small>;
    type Link = Gc<'g, Link<'g>>;

    #[inline(always)]
    fn tree(&mut self, children: Option<(Self::Tree, Self::Tree)>) -> Self::Tree {
        self.make(match children {
            Some((left, right)) => Tree {
                left: Slot::new(self.cx, left),
                right: Slot::new(self.cx, right),
            },
            None => Tree {
                left: Slot::null(),
                right: Slot::null(),
            },
        })
    }

    fn count(&mut self, tree: &Self::Tree) -> u64 {
        Tree::count(*tree, self.cx)
    }

    fn keep_tree(&mut self, tree: Self::Tree) {
        self.kept.tree = Some(self.cx.root::<Tree>(tree).expect(ROOM));
    }

    fn count_kept_tree(&mut self) -> u64 {
        self.kept
            .tree
            .as_ref()
            .map_or(0, |tree| Tree::count(tree.get(self.cx), self.cx))
    }

    #[inline(always)]
    fn node(&mut self, children: Option<(Self::Node, Self::Node)>) -> Self::Node {
        let (left, right) = match children {
            Some((left, right)) => (Slot::new(self.cx, left), Slot::new(self.cx, right)),
            None => (Slot::null(), Slot::null()),
        };
        self.make(Node {
            left,
            right,
            _data: [0; 2],
        })
    }

    fn grow(&mut self, node: &mut Self::Node, then: &mut impl FnMut(&mut Self, &mut Self::Node)) {
        let mut left = self.node(None);
        let mut right = self.node(None);
        node.left.set(self.cx, Some(left));
        node.right.set(self.cx, Some(right));
        then(self, &mut left);
        then(self, &mut right);
    }

    fn count_nodes(&mut self, node: &Self::Node) -> u64 {
        Node::count(*node, self.cx)
    }

    fn keep_node(&mut self, node: Self::Node) {
        self.kept.node = Some(self.cx.root::<Node>(node).expect(ROOM));
    }

    fn count_kept_nodes(&mut self) -> u64 {
        self.kept
            .node
            .as_ref()
            .map_or(0, |node| Node::count(node.get(self.cx), self.cx))
    }

    #[inline(always)]
    fn small(&mut self, id: u64) -> Self::Small {
        self.make(Small { id, _data: [id; 2] })
    }

    fn keep_small(&mut self, place: usize, small: Self::Small) {
        self.kept.small.get(self.cx)[place].set(self.cx, Some(small));
    }

    fn kept_small(&mut self, place: usize) -> Option<u64> {
        self.kept.small.get(self.cx)[place].get(self.cx).map(|small| small.id)
    }

    #[inline(always)]
    fn link(&mut self, value: u32, depth: u32, next: Option<Self::Link>) -> Self::Link {
        let next = next.map_or(Slot::null(), |next| Slot::new(self.cx, next));
        self.make(Link { value, depth, next })
    }

    fn depth(&mut self, link: &Self::Link) -> u32 {
        link.depth
    }

    fn take_head(&mut self, chain: usize) -> Option<Self::Link> {
        self.kept.chains.get(self.cx)[chain].get(self.cx)
    }

    fn set_head(&mut self, chain: usize, link: Self::Link) {
        self.kept.chains.get(self.cx)[chain].set(self.cx, Some(link));
    }

    fn sum(&mut self, chain: usize) -> u64 {
        self.kept.sum(self.cx, chain)
    }
}

impl<'g> Cyclic for View<'g> {
    type Knot = Gc<'g, Knot<'g>>;

    #[inline(always)]
    fn knot(&mut self, value: u64) -> Self::Knot {
        let next = Slot::null();
        self.make(Knot { value, next })
    }

    fn tie(&mut self, from: &Self::Knot, to: &Self::Knot) {
        from.next.set(self.cx, Some(*to));
    }

    fn next(&mut self, knot: &Self::Knot) -> Self::Knot {
        knot.next.get(self.cx).expect("a ring has no end")
    }

    fn value(&mut self, knot: &Self::Knot) -> u64 {
        knot.value
    }
}
