//! Compares terrace with other allocators over one fixed region.
//!
//! ```text
//!   options -> instructions, density, worst, scaling, board, size      one table each, printed by table
//!                 |             |       |       |        |     |
//!              callgrind        |   adversary   |        +-----+-- m4/   firmware, built and run by this program
//!                 |             |     step      |
//!               replay ---------+-------+-------+
//!                 |
//!        trace <- workload (synthetic), programs + record (real)
//!                 |
//!           allocators (statics) -> peers -> subject (one lock, one region)
//! ```

mod adversary;
mod allocators;
mod blocks;
mod board;
mod density;
mod firmware;
mod instructions;
mod mix;
mod options;
mod peers;
mod programs;
mod record;
mod replay;
mod scaling;
mod size;
mod step;
mod subject;
mod trace;
mod workload;
mod worst;

use options::Options;
use std::process::ExitCode;
use terrace_measure::machine;

/// Crates that are compared.
const PEERS: [&str; 6] = [
    "talc",
    "rlsf",
    "linked_list_allocator",
    "buddy_system_allocator",
    "dlmalloc",
    "mimalloc",
];

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.commands.first().is_some_and(|command| command == "count") {
        instructions::count(&options);
        return ExitCode::SUCCESS;
    }
    if options.commands.is_empty() {
        options.commands = ["instructions", "density", "worst", "scaling"]
            .map(String::from)
            .to_vec();
    }
    println!("{}\n", machine::describe(&PEERS));
    for command in &options.commands {
        let done = match command.as_str() {
            "instructions" => instructions::run(&options),
            "density" => {
                density::run(&options);
                Ok(())
            }
            "worst" => worst::run(&options),
            "scaling" => {
                scaling::run(&options);
                Ok(())
            }
            "m4" => board::run(&options),
            "size" => size::run(&options),
            "traces" => {
                programs::describe();
                Ok(())
            }
            other => options::fail(&format!("unknown command {other}")),
        };
        if let Err(error) = done {
            eprintln!("terrace-bench: {command}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
