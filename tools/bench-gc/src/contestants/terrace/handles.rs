//! terrace without windows: each object is made by `Cx::new`, which may collect, so that each is held by a handle. What the
//! handles cost is the difference to [`windows`](super::windows).

use terrace::{Cx, Root, Slot};

use super::{Kept, Knot, Link, Node, ROOM, Small, Tree, with_arena};
use crate::contestant::{Contestant, Cyclic, Kind, Places, Window};
use crate::workload;
use std::rc::Rc;

pub struct Handles;

/// The token and what is kept.
pub struct Session<'s> {
    cx: &'s mut Cx,
    kept: Kept,
}

impl Contestant for Handles {
    const NAME: &'static str = "terrace-handles";
    type Session<'s> = Session<'s>;
    type Window<'g> = Session<'g>;

    fn run<R>(places: Places, work: impl FnOnce(&mut Session<'_>) -> R) -> R {
        with_arena(|cx| {
            let kept = Kept::new(cx, places);
            work(&mut Session { cx, kept })
        })
    }

    fn step<R>(session: &mut Session<'_>, _: Kind, _: usize, work: impl for<'g> FnOnce(&mut Session<'g>) -> R) -> R {
        work(session)
    }

    #[inline(always)]
    fn put_array(session: &mut Session<'_>, place: usize, len: usize, first: u64) {
        session.kept.put_array(session.cx, place, len, first);
    }

    fn ends_of_array(session: &mut Session<'_>, place: usize) -> (u64, u64) {
        session.kept.ends_of_array(session.cx, place)
    }

    fn rings(session: &mut Session<'_>, count: usize) -> Option<u64> {
        Some(workload::rings::<Handles>(session, count))
    }

    fn collect(session: &mut Session<'_>) {
        session.cx.collect(terrace::Generation::Old);
    }
}

impl Window for Session<'_> {
    type Tree = Root<Tree<'static>>;
    type Node = Root<Node<'static>>;
    type Small = Root<Small>;
    type Link = Root<Link<'static>>;

    #[inline(always)]
    fn tree(&mut self, children: Option<(Self::Tree, Self::Tree)>) -> Self::Tree {
        let tree = match children {
            Some((left, right)) => self.cx.new::<Tree>(|g| Tree {
                left: Slot::new(g, left.get(g)),
                right: Slot::new(g, right.get(g)),
            }),
            None => self.cx.new::<Tree>(|_| Tree {
                left: Slot::null(),
                right: Slot::null(),
            }),
        };
        tree.expect(ROOM)
    }

    fn count(&mut self, tree: &Self::Tree) -> u64 {
        Tree::count(tree.get(self.cx), self.cx)
    }

    fn keep_tree(&mut self, tree: Self::Tree) {
        self.kept.tree = Some(tree);
    }

    fn count_kept_tree(&mut self) -> u64 {
        self.kept
            .tree
            .as_ref()
            .map_or(0, |tree| Tree::count(tree.get(self.cx), self.cx))
    }

    #[inline(always)]
    fn node(&mut self, children: Option<(Self::Node, Self::Node)>) -> Self::Node {
        let node = match children {
            Some((left, right)) => self.cx.new::<Node>(|g| Node {
                left: Slot::new(g, left.get(g)),
                right: Slot::new(g, right.get(g)),
                _data: [0; 2],
            }),
            None => self.cx.new::<Node>(|_| Node {
                left: Slot::null(),
                right: Slot::null(),
                _data: [0; 2],
            }),
        };
        node.expect(ROOM)
    }

    fn grow(&mut self, node: &mut Self::Node, then: &mut impl FnMut(&mut Self, &mut Self::Node)) {
        let mut left = self.node(None);
        let mut right = self.node(None);
        node.get(self.cx).left.set(self.cx, Some(left.get(self.cx)));
        node.get(self.cx).right.set(self.cx, Some(right.get(self.cx)));
        then(self, &mut left);
        then(self, &mut right);
    }

    fn count_nodes(&mut self, node: &Self::Node) -> u64 {
        Node::count(node.get(self.cx), self.cx)
    }

    fn keep_node(&mut self, node: Self::Node) {
        self.kept.node = Some(node);
    }

    fn count_kept_nodes(&mut self) -> u64 {
        self.kept
            .node
            .as_ref()
            .map_or(0, |node| Node::count(node.get(self.cx), self.cx))
    }

    #[inline(always)]
    fn small(&mut self, id: u64) -> Self::Small {
        self.cx.new::<Small>(|_| Small { id, _data: [id; 2] }).expect(ROOM)
    }

    fn keep_small(&mut self, place: usize, small: Self::Small) {
        self.kept.small.get(self.cx)[place].set(self.cx, Some(small.get(self.cx)));
    }

    fn kept_small(&mut self, place: usize) -> Option<u64> {
        self.kept.small.get(self.cx)[place].get(self.cx).map(|small| small.id)
    }

    #[inline(always)]
    fn link(&mut self, value: u32, depth: u32, next: Option<Self::Link>) -> Self::Link {
        let link = self.cx.new::<Link>(|g| Link {
            value,
            depth,
            next: next.as_ref().map_or(Slot::null(), |next| Slot::new(g, next.get(g))),
        });
        link.expect(ROOM)
    }

    fn depth(&mut self, link: &Self::Link) -> u32 {
        link.get(self.cx).depth
    }

    fn take_head(&mut self, chain: usize) -> Option<Self::Link> {
        let head = self.kept.chains.get(self.cx)[chain].get(self.cx)?;
        Some(self.cx.root::<Link>(head).expect(ROOM))
    }

    fn set_head(&mut self, chain: usize, link: Self::Link) {
        self.kept.chains.get(self.cx)[chain].set(self.cx, Some(link.get(self.cx)));
    }

    fn sum(&mut self, chain: usize) -> u64 {
        self.kept.sum(self.cx, chain)
    }
}

impl Cyclic for Session<'_> {
    /// Handles are not `Clone`.
    type Knot = Rc<Root<Knot<'static>>>;

    #[inline(always)]
    fn knot(&mut self, value: u64) -> Self::Knot {
        let knot = self.cx.new::<Knot>(|_| Knot {
            value,
            next: Slot::null(),
        });
        Rc::new(knot.expect(ROOM))
    }

    fn tie(&mut self, from: &Self::Knot, to: &Self::Knot) {
        from.get(self.cx).next.set(self.cx, Some(to.get(self.cx)));
    }

    fn next(&mut self, knot: &Self::Knot) -> Self::Knot {
        let next = knot.get(self.cx).next.get(self.cx).expect("a ring has no end");
        Rc::new(self.cx.root::<Knot>(next).expect(ROOM))
    }

    fn value(&mut self, knot: &Self::Knot) -> u64 {
        knot.get(self.cx).value
    }
}
