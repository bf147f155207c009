//! `unsize!` coerces, and to trait objects only.

use terrace::*;

fn work(cx: &Cx) {
    let gc = cx.try_new([0u64; 4]).unwrap();
    let _ = unsize!(gc => [u64]);
    let _ = unsize!(gc => dyn Iterator<Item = u64>);
}

fn main() {}
