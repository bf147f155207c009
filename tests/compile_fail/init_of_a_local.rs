// A local heap may be made anew: it would get the same buffer again.

fn main() {
    let heap = terrace::LocalHeap::new();
    terrace::init!(heap, 4096).unwrap();
}
