//! Instructions per node of `bt`: what allocation costs without the noise of clocks, and what handles cost over windows.

use std::io;

use terrace_measure::callgrind;
use terrace_measure::table::Table;

use crate::contestants::NAMES;
use crate::options::Options;
use crate::sample::COUNTED;
use crate::workload::{Scale, Workload};

/// The workload that is counted.
const WORKLOAD: &str = "bt";

pub fn run(options: &Options) -> io::Result<()> {
    let nodes = Workload::new(WORKLOAD, Scale::Quick).map_or(1, Workload::objects);
    let mut table = Table::new(
        "Instructions per node of bt",
        "All that the program does, divided by the nodes that it makes, depth 14: making, counting and reclaiming them.",
        ["instructions".to_owned()],
    );
    for name in [&NAMES[..1], &options.chosen_contestants()].concat() {
        eprintln!("instructions: {name}");
        let directory = std::env::temp_dir().join(format!("terrace-bench-gc-{}", std::process::id()));
        let arguments = ["one", "-w", WORKLOAD, "-a", name, "--quick", "--once"];
        let (_, sections) = callgrind::run(&arguments, COUNTED, &directory)?;
        let total: u64 = sections.iter().map(|(_, count)| count).sum();
        table.row(name, [format!("{:.0}", total as f64 / nodes as f64)]);
    }
    println!("{table}");
    Ok(())
}
