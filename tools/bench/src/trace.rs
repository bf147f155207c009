//! A sequence of allocator calls, replayed against any allocator. Workloads and recorded programs are both traces.
//!
//! # Stored form
//! Numbers are LEB128. First the number of slots, of operations, and of operations that only warm up. Then each
//! operation: `slot * 4 + kind`, kind 0 allocate, 1 resize, 2 free; after 0 follows `size * 16 + log2(align)`, after 1
//! the new size. A slot holds one block at a time; a free empties it for later blocks.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Alloc { slot: u32, size: u32, align: u32 },
    Resize { slot: u32, size: u32 },
    Free { slot: u32 },
}

#[derive(Clone, Default)]
pub struct Trace {
    pub slots: usize,
    /// The first `warm` operations bring the heap into its state and are not measured.
    pub warm: usize,
    pub ops: Vec<Op>,
}

/// How much memory a trace needs.
pub struct Demand {
    /// The most bytes in use at any time, as requested.
    pub peak: usize,
    /// The number of objects that were asked for, resizes not counted.
    pub objects: usize,
    /// How many of these are smaller than 16 bytes.
    pub tiny: usize,
}

impl Trace {
    /// The number of measured operations.
    pub fn measured(&self) -> usize {
        self.ops.len() - self.warm
    }

    pub fn demand(&self) -> Demand {
        let mut sizes = vec![0usize; self.slots];
        let mut live = 0;
        let mut demand = Demand {
            peak: 0,
            objects: 0,
            tiny: 0,
        };
        for op in &self.ops {
            let (slot, size) = match *op {
                Op::Alloc { slot, size, .. } => {
                    demand.objects += 1;
                    demand.tiny += usize::from(size < 16);
                    (slot, size)
                }
                Op::Resize { slot, size } => (slot, size),
                Op::Free { slot } => (slot, 0),
            };
            let held = &mut sizes[slot as usize];
            live = live - *held + size as usize;
            *held = size as usize;
            demand.peak = demand.peak.max(live);
        }
        demand
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for n in [self.slots, self.ops.len(), self.warm] {
            push(&mut bytes, n as u64);
        }
        for op in &self.ops {
            match *op {
                Op::Alloc { slot, size, align } => {
                    push(&mut bytes, u64::from(slot) * 4);
                    push(&mut bytes, u64::from(size) * 16 + u64::from(align.ilog2()));
                }
                Op::Resize { slot, size } => {
                    push(&mut bytes, u64::from(slot) * 4 + 1);
                    push(&mut bytes, u64::from(size));
                }
                Op::Free { slot } => push(&mut bytes, u64::from(slot) * 4 + 2),
            }
        }
        bytes
    }

    /// A number that differs between different traces: FNV-1a over the stored form.
    pub fn digest(&self) -> u64 {
        self.encode().iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

fn push(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}
