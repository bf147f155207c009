//! Processor time of the workloads, and memory.

use std::collections::BTreeMap;
use std::io;

use terrace_measure::table::Table;

use crate::contestants::NAMES;
use crate::options::Options;
use crate::rounds::{self, Row, digits, median};
use crate::workload::{ALL, Workload};

/// `Box` and `Rc` leave rings behind, so that there is nothing to compare with.
const ABSOLUTE: &str = "cyc";

type Cells = BTreeMap<&'static str, Vec<String>>;

pub fn run(options: &Options) -> io::Result<()> {
    let workloads = options.chosen_workloads(&ALL.map(|(name, _)| name));
    let (mut times, mut memory) = (Cells::new(), Cells::new());
    let mut columns = Vec::new();
    for workload in workloads {
        let rows = rounds::run(workload, options)?;
        let yardstick = rows.iter().find(|row| row.name == NAMES[0]);
        let objects = Workload::new(workload, options.scale()).map_or(0, Workload::objects);
        columns.push(match yardstick {
            Some(_) if workload != ABSOLUTE => workload.to_owned(),
            _ => format!("{workload}, ms"),
        });
        for name in NAMES {
            let row = rows.iter().find(|row| row.name == *name);
            let (time, peak) = match row {
                Some(row) => (time_of(row, yardstick, objects), peak_of(row)),
                None => ("-".into(), "-".into()),
            };
            times.entry(name).or_default().push(time);
            memory.entry(name).or_default().push(peak);
        }
    }
    let notes = format!(
        "Processor time relative to `Box` in the same round, of a second run in the same process; median of {}, less is better. Of `Box`: nanoseconds per object. \
         Heap of terrace: {} MiB. bumpalo frees nothing: the limit. terrace-handles makes each object by `Cx::new`, terrace \
         all of a step in a window.",
        options.rounds,
        options.region >> 20,
    );
    print("Time", &notes, &columns, &times, options);
    print(
        "Memory",
        "The most that the process had at any time, MiB; the program itself takes about 2. bumpalo: that of two runs.",
        &columns,
        &memory,
        options,
    );
    Ok(())
}

fn print(title: &str, notes: &str, columns: &[String], cells: &Cells, options: &Options) {
    let mut table = Table::new(title, notes, columns.iter().cloned());
    for name in [&NAMES[..1], &options.chosen_contestants()].concat() {
        table.row(name, cells.get(name).cloned().unwrap_or_default());
    }
    println!("{table}");
}

fn time_of(row: &Row, yardstick: Option<&Row>, objects: usize) -> String {
    let times = row.samples.iter().map(|sample| sample.cpu.as_secs_f64());
    match yardstick {
        None => digits(median(times.collect()) * 1e3),
        Some(yardstick) if row.name == yardstick.name => {
            format!("{} ns", digits(median(times.collect()) * 1e9 / objects as f64))
        }
        Some(yardstick) => digits(row.ratio(yardstick)),
    }
}

fn peak_of(row: &Row) -> String {
    let peaks = row
        .samples
        .iter()
        .map(|sample| sample.memory as f64 / f64::from(1 << 20));
    format!("{:.0}", median(peaks.collect()))
}
