// Each use of a constant is another heap.

const HEAP: terrace::CriticalSectionHeap = terrace::CriticalSectionHeap::new();

fn main() {
    terrace::init!(HEAP, 4096).unwrap();
}
