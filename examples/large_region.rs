//! Gigabytes of addresses, of which as much is memory as the heap needs: its host is the operating system. For hosts, on Linux.
//!
//! ```sh
//! cargo run --example large_region --features std
//! ```

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

terrace_board::entry!(main);

#[cfg(not(target_os = "linux"))]
fn main() {
    terrace_board::println!("  this example needs Linux");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::alloc::{GlobalAlloc, Layout};
    use std::fs;
    use std::ptr::NonNull;

    use terrace::{CriticalSectionHeap, Growth, HostMemory, OsMemory};

    const MIB: usize = 1 << 20;
    /// Addresses: 4 GiB, where there are so many.
    const RESERVE: usize = if usize::BITS == 64 { 4096 * MIB } else { 1024 * MIB };
    const BLOCK: usize = 256 << 10;

    static HOST: OsMemory = OsMemory::with_step(MIB);
    /// The heap, which nobody else uses.
    static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

    /// A native block, all of whose pages are used.
    struct Block(NonNull<u8>);

    impl Block {
        const LAYOUT: Layout = Layout::new::<[u64; BLOCK / 8]>();

        fn new(number: usize) -> Block {
            // SAFETY: the layout is not empty.
            let start = NonNull::new(unsafe { HEAP.alloc(Block::LAYOUT) }).expect("there is enough");
            // SAFETY: the block has so many bytes.
            unsafe { start.write_bytes(number as u8, BLOCK) };
            Block(start)
        }

        fn assert_is(&self, number: usize) {
            // SAFETY: the block has so many bytes, which were written.
            let bytes = unsafe { std::slice::from_raw_parts(self.0.as_ptr(), BLOCK) };
            assert!(
                bytes.iter().all(|byte| *byte == number as u8),
                "block {number} is whole"
            );
        }
    }

    impl Drop for Block {
        fn drop(&mut self) {
            // SAFETY: the heap handed the block out with this layout, and this value alone has it.
            unsafe { HEAP.dealloc(self.0.as_ptr(), Block::LAYOUT) };
        }
    }

    /// Bytes of the process that are in memory.
    fn resident() -> usize {
        let pages = fs::read_to_string("/proc/self/statm").ok();
        let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
        pages.expect("the kernel tells") * OsMemory::with_step(1).step()
    }

    fn print(what: &str) {
        let stats = HEAP.stats();
        let [committed, used, resident] = [stats.host.committed, stats.used, resident()].map(|bytes| bytes / MIB);
        println!("  {what:<26}{committed:>11} MiB{used:>9} MiB{resident:>10} MiB");
    }

    pub fn main() {
        println!(
            "  {RESERVE} bytes are reserved\n  {:<26}{:>15}{:>13}{:>14}",
            "", "committed", "in use", "resident"
        );
        let before = resident();
        // The bookkeeping for all of it is committed at once, but only what is needed of it is ever touched.
        let growth = Growth::new(RESERVE).with_slack(5);
        HEAP.claim_from(&HOST, growth).expect("the heap is claimed once");
        print("an empty heap");
        let at_first = HEAP.stats().host.committed;
        assert!(at_first < RESERVE / 32 && resident() < before + 8 * MIB);

        let mut blocks: Vec<_> = (0..RESERVE / 16 / BLOCK).map(Block::new).collect();
        print("a sixteenth in blocks");
        assert!(HEAP.stats().host.committed > RESERVE / 16 && resident() > RESERVE / 16);

        blocks.truncate(blocks.len() / 10);
        print("most of them freed");
        let polled = HEAP.poll();
        print("after a poll");
        assert!(!polled.more && resident() < before + RESERVE / 64);

        blocks.extend((blocks.len()..200).map(Block::new));
        print("some are had again");
        blocks
            .iter()
            .enumerate()
            .for_each(|(number, block)| block.assert_is(number));
        drop(blocks);
        HEAP.trim();
        print("all of them freed");
        assert_eq!(HEAP.stats().host.committed, at_first);
        HEAP.check().expect("the heap is sound");
        let host = HEAP.stats().host;
        println!("\n  {} commits, {} decommits", host.commits, host.decommits);
    }
}
