//! A finaliser's token ends with it.

use std::cell::Cell;
use terrace::*;

#[derive(Trace)]
struct Node(u32);

thread_local! {
    static TOKEN: Cell<Option<&'static mut Cx>> = const { Cell::new(None) };
}

impl Finalize for Node {
    fn finalize(_: Root<Self>, cx: &mut Cx) {
        TOKEN.set(Some(cx));
    }
}

fn main() {}
