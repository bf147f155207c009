//! How long steps of the program take: what an incremental collector spreads, and the others do in one go.

use std::io;

use terrace_measure::table::Table;

use crate::options::Options;
use crate::rounds::{self, digits, median};

/// The workloads whose steps are measured.
const MEASURED: [&str; 2] = ["surv", "mut"];

/// Parts of the steps that are named.
const PARTS: [&str; 4] = ["p50", "p99", "p99.99", "longest"];

pub fn run(options: &Options) -> io::Result<()> {
    let options = Options {
        pauses: true,
        rounds: options.rounds.min(3),
        ..options.clone()
    };
    for workload in options.chosen_workloads(&MEASURED) {
        let mut table = Table::new(
            format!("Pauses in {workload}"),
            format!(
                "Processor time of a step of 100 objects, microseconds; median of {} runs.",
                options.rounds
            ),
            PARTS.map(str::to_owned),
        );
        for row in rounds::run(workload, &options)? {
            let times = (0..PARTS.len()).map(|part| {
                let steps = row.samples.iter().filter_map(|sample| sample.steps);
                digits(median(steps.map(|steps| steps[part] as f64 / 1e3).collect()))
            });
            table.row(row.name, times);
        }
        println!("{table}");
    }
    Ok(())
}
