//! The costliest single operation.

use crate::{
    adversary::{KINDS, Kind, RESIZED, Siege},
    allocators::{Placed, Visitor, for_each},
    options::Options,
    step::{Cost, LIMIT, Stepper},
};
use std::io;
use terrace_measure::{
    region::Region,
    table::{Table, bytes, grouped},
};

const REGIONS: [usize; 3] = [64 << 10, 256 << 10, 16 << 20];

/// The allocators shown unless others are asked for: those that promise something, and the two simplest.
const SHOWN: [&str; 4] = ["terrace", "talc", "rlsf", "linked_list"];

pub fn run(options: &Options) -> io::Result<()> {
    let columns = REGIONS.iter().flat_map(|&len| {
        KINDS.map(|kind| {
            let kind = match kind {
                Kind::Alloc => "alloc",
                Kind::Refusal => "refused",
                Kind::Free => "free",
                Kind::Resize => "realloc",
            };
            format!("{kind} {}", bytes(len))
        })
    });
    let notes = format!(
        "Instructions of the costliest single call found, from its first instruction to its return, lock included, \
         counted by single-stepping the processor. The heaps are built by scripts (many free blocks of one class that \
         do not fit, checkerboards, aligned requests, full caches while memory is short) and by random search that \
         climbs from the worst found. A lower bound, not a proof. `refused`: an allocation that returns null. \
         `realloc`: of blocks of up to {RESIZED} bytes, their copying included. Counting stops at {}.",
        grouped(LIMIT as usize)
    );
    let mut measure = Measure {
        stepper: Stepper::new()?,
        steps: if options.quick { 50_000 } else { 500_000 },
        table: Table::new("Worst single operation", notes, columns),
    };
    let shown = SHOWN.map(String::from);
    for_each(
        if options.allocators.is_empty() {
            &shown
        } else {
            &options.allocators
        },
        &mut measure,
    );
    println!("{}", measure.table);
    Ok(())
}

struct Measure {
    stepper: Stepper,
    /// Per allocator and region.
    steps: u64,
    table: Table,
}

impl Visitor for Measure {
    fn visit<A: Placed>(&mut self) {
        if !A::FIXED {
            return;
        }
        let mut cells = Vec::new();
        for len in REGIONS {
            eprintln!("worst: {}, {}", A::NAME, bytes(len));
            let region = Region::new(len);
            let mut siege = Siege::new(&region, &mut self.stepper, self.steps);
            // SAFETY: one siege at a time, on the only thread.
            unsafe { siege.lay::<A>() };
            cells.extend(siege.worst.map(|worst| match worst {
                Some(Cost::Exactly(steps)) => grouped(steps as usize),
                Some(Cost::MoreThan(steps)) => format!("> {}", grouped(steps as usize)),
                None => "-".into(),
            }));
        }
        self.table.row(A::NAME, cells);
    }
}
