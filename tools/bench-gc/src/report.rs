//! What can be printed: a table or more each.

use std::io;

use crate::options::Options;
use crate::{fragments, instructions, memory, pauses, relocation, throughput, time};

/// One command.
pub struct Report {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&Options) -> io::Result<()>,
}

pub const ALL: &[Report] = &[
    Report {
        name: "time",
        about: "processor time relative to `Box`, and memory",
        run: time::run,
    },
    Report {
        name: "pauses",
        about: "how long steps of the program take",
        run: pauses::run,
    },
    Report {
        name: "memory",
        about: "the smallest regions that terrace does with, and time in more",
        run: memory::run,
    },
    Report {
        name: "throughput",
        about: "bytes that terrace marks and moves per second",
        run: throughput::run,
    },
    Report {
        name: "fragments",
        about: "how much of a fragmented region can be had in one piece",
        run: fragments::run,
    },
    Report {
        name: "instructions",
        about: "instructions per object of trees (x86-64, needs valgrind)",
        run: instructions::run,
    },
    Report {
        name: "relocation",
        about: "two ways to tell where objects move to (x86-64, needs valgrind)",
        run: relocation::run,
    },
];
