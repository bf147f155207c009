//! Objects of one arena have no slots of another one, which would not know of them.

use terrace::*;

brand!(Other);

#[derive(Trace)]
struct Node<'g> {
    next: Slot<'g, Node<'g>>,
}

fn window<'g>(here: &'g Cx, there: &'g Cx<Other>) {
    let number = here.try_new(1u32).unwrap();
    let _ = there.try_new(Slot::new(here, number));
    let _ = there.try_slice_with(1, |_| Some(Slot::new(here, number)));
    let vec = GcVec::<Slot<u32>, Other>::new();
    let _ = vec.try_push(there, Slot::new(here, number));
    let map = GcMap::<u32, Interior<u32>, Other>::new();
    let _ = map.try_insert(there, 1, Interior::null());
}

fn safe_point(there: &mut Cx<Other>) {
    let _ = there.new::<Node>(|_| Node { next: Slot::null() });
    let _ = there.new_slice::<GcVec<u32>>(1, |_, _| GcVec::new());
}

fn main() {}
