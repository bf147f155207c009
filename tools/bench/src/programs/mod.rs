//! The programs whose allocations are recorded. Each does the same at every run.

mod device;
mod index;
mod json;
mod script;

use crate::{record::record, trace::Trace, workload::Workload};
use terrace_measure::table::{Table, grouped};

/// The recorded traces: a device's firmware, a JSON parser, a script interpreter, a text index.
pub fn traces() -> Vec<Workload> {
    let programs: [(&str, fn()); 4] = [
        ("device", device::run),
        ("json", json::run),
        ("script", script::run),
        ("index", index::run),
    ];
    programs
        .into_iter()
        .map(|(name, program)| Workload::new(format!("trace {name}"), record(program)))
        .collect()
}

/// The device's trace alone.
pub fn device() -> Trace {
    record(device::run)
}

/// Prints what each program asks for. The digest changes if, and only if, a trace does: figures of runs with the same
/// digest can be compared.
pub fn describe() {
    let columns = [
        "calls",
        "objects",
        "under 16 B",
        "peak",
        "longest list of blocks",
        "stored",
        "digest",
    ];
    let mut table = Table::new(
        "Traces",
        "Recorded from programs in this repository at every run. Peak: the most bytes in use at any time, as requested.",
        columns.map(String::from),
    );
    for Workload { name, trace, .. } in traces() {
        let demand = trace.demand();
        table.row(
            name,
            [
                grouped(trace.ops.len()),
                grouped(demand.objects),
                format!("{} %", demand.tiny * 100 / demand.objects),
                format!("{} B", grouped(demand.peak)),
                grouped(trace.slots),
                format!("{} B", grouped(trace.encode().len())),
                format!("{:016x}", trace.digest()),
            ],
        );
    }
    println!("{table}");
}
