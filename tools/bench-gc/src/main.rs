//! Compares terrace's arenas with `Box`, `Rc` and the collectors of other crates.
//!
//! ```text
//!   options -> report -> time, pauses, memory, instructions      throughput, fragments     one table or more each
//!                          |             |         |             relocation   |
//!                        rounds          |     callgrind                      terrace, and peers and subject of tools/bench
//!                          |             |         |
//!                        sample ---------+---------+         one process for each measurement, in turns
//!                          |
//!                    workload x contestants                  the former generic over the latter
//! ```

mod clock;
mod contestant;
mod contestants;
mod fragments;
mod instructions;
mod memory;
mod options;
mod pauses;
#[path = "../../bench/src/peers.rs"]
#[allow(dead_code, reason = "the other comparison uses all of it")]
mod peers;
mod relocation;
mod report;
mod rounds;
mod sample;
#[path = "../../bench/src/subject.rs"]
#[allow(dead_code, reason = "the other comparison uses all of it")]
mod subject;
mod throughput;
mod time;
mod workload;

use std::process::ExitCode;

use options::{Options, fail};
use report::Report;
use terrace_measure::machine;

/// Crates that are compared.
const PEERS: [&str; 8] = [
    "gc-arena",
    "dumpster",
    "boa_gc",
    "rust-cc",
    "bumpalo",
    "linked_list_allocator",
    "talc",
    "rlsf",
];

fn main() -> ExitCode {
    let options = Options::parse();
    if options.commands == ["one"] {
        sample::here(&options);
        return ExitCode::SUCCESS;
    }
    if options.commands == [relocation::COUNT] {
        relocation::count_all();
        return ExitCode::SUCCESS;
    }
    let mut reports: Vec<&Report> = Vec::new();
    for command in &options.commands {
        match report::ALL.iter().find(|report| report.name == command) {
            Some(report) => reports.push(report),
            None => fail(&format!("unknown command {command}")),
        }
    }
    if reports.is_empty() {
        reports.extend(report::ALL);
    }
    println!("{}\n", machine::describe(&PEERS));
    for report in reports {
        if let Err(error) = (report.run)(&options) {
            eprintln!("terrace-bench-gc: {}: {error}", report.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
