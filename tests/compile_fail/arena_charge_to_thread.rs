//! A charge stays with its arena's thread of control.

use terrace::*;

fn work(cx: &Cx) {
    let charge = cx.charge(1);
    std::thread::spawn(move || drop(charge));
}

fn main() {}
