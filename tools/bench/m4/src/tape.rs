//! Reads a trace in its stored form, which the host's `trace.rs` describes.

use core::alloc::Layout;

pub enum Op {
    Alloc { slot: usize, layout: Layout },
    Resize { slot: usize, size: usize },
    Free { slot: usize },
}

pub struct Tape<'a> {
    bytes: &'a [u8],
    pub slots: usize,
    pub ops: usize,
    pub warm: usize,
}

impl<'a> Tape<'a> {
    pub fn new(bytes: &'a [u8]) -> Tape<'a> {
        let mut tape = Tape {
            bytes,
            slots: 0,
            ops: 0,
            warm: 0,
        };
        tape.slots = tape.number();
        tape.ops = tape.number();
        tape.warm = tape.number();
        tape
    }

    /// The next operation. Panics behind the last one.
    pub fn next(&mut self) -> Op {
        let head = self.number();
        let slot = head / 4;
        match head % 4 {
            0 => {
                let body = self.number();
                let layout = Layout::from_size_align(body / 16, 1 << (body % 16)).expect("recorded layouts are valid");
                Op::Alloc { slot, layout }
            }
            1 => Op::Resize {
                slot,
                size: self.number(),
            },
            _ => Op::Free { slot },
        }
    }

    fn number(&mut self) -> usize {
        let mut number = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let (&byte, rest) = self.bytes.split_first().expect("the trace is complete");
            self.bytes = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }
}
