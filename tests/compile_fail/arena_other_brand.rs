//! References do not go from one arena to another.

use terrace::*;

brand!(Other);

fn work(here: &Cx, there: &Cx<Other>) {
    let gc = there.try_new(1u32).unwrap();
    let _ = Slot::<u32>::new(here, gc);
}

fn main() {}
