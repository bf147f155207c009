//! Large objects move as well: no reference lives over a compaction.

use terrace::*;

fn work(cx: &mut Cx, large: &Root<[u64]>) {
    let first = &large.get(cx).get()[0];
    cx.compact();
    let _ = *first;
}

fn main() {}
