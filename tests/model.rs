//! Random operations against a shadow model.

use std::alloc::{GlobalAlloc, Layout};

use terrace::LocalHeap;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

struct Block {
    start: *mut u8,
    layout: Layout,
    fill: u8,
}

fn run(seed: u64, region: usize, operations: usize) {
    let mut random = Random(seed | 1);
    let mut memory = vec![0u64; region / 8 + 1];
    let heap = LocalHeap::new();
    // SAFETY: the vector outlives the heap and is not used otherwise.
    unsafe { heap.claim_raw(memory.as_mut_ptr().cast(), region) }.unwrap();
    let mut live: Vec<Block> = Vec::new();
    let mut failures = 0;
    for step in 0..operations {
        let phase = (step / 2000) % 3;
        match random.below(10) {
            0..=3 | 4 if phase != 1 || live.is_empty() => {
                let size = match random.below(8) {
                    0 => random.below(region / 4) + 1,
                    1..=2 => random.below(1024) + 1,
                    _ => random.below(80) + 1,
                };
                let align = 1
                    << if random.below(8) == 0 {
                        random.below(12)
                    } else {
                        random.below(4)
                    };
                let layout = Layout::from_size_align(size, align).unwrap();
                let zeroed = random.below(4) == 0;
                let start = unsafe {
                    if zeroed {
                        heap.alloc_zeroed(layout)
                    } else {
                        heap.alloc(layout)
                    }
                };
                if start.is_null() {
                    failures += 1;
                    continue;
                }
                assert!((start as usize).is_multiple_of(align), "seed {seed}");
                let from = memory.as_ptr() as usize;
                assert!(start as usize >= from && start as usize + size <= from + region);
                for other in &live {
                    let (a, b) = (start as usize, other.start as usize);
                    assert!(
                        a + size <= b || b + other.layout.size() <= a,
                        "seed {seed}: overlap at step {step}"
                    );
                }
                let fill = random.next() as u8;
                unsafe {
                    if zeroed {
                        assert!((0..size).all(|at| *start.add(at) == 0), "seed {seed}");
                    }
                    start.write_bytes(fill, size);
                }
                live.push(Block { start, layout, fill });
            }
            9 if !live.is_empty() => {
                let at = random.below(live.len());
                let block = &mut live[at];
                let size = match random.below(3) {
                    0 => random.below(block.layout.size() + 20) + 1,
                    1 => block.layout.size() + random.below(64) + 1,
                    _ => random.below(2048) + 1,
                };
                unsafe {
                    let start = heap.realloc(block.start, block.layout, size);
                    if start.is_null() {
                        failures += 1;
                    } else {
                        let kept = size.min(block.layout.size());
                        assert!(
                            (0..kept).all(|i| *start.add(i) == block.fill),
                            "seed {seed}: realloc at step {step}"
                        );
                        start.write_bytes(block.fill, size);
                        block.start = start;
                        block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
                    }
                }
            }
            _ if !live.is_empty() => {
                let block = live.swap_remove(random.below(live.len()));
                unsafe {
                    assert!(
                        (0..block.layout.size()).all(|i| *block.start.add(i) == block.fill),
                        "seed {seed}: {step}"
                    );
                    heap.dealloc(block.start, block.layout);
                }
            }
            _ => {}
        }
        if step % 64 == 0 {
            heap.check()
                .unwrap_or_else(|fault| panic!("seed {seed}, step {step}: {fault}"));
            let used: usize = live.iter().map(|block| block.layout.size().next_multiple_of(8)).sum();
            assert_eq!(heap.load().used, used, "seed {seed}, step {step}");
        }
    }
    let _ = failures;
    for block in live.drain(..) {
        unsafe { heap.dealloc(block.start, block.layout) };
    }
    heap.trim();
    heap.check().unwrap();
    let stats = heap.stats();
    assert_eq!(
        (stats.used, stats.largest_free),
        (0, stats.capacity),
        "seed {seed}: not whole again"
    );
}

#[test]
fn e5_random_operations_keep_every_block() {
    for seed in 1..200 {
        run(
            seed * 7919,
            [1024, 4096, 16384, 65536, 1 << 20][seed as usize % 5],
            12_000,
        );
    }
}
