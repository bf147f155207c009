//! Instructions per operation on a Cortex-M4F, as QEMU models it.

use crate::{firmware, mix::Mix, options::Options, programs, workload};
use std::{fs, io};
use terrace_measure::table::{Table, bytes, grouped};

const NOTES: &str = "\
Mean instructions per call, allocation / free, for `small` (1000 blocks in use) and `fw` (120 blocks in use), about 32 KiB \
in use, one block at random replaced per step; for the trace of the device, whose sizes are those of its recording on a \
64-bit host, the mean of all calls. From the first instruction to the return, critical section included. QEMU \
mps2-an386, `-icount shift=7`, opt-level 3, fat LTO, embedded-alloc 0.7. An asterisk: some requests were refused.";

pub fn run(options: &Options) -> io::Result<()> {
    let folder = std::env::temp_dir().join(format!("terrace-bench-traces-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let replacements = if options.quick { 500 } else { 10_000 };
    let traces = [
        ("small", workload::steady(Mix::Small, 1000, replacements, 1)),
        ("fw", workload::steady(Mix::Firmware, 120, replacements, 1)),
        ("device", programs::device()),
    ];
    for (name, trace) in traces {
        fs::write(folder.join(name), trace.encode())?;
    }
    eprintln!("m4: building");
    let elf = firmware::build("count", "release", None, Some(&folder));
    fs::remove_dir_all(&folder)?;
    eprintln!("m4: running");
    let printed = firmware::run(&elf?)?;
    println!("{}", table(&printed, options));
    if options.allocators.is_empty()
        || options
            .allocators
            .iter()
            .any(|wanted| "terrace".contains(wanted.as_str()))
    {
        arenas()?;
    }
    Ok(())
}

const ARENA_NOTES: &str = "\
Instructions of an arena in a heap of 64 KiB, from the first one to the return; the mean of 100 calls but for collections. \
QEMU mps2-an386, `-icount shift=7`, opt-level 3, fat LTO.";

/// The same for arenas.
fn arenas() -> io::Result<()> {
    eprintln!("m4: arenas");
    let printed = firmware::run(&firmware::build("collect", "release", None, None)?)?;
    let mut table = Table::new("Arenas on a Cortex-M4F", ARENA_NOTES, ["instructions".to_owned()]);
    for (name, count) in printed.lines().filter_map(|line| line.split_once('\t')) {
        table.row(name, [count.parse().map_or_else(|_| count.to_owned(), grouped)]);
    }
    println!("{table}");
    Ok(())
}

/// The columns in the order in which the board prints them, one row per allocator.
fn table(printed: &str, options: &Options) -> Table {
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for line in printed.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, trace, len, numbers @ ..] = &fields[..] else {
            continue;
        };
        if !options.allocators.is_empty() && !options.allocators.iter().any(|wanted| name.contains(wanted.as_str())) {
            continue;
        }
        let column = format!("{trace} {}", len.parse().map_or((*len).to_string(), bytes));
        if !columns.contains(&column) {
            columns.push(column);
        }
        let cell = cell(trace, numbers).unwrap_or_else(|| "-".into());
        match rows.iter_mut().find(|row| row.0 == *name) {
            Some(row) => row.1.push(cell),
            None => rows.push(((*name).to_string(), vec![cell])),
        }
    }
    let mut table = Table::new("Cortex-M4F", NOTES, columns);
    for (name, cells) in rows {
        table.row(name, cells);
    }
    table
}

fn cell(trace: &str, numbers: &[&str]) -> Option<String> {
    let numbers: Vec<u64> = numbers
        .iter()
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [allocs, in_allocs, frees, in_frees, resizes, in_resizes, refused] = numbers[..] else {
        return None;
    };
    let mean = |instructions: u64, calls: u64| format!("{:.0}", instructions as f64 / calls.max(1) as f64);
    let asterisk = if refused > 0 { "*" } else { "" };
    Some(if trace == "device" {
        mean(in_allocs + in_frees + in_resizes, allocs + frees + resizes) + asterisk
    } else {
        format!("{} / {}{asterisk}", mean(in_allocs, allocs), mean(in_frees, frees))
    })
}
