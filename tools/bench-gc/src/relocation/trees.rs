//! Trees of plugs, as the collector of .NET builds them (`insert_node`, `update_brick_table`, `tree_search` and
//! `relocate_address` of CoreCLR's `gc.cpp`).
//!
//! ```text
//!   entry   0        nothing lives here or before
//!           e > 0    the tree's root is the plug that starts e - 1 granules behind the brick's start
//!           e < 0    no plug starts here: go on e bricks further
//!
//!   the granule before a plug:   bits 0..16 left, 16..32 right: where the children are, from here, or 0
//!                                bits 32..64: how far the plug moves
//! ```
//!
//! Positions of 31 bits make a node fit into the smallest gap there is; .NET's takes three words on 64 bits.

use super::Form;

pub struct Trees<const SHIFT: u32> {
    bricks: Vec<i16>,
    root: u32,
    /// The plug that was inserted last, and where it ends.
    last: u32,
    end: u32,
    /// Plugs in the tree.
    count: u32,
}

impl<const SHIFT: u32> Form for Trees<SHIFT> {
    const ENTRY: usize = size_of::<i16>();
    const NODE: usize = size_of::<u64>();

    fn new(granules: usize) -> Trees<SHIFT> {
        Trees {
            bricks: vec![0; granules >> SHIFT],
            root: 0,
            last: 0,
            end: 0,
            count: 0,
        }
    }

    #[inline(always)]
    fn note(&mut self, memory: &mut [u64], from: u32, end: u32, to: u32) {
        if self.count != 0 && from >> SHIFT != self.last >> SHIFT {
            self.close(from);
        }
        // SAFETY: a plug lies in the heap and has a gap before it, and so have those of the tree.
        unsafe {
            *memory.get_unchecked_mut(from as usize - 1) = u64::from(to.wrapping_sub(from)) << 32;
            self.insert(memory, from);
        }
        (self.last, self.end) = (from, end);
    }

    fn finish(&mut self) {
        if self.count != 0 {
            self.close(self.end);
        }
    }

    #[inline(always)]
    fn position(&self, _: &[u64], memory: &[u64], position: u32) -> u32 {
        let mut brick = position >> SHIFT;
        loop {
            // SAFETY: a position lies in the heap, which has an entry for each brick; a plug starts at or before what lives, so
            // the way back ends at a tree.
            unsafe {
                let mut entry = *self.bricks.get_unchecked(brick as usize);
                while entry < 0 {
                    brick = brick.wrapping_add_signed(entry.into());
                    entry = *self.bricks.get_unchecked(brick as usize);
                }
                let plug = search(memory, (brick << SHIFT) + entry as u32 - 1, position);
                if plug <= position {
                    return position.wrapping_add((memory.get_unchecked(plug as usize - 1) >> 32) as u32);
                }
            }
            brick -= 1;
        }
    }
}

impl<const SHIFT: u32> Trees<SHIFT> {
    /// Inserts a plug behind all others: the tree stays balanced, as the bits of a counter tell where it goes.
    ///
    /// # Safety
    /// The plugs of the tree, and this one, have nodes.
    #[inline(always)]
    unsafe fn insert(&mut self, memory: &mut [u64], plug: u32) {
        self.count += 1;
        // SAFETY: the caller's.
        unsafe {
            if self.count == 1 {
                self.root = plug;
            } else if self.count.is_power_of_two() {
                set_child(memory, plug, 0, self.root);
                self.root = plug;
            } else if self.count % 2 == 1 {
                set_child(memory, self.last, 16, plug);
            } else {
                let mut above = self.root;
                for _ in 0..self.count.count_ones() - 2 {
                    above = right(memory, above);
                }
                let below = right(memory, above);
                set_child(memory, plug, 0, below);
                set_child(memory, above, 16, plug);
            }
        }
    }

    /// Writes the entries of the tree's brick and of those behind, up to where the next plug starts.
    #[inline(always)]
    fn close(&mut self, next: u32) {
        let brick = self.last >> SHIFT;
        let covered = (self.end - 1) >> SHIFT;
        // SAFETY: the heap has an entry for each of its bricks.
        unsafe {
            *self.bricks.get_unchecked_mut(brick as usize) = (self.root - (brick << SHIFT)) as i16 + 1;
            for behind in brick + 1..=(next - 1) >> SHIFT {
                let steps = if behind <= covered { behind - brick } else { 1 };
                *self.bricks.get_unchecked_mut(behind as usize) = -(steps.min(i16::MAX as u32) as i16);
            }
        }
        self.count = 0;
    }
}

/// The last plug of a tree that starts at or before a position, or any if there is none.
///
/// # Safety
/// The plugs of the tree have nodes.
#[inline(always)]
unsafe fn search(memory: &[u64], mut plug: u32, position: u32) -> u32 {
    let mut candidate = 0;
    // SAFETY: the caller's.
    unsafe {
        loop {
            let node = *memory.get_unchecked(plug as usize - 1);
            let child = if plug < position {
                (node >> 16) as i16
            } else if plug > position {
                node as i16
            } else {
                return plug;
            };
            if child == 0 {
                break;
            }
            if plug < position {
                candidate = plug;
            }
            plug = plug.wrapping_add_signed(child.into());
        }
    }
    if plug > position && candidate != 0 {
        candidate
    } else {
        plug
    }
}

/// # Safety
/// The plug has a node.
#[inline(always)]
unsafe fn right(memory: &[u64], plug: u32) -> u32 {
    // SAFETY: the caller's.
    let child = unsafe { (*memory.get_unchecked(plug as usize - 1) >> 16) as i16 };
    plug.wrapping_add_signed(child.into())
}

/// Sets the left child of a plug, or, with a shift of 16, the right one.
///
/// # Safety
/// The plug has a node.
#[inline(always)]
unsafe fn set_child(memory: &mut [u64], plug: u32, shift: u32, child: u32) {
    let offset = u64::from(child.wrapping_sub(plug) as u16) << shift;
    // SAFETY: the caller's.
    let node = unsafe { memory.get_unchecked_mut(plug as usize - 1) };
    *node = *node & !(0xFFFF << shift) | offset;
}
