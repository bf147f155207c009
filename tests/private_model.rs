//! Private heaps in any order of operations (row B3).

mod support;

use std::ptr::NonNull;

use support::blocks::{fill, is_full, layout, with_heap};
use support::{Random, scaled};
use terrace::{LocalHeap, NoLock, PrivateError, PrivateHeap};

/// Random operations beside a model that knows every block and every byte.
#[test]
fn b3_any_order_of_operations_agrees_with_a_model() {
    for seed in 0..scaled(60) as u64 {
        if let Err(panic) = std::panic::catch_unwind(|| with_heap(|heap| random_run(heap, seed))) {
            eprintln!("failed with seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn random_run(heap: &LocalHeap, seed: u64) {
    let private = heap.private_heap(16 << 10).create_local().unwrap();
    let (mut model, mut random) = (Model::default(), Random::new(seed));
    for step in 0..scaled(2000) {
        model.step(&private, &mut random);
        if step.is_multiple_of(64) {
            model.compare(&private);
        }
    }
    model.compare(&private);
}

/// What there must be in a private heap.
#[derive(Default)]
struct Model {
    blocks: Vec<(NonNull<u8>, usize, u8)>,
    freed: Vec<NonNull<u8>>,
    allocations: usize,
    failures: usize,
    misuses: usize,
}

impl Model {
    fn step(&mut self, heap: &PrivateHeap<'_, NoLock>, random: &mut Random) {
        if random.one_in(20) {
            return self.misuse(heap, random);
        }
        if self.blocks.is_empty() || random.below(100) < 56 {
            let (size, align) = (random.size(1024), 1 << random.below(8));
            let tag = random.below(256) as u8;
            match heap.alloc(layout(size, align)) {
                Ok(block) => {
                    assert!(block.addr().get().is_multiple_of(align));
                    fill(block, size, tag);
                    self.freed.retain(|freed| *freed != block);
                    self.blocks.push((block, size, tag));
                    self.allocations += 1;
                }
                Err(_) => self.failures += 1,
            }
            return;
        }
        let (block, size, tag) = self.blocks.swap_remove(random.below(self.blocks.len()));
        assert!(is_full(block, size, tag), "a block was written to by others");
        // SAFETY: nobody uses the block any more.
        unsafe { heap.free(block) }.unwrap();
        self.freed.push(block);
    }

    fn misuse(&mut self, heap: &PrivateHeap<'_, NoLock>, random: &mut Random) {
        let (address, expected) = if random.one_in(2) && !self.freed.is_empty() {
            let block = self.freed[random.below(self.freed.len())];
            let address = block.addr().get();
            (block, PrivateError::FreedTwice { address })
        } else if let Some((block, ..)) = self.blocks.last() {
            // SAFETY: a header is before the block.
            let inside = unsafe { block.sub(1) };
            let address = inside.addr().get();
            (inside, PrivateError::NoBlock { address })
        } else {
            return;
        };
        // SAFETY: no block starts there.
        assert_eq!(unsafe { heap.free(address) }, Err(expected));
        self.misuses += 1;
    }

    fn compare(&self, heap: &PrivateHeap<'_, NoLock>) {
        let stats = heap.stats();
        let asked = self.blocks.iter().map(|(_, size, _)| size).sum();
        let known = (self.blocks.len(), asked, self.allocations, self.failures, self.misuses);
        let told = (
            stats.blocks,
            stats.asked,
            stats.allocations,
            stats.failures,
            stats.misuses,
        );
        assert_eq!(told, known);
        assert_eq!(heap.check(), Ok(()));
        let listed = heap.leaks().map(|leak| (leak.blocks, leak.bytes)).next();
        let all = (!self.blocks.is_empty()).then_some((self.blocks.len(), asked));
        assert_eq!(listed, all);
        for (block, size, tag) in &self.blocks {
            assert!(is_full(*block, *size, *tag));
        }
    }
}
