//! A slot is read with its own arena's token.

use terrace::*;

brand!(Other);

fn work(here: &Cx, there: &Cx<Other>) {
    let slot = Slot::<u32>::new(here, here.try_new(1).unwrap());
    let _ = slot.get(there);
}

fn main() {}
