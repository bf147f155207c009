//! What is written behind `dyn` is not within the macro's unsafe block.

use terrace::*;

const unsafe fn danger() -> usize {
    1
}

trait Sized_<const N: usize> {}
impl Sized_<1> for u32 {}

fn work(cx: &Cx) {
    let number = cx.try_new(1u32).unwrap();
    let _ = unsize!(number => dyn Sized_<{ danger() }>);
}

fn main() {}
