//! Compares terrace's arenas with `Box`, `Rc` and the collectors of other crates.
//!
//! ```text
//!   options -> report -> time, pauses                 one table or more each
//!                          |
//!                        rounds                       processes that take turns
//!                          |
//!                        sample  ~~ process ~~>  one  a single measurement
//!                                                 |
//!                             workload x contestants  the former generic over the latter
//! ```

mod clock;
mod contestant;
mod contestants;
mod options;
mod pauses;
mod report;
mod rounds;
mod sample;
mod time;
mod workload;

use std::process::ExitCode;

use options::{Options, fail};
use report::Report;
use terrace_measure::machine;

/// Crates that are compared.
const PEERS: [&str; 5] = ["gc-arena", "dumpster", "boa_gc", "rust-cc", "bumpalo"];

fn main() -> ExitCode {
    let options = Options::parse();
    if options.commands == ["one"] {
        sample::here(&options);
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
