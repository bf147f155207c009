//! `Box`: one owner each, freed at once. The yardstick.

use crate::contestant::{Contestant, Kind, Places, Window};

pub struct Owned;

pub struct Tree {
    children: Option<(Box<Tree>, Box<Tree>)>,
}

pub struct Node {
    left: Option<Box<Node>>,
    right: Option<Box<Node>>,
    _data: [i32; 2],
}

pub struct Small {
    id: u64,
    _data: [u64; 2],
}

pub struct Link {
    value: u32,
    depth: u32,
    next: Option<Box<Link>>,
}

#[derive(Default)]
pub struct Kept {
    tree: Option<Box<Tree>>,
    node: Option<Box<Node>>,
    small: Vec<Option<Box<Small>>>,
    chains: Vec<Option<Box<Link>>>,
    arrays: Vec<Box<[u64]>>,
}

impl Contestant for Owned {
    const NAME: &'static str = "Box";
    type Session<'s> = Kept;
    type Window<'g> = Kept;

    fn run<R>(places: Places, work: impl FnOnce(&mut Kept) -> R) -> R {
        work(&mut Kept {
            small: (0..places.small).map(|_| None).collect(),
            chains: (0..places.chains).map(|_| None).collect(),
            arrays: (0..places.arrays).map(|_| Box::default()).collect(),
            ..Kept::default()
        })
    }

    fn step<R>(kept: &mut Kept, _: Kind, _: usize, work: impl for<'g> FnOnce(&mut Kept) -> R) -> R {
        work(kept)
    }

    #[inline(always)]
    fn put_array(kept: &mut Kept, place: usize, len: usize, first: u64) {
        kept.arrays[place] = (0..len).map(|index| first + index as u64).collect();
    }

    fn ends_of_array(kept: &mut Kept, place: usize) -> (u64, u64) {
        let array = &kept.arrays[place];
        (array[0], array[array.len() - 1])
    }
}

impl Window for Kept {
    type Tree = Box<Tree>;
    type Node = Box<Node>;
    type Small = Box<Small>;
    type Link = Box<Link>;

    #[inline(always)]
    fn tree(&mut self, children: Option<(Box<Tree>, Box<Tree>)>) -> Box<Tree> {
        Box::new(Tree { children })
    }

    fn count(&mut self, tree: &Box<Tree>) -> u64 {
        tree.count()
    }

    fn keep_tree(&mut self, tree: Box<Tree>) {
        self.tree = Some(tree);
    }

    fn count_kept_tree(&mut self) -> u64 {
        self.tree.as_ref().map_or(0, |tree| tree.count())
    }

    #[inline(always)]
    fn node(&mut self, children: Option<(Box<Node>, Box<Node>)>) -> Box<Node> {
        let (left, right) = children.unzip();
        let _data = [0; 2];
        Box::new(Node { left, right, _data })
    }

    fn grow(&mut self, node: &mut Box<Node>, then: &mut impl FnMut(&mut Self, &mut Box<Node>)) {
        let left = self.node(None);
        let right = self.node(None);
        then(self, node.left.insert(left));
        then(self, node.right.insert(right));
    }

    fn count_nodes(&mut self, node: &Box<Node>) -> u64 {
        node.count()
    }

    fn keep_node(&mut self, node: Box<Node>) {
        self.node = Some(node);
    }

    fn count_kept_nodes(&mut self) -> u64 {
        self.node.as_ref().map_or(0, |node| node.count())
    }

    #[inline(always)]
    fn small(&mut self, id: u64) -> Box<Small> {
        Box::new(Small { id, _data: [id; 2] })
    }

    fn keep_small(&mut self, place: usize, small: Box<Small>) {
        self.small[place] = Some(small);
    }

    fn kept_small(&mut self, place: usize) -> Option<u64> {
        self.small[place].as_ref().map(|small| small.id)
    }

    #[inline(always)]
    fn link(&mut self, value: u32, depth: u32, next: Option<Box<Link>>) -> Box<Link> {
        Box::new(Link { value, depth, next })
    }

    fn depth(&mut self, link: &Box<Link>) -> u32 {
        link.depth
    }

    fn take_head(&mut self, chain: usize) -> Option<Box<Link>> {
        self.chains[chain].take()
    }

    fn set_head(&mut self, chain: usize, link: Box<Link>) {
        self.chains[chain] = Some(link);
    }

    fn sum(&mut self, chain: usize) -> u64 {
        let mut sum = 0;
        let mut at = &self.chains[chain];
        while let Some(link) = at {
            sum += u64::from(link.value);
            at = &link.next;
        }
        sum
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
        let count = |child: &Option<Box<Node>>| child.as_ref().map_or(0, |child| child.count());
        1 + count(&self.left) + count(&self.right)
    }
}
