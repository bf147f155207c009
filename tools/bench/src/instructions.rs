//! Mean instructions per operation.

use crate::{
    allocators::{Placed, Visitor, for_each},
    options::Options,
    programs,
    replay::{COUNTED, Replay},
    workload::{self, Workload},
};
use std::{collections::HashMap, ffi::CString, io, path::PathBuf, sync::Mutex, thread};
use terrace_measure::{callgrind, region::Region, table::Table};

const NOTES: &str = "\
Mean instructions per allocator call (alloc, realloc or free), from the first instruction of what is `__rust_alloc` in \
a program to its return, lock included, counted by callgrind; the program's own work is not counted. Every \
fixed-region allocator is behind an uncontended spin lock; system malloc and mimalloc use their own means and take \
memory from the system. `lifo`, `fifo`: batches of 1000 blocks of one size freed in reverse order or in order; `pair`: \
one block at a time. `small` (1 to 64 B), `fw` (80 % 8 to 128 B, the rest to 2 KiB), `rand1k` (1 B to 1 KiB), `log` (16 B to \
256 KiB, log-uniform): 1000 blocks in use, one at random replaced per step. `vec4`: vectors of u32 grown to 1000 \
elements by push; `string`: strings grown to 20 to 200 bytes; both with the copying of realloc. `trace`: replays of \
real programs. A figure with an asterisk: some requests were refused (their cost counts, the block is left out).";

/// The settings of the region's size.
const SETTINGS: [&str; 2] = ["roomy", "tight"];

/// The workloads in the order of the table.
fn workloads(options: &Options) -> Vec<Workload> {
    let mut all = workload::all(if options.quick { 2 } else { 20 });
    all.extend(programs::traces());
    all.retain(|workload| options.wants_workload(&workload.name));
    all
}

/// The part that runs under callgrind: `count SETTING ALLOCATOR`. Prints a line per workload: name, operations,
/// refused requests.
pub fn count(options: &Options) {
    let [_, setting, allocator] = &options.commands[..] else {
        return;
    };
    struct Count<'a> {
        allocator: &'a str,
        setting: &'a str,
        workloads: Vec<Workload>,
    }
    impl Visitor for Count<'_> {
        fn visit<A: Placed>(&mut self) {
            if A::NAME != self.allocator {
                return;
            }
            for workload in &self.workloads {
                let len = if self.setting == "tight" {
                    workload.tight()
                } else {
                    workload.roomy
                };
                let region = Region::new(len);
                let mut replay = Replay::<A>::new(&workload.trace);
                // SAFETY: one thread, one replay after the other; the region outlives the replay.
                let failures = unsafe {
                    assert!(A::open(&region));
                    replay.warm_up();
                    replay.measure();
                    let name = CString::new(workload.name.as_str()).expect("names hold no zero byte");
                    callgrind::end_section(&name);
                    replay.finish()
                };
                println!("{}\t{}\t{failures}", workload.name, workload.trace.measured());
            }
        }
    }
    for_each(
        &[],
        &mut Count {
            allocator,
            setting,
            workloads: workloads(options),
        },
    );
}

/// Instructions per operation, and whether requests were refused.
type Means = HashMap<String, (f64, bool)>;

pub fn run(options: &Options) -> io::Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Err(io::Error::other("counting needs an x86-64 host"));
    }
    struct Names(Vec<&'static str>);
    impl Visitor for Names {
        fn visit<A: Placed>(&mut self) {
            self.0.push(A::NAME);
        }
    }
    let mut names = Names(Vec::new());
    for_each(&options.allocators, &mut names);
    let workloads: Vec<String> = workloads(options).into_iter().map(|workload| workload.name).collect();
    let jobs: Vec<(&str, &str)> = SETTINGS
        .iter()
        .flat_map(|&setting| names.0.iter().map(move |&name| (setting, name)))
        .collect();
    let results = in_parallel(&jobs, options)?;
    for setting in SETTINGS {
        let region = match setting {
            "tight" => "Region: twice the most bytes in use at any time (64 KiB at least), as on a small device.",
            _ => "Region: 64 MiB, `log` 128 MiB: memory is plentiful.",
        };
        let mut table = Table::new(
            format!("Instructions per operation, {setting}"),
            format!("{NOTES} {region}"),
            workloads.clone(),
        );
        for &name in &names.0 {
            let Some(means) = results.get(&(setting, name)) else {
                continue;
            };
            table.row(
                name,
                workloads.iter().map(|workload| match means.get(workload) {
                    Some((mean, refused)) => format!("{mean:.0}{}", if *refused { "*" } else { "" }),
                    None => "-".into(),
                }),
            );
        }
        println!("{table}");
    }
    Ok(())
}

/// Runs the jobs, two at a time.
fn in_parallel<'a>(jobs: &[(&'a str, &'a str)], options: &Options) -> io::Result<HashMap<(&'a str, &'a str), Means>> {
    let queue = Mutex::new(jobs.iter().enumerate());
    let results = Mutex::new(HashMap::new());
    let work = || -> io::Result<()> {
        loop {
            let Some((number, &(setting, name))) = queue.lock().expect("not poisoned").next() else {
                return Ok(());
            };
            eprintln!("instructions: {name}, {setting} ({} of {})", number + 1, jobs.len());
            let means = one(setting, name, options, number)?;
            results.lock().expect("not poisoned").insert((setting, name), means);
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        let here = work();
        other.join().expect("the worker does not panic").and(here)
    })?;
    Ok(results.into_inner().expect("not poisoned"))
}

/// One allocator in one setting.
fn one(setting: &str, name: &str, options: &Options, number: usize) -> io::Result<Means> {
    let mut arguments = vec!["count", setting, name];
    for workload in &options.workloads {
        arguments.extend(["-w", workload]);
    }
    if options.quick {
        arguments.push("--quick");
    }
    let directory: PathBuf = std::env::temp_dir().join(format!("terrace-bench-{}-{number}", std::process::id()));
    let (printed, sections) = callgrind::run(&arguments, COUNTED, &directory)?;
    let counts: HashMap<String, u64> = sections.into_iter().collect();
    let mut means = Means::new();
    for line in printed.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [workload, operations, failures] = fields[..] else {
            continue;
        };
        let (Some(&count), Ok(operations)) = (counts.get(workload), operations.parse::<f64>()) else {
            continue;
        };
        means.insert(workload.to_string(), (count as f64 / operations, failures != "0"));
    }
    Ok(means)
}
