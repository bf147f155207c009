//! A place that is pinned for the time of a call is not known after it.

use terrace::*;

fn work(cx: &mut Cx, number: &Root<u32>) {
    let place = cx.with_pinned(number, |_, place| place).unwrap();
    println!("{place}");
}

fn main() {}
