//! What can be printed: a table or more each.

use std::io;

use crate::options::Options;
use crate::{pauses, time};

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
];
