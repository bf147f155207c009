//! While a handle pins its object, it cannot be dropped or made to hold another one.

use terrace::*;

fn work(cx: &mut Cx, mut number: Root<u32>) {
    let _ = cx.with_pinned(&number, |cx, place| {
        let other = cx.try_new(1u32).unwrap();
        number.set(cx, other);
        println!("{place}");
    });
}

fn main() {}
