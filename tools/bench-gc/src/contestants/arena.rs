//! gc-arena, in its two ways: incrementally, by debt, and by whole collections.

use core::marker::PhantomData;
use gc_arena::lock::{GcRefLock, Lock, RefLock};
use gc_arena::metrics::Pacing;
use gc_arena::{Arena, Collect, Gc, Mutation, Rootable};

use crate::contestant::{Contestant, Cyclic, Kind, Places, Window};
use crate::workload::rings;

/// When the collector works.
pub trait Pace: 'static {
    const NAME: &'static str;
    const PACING: Pacing;
}

pub struct Incremental;
pub struct StopTheWorld;

impl Pace for Incremental {
    const NAME: &'static str = "gc-arena";
    const PACING: Pacing = Pacing::DEFAULT;
}

impl Pace for StopTheWorld {
    const NAME: &'static str = "gc-arena-stw";
    const PACING: Pacing = Pacing::STOP_THE_WORLD;
}

pub struct Arenas<P>(PhantomData<P>);

#[derive(Collect)]
#[collect(no_drop)]
pub struct Tree<'gc> {
    children: Option<(Gc<'gc, Tree<'gc>>, Gc<'gc, Tree<'gc>>)>,
}

#[derive(Collect)]
#[collect(no_drop)]
pub struct Node<'gc> {
    left: Option<Gc<'gc, RefLock<Node<'gc>>>>,
    right: Option<Gc<'gc, RefLock<Node<'gc>>>>,
    _data: [i32; 2],
}

#[derive(Collect)]
#[collect(require_static)]
pub struct Small {
    id: u64,
    _data: [u64; 2],
}

#[derive(Collect)]
#[collect(no_drop)]
pub struct Link<'gc> {
    value: u32,
    depth: u32,
    next: Option<Gc<'gc, Link<'gc>>>,
}

#[derive(Collect)]
#[collect(no_drop)]
pub struct Knot<'gc> {
    value: u64,
    next: Option<GcRefLock<'gc, Knot<'gc>>>,
}

type Table<'gc, T> = GcRefLock<'gc, Vec<Option<Gc<'gc, T>>>>;

#[derive(Collect)]
#[collect(no_drop)]
pub struct Kept<'gc> {
    tree: Gc<'gc, Lock<Option<Gc<'gc, Tree<'gc>>>>>,
    node: Gc<'gc, Lock<Option<GcRefLock<'gc, Node<'gc>>>>>,
    small: Table<'gc, Small>,
    chains: Table<'gc, Link<'gc>>,
    arrays: Table<'gc, Vec<u64>>,
}

type Session = Arena<Rootable![Kept<'_>]>;

/// What a mutation sees.
pub struct View<'g> {
    mc: &'g Mutation<'g>,
    kept: &'g Kept<'g>,
}

impl<P: Pace> Contestant for Arenas<P> {
    const NAME: &'static str = P::NAME;
    type Session<'s> = Session;
    type Window<'g> = View<'g>;

    fn run<R>(places: Places, work: impl FnOnce(&mut Session) -> R) -> R {
        let mut arena = Session::new(|mc| Kept {
            tree: Gc::new(mc, Lock::new(None)),
            node: Gc::new(mc, Lock::new(None)),
            small: Gc::new(mc, RefLock::new(vec![None; places.small])),
            chains: Gc::new(mc, RefLock::new(vec![None; places.chains])),
            arrays: Gc::new(mc, RefLock::new(vec![None; places.arrays])),
        });
        arena.metrics().set_pacing(P::PACING);
        work(&mut arena)
    }

    fn step<R>(arena: &mut Session, _: Kind, _: usize, work: impl for<'g> FnOnce(&mut View<'g>) -> R) -> R {
        let result = arena.mutate(|mc, kept| work(&mut View { mc, kept }));
        arena.collect_debt();
        result
    }

    #[inline(always)]
    fn put_array(arena: &mut Session, place: usize, len: usize, first: u64) {
        arena.mutate(|mc, kept| {
            let array = Gc::new(mc, (0..len).map(|index| first + index as u64).collect());
            kept.arrays.borrow_mut(mc)[place] = Some(array);
        });
        arena.collect_debt();
    }

    fn ends_of_array(arena: &mut Session, place: usize) -> (u64, u64) {
        arena.mutate(|_, kept| {
            let array = kept.arrays.borrow()[place];
            array.map_or((0, 0), |array| (array[0], array[array.len() - 1]))
        })
    }

    fn rings(arena: &mut Session, count: usize) -> Option<u64> {
        Some(rings::<Self>(arena, count))
    }

    fn collect(arena: &mut Session) {
        // The first cycle may have begun before the last objects died.
        arena.finish_cycle();
        arena.finish_cycle();
    }
}

impl<'g> Window for View<'g> {
    type Tree = Gc<'g, Tree<'g>>;
    type Node = GcRefLock<'g, Node<'g>>;
    type Small = Gc<'g, Small>;
    type Link = Gc<'g, Link<'g>>;

    #[inline(always)]
    fn tree(&mut self, children: Option<(Self::Tree, Self::Tree)>) -> Self::Tree {
        Gc::new(self.mc, Tree { children })
    }

    fn count(&mut self, tree: &Self::Tree) -> u64 {
        tree.count()
    }

    fn keep_tree(&mut self, tree: Self::Tree) {
        self.kept.tree.set(self.mc, Some(tree));
    }

    fn count_kept_tree(&mut self) -> u64 {
        self.kept.tree.get().map_or(0, |tree| tree.count())
    }

    #[inline(always)]
    fn node(&mut self, children: Option<(Self::Node, Self::Node)>) -> Self::Node {
        let (left, right) = children.unzip();
        let _data = [0; 2];
        Gc::new(self.mc, RefLock::new(Node { left, right, _data }))
    }

    fn grow(&mut self, node: &mut Self::Node, then: &mut impl FnMut(&mut Self, &mut Self::Node)) {
        let mut left = self.node(None);
        let mut right = self.node(None);
        {
            let mut node = node.borrow_mut(self.mc);
            node.left = Some(left);
            node.right = Some(right);
        }
        then(self, &mut left);
        then(self, &mut right);
    }

    fn count_nodes(&mut self, node: &Self::Node) -> u64 {
        node.borrow().count()
    }

    fn keep_node(&mut self, node: Self::Node) {
        self.kept.node.set(self.mc, Some(node));
    }

    fn count_kept_nodes(&mut self) -> u64 {
        self.kept.node.get().map_or(0, |node| node.borrow().count())
    }

    #[inline(always)]
    fn small(&mut self, id: u64) -> Self::Small {
        Gc::new(self.mc, Small { id, _data: [id; 2] })
    }

    fn keep_small(&mut self, place: usize, small: Self::Small) {
        self.kept.small.borrow_mut(self.mc)[place] = Some(small);
    }

    fn kept_small(&mut self, place: usize) -> Option<u64> {
        self.kept.small.borrow()[place].map(|small| small.id)
    }

    #[inline(always)]
    fn link(&mut self, value: u32, depth: u32, next: Option<Self::Link>) -> Self::Link {
        Gc::new(self.mc, Link { value, depth, next })
    }

    fn depth(&mut self, link: &Self::Link) -> u32 {
        link.depth
    }

    fn take_head(&mut self, chain: usize) -> Option<Self::Link> {
        self.kept.chains.borrow()[chain]
    }

    fn set_head(&mut self, chain: usize, link: Self::Link) {
        self.kept.chains.borrow_mut(self.mc)[chain] = Some(link);
    }

    fn sum(&mut self, chain: usize) -> u64 {
        let mut sum = 0;
        let mut at = self.kept.chains.borrow()[chain];
        while let Some(link) = at {
            sum += u64::from(link.value);
            at = link.next;
        }
        sum
    }
}

impl<'g> Cyclic for View<'g> {
    type Knot = GcRefLock<'g, Knot<'g>>;

    #[inline(always)]
    fn knot(&mut self, value: u64) -> Self::Knot {
        let next = None;
        Gc::new(self.mc, RefLock::new(Knot { value, next }))
    }

    fn tie(&mut self, from: &Self::Knot, to: &Self::Knot) {
        from.borrow_mut(self.mc).next = Some(*to);
    }

    fn next(&mut self, knot: &Self::Knot) -> Self::Knot {
        knot.borrow().next.expect("a ring has no end")
    }

    fn value(&mut self, knot: &Self::Knot) -> u64 {
        knot.borrow().value
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

impl<'gc> Node<'gc> {
    fn count(&self) -> u64 {
        let count = |child: Option<GcRefLock<'gc, Node<'gc>>>| child.map_or(0, |child| child.borrow().count());
        1 + count(self.left) + count(self.right)
    }
}
