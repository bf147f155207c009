//! Objects whose finalisers a test writes, and what is told of them.

use std::cell::RefCell;

use terrace::*;

pub type Finalizer<A> = fn(Root<Node<'static, A>, A>, &mut Cx<A>);

/// What a test keeps outside of the arena: whose finalisers and destructors have run, and what was stored.
pub struct Shared<A: Brand> {
    pub finalized: RefCell<Vec<u32>>,
    pub dropped: RefCell<Vec<u32>>,
    pub saved: RefCell<Vec<Root<Node<'static, A>, A>>>,
}

impl<A: Brand> Shared<A> {
    pub fn new() -> &'static Shared<A> {
        crate::support::memory::for_good(Shared {
            finalized: RefCell::default(),
            dropped: RefCell::default(),
            saved: RefCell::default(),
        })
    }

    /// Whose finalisers have run since the last time.
    pub fn finalized(&self) -> Vec<u32> {
        self.finalized.take()
    }

    pub fn dropped(&self) -> Vec<u32> {
        self.dropped.take()
    }
}

/// Says when it is dropped.
pub struct Dropped<A: Brand>(pub u32, pub &'static Shared<A>);

impl<A: Brand> Drop for Dropped<A> {
    fn drop(&mut self) {
        self.1.dropped.borrow_mut().push(self.0);
    }
}

/// An object whose finaliser is a function that a test writes.
#[derive(Trace)]
pub struct Node<'g, A: Brand> {
    pub id: u32,
    pub shared: Plain<&'static Shared<A>>,
    pub finalizer: Plain<Finalizer<A>>,
    pub next: Slot<'g, Node<'g, A>, A>,
    pub dropped: Option<Plain<Dropped<A>>>,
}

impl<A: Brand> Finalize<A> for Node<'static, A> {
    fn finalize(this: Root<Self, A>, cx: &mut Cx<A>) {
        let node = this.get(cx);
        node.shared.finalized.borrow_mut().push(node.id);
        let finalizer = node.finalizer.0;
        finalizer(this, cx);
    }
}

pub fn node<'g, A: Brand>(id: u32, shared: &'static Shared<A>, finalizer: Finalizer<A>) -> Node<'g, A> {
    Node {
        id,
        shared: Plain(shared),
        finalizer: Plain(finalizer),
        next: Slot::null(),
        dropped: None,
    }
}

pub fn nothing<A: Brand>(_: Root<Node<'static, A>, A>, _: &mut Cx<A>) {}

/// Resurrection.
pub fn save<A: Brand>(this: Root<Node<'static, A>, A>, cx: &mut Cx<A>) {
    let shared = this.get(cx).shared.0;
    shared.saved.borrow_mut().push(this);
}
