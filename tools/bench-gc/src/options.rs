//! The command line.

use std::process::exit;

use crate::workload::{self, Scale};
use crate::{contestants, report};

const HELP: &str = "\
Compares terrace's arenas with `Box`, `Rc` and other collectors, and prints Markdown tables.

usage: terrace-bench-gc [COMMAND]... [OPTION]...

commands (without any: all but the last):
REPORTS  one            one workload with one contestant in this process, for a profiler: `one -w bt -a terrace`

options:
  -w, --workload NAME    only this workload, or those whose names contain NAME; repeatable
  -a, --allocator NAME   only this contestant, or those whose names contain NAME, beside the yardstick; repeatable
      --rounds N         rounds of processes; 7 by default
      --quick            three rounds of smaller workloads: rough figures
      --region BYTES     of the arenas' heap; 67108864 by default
      --pauses           with `one`: how long the steps took
      --once             with `one`: without the run before, which warms up
      --list             workloads and contestants
  -h, --help";

#[derive(Clone, Default)]
pub struct Options {
    pub commands: Vec<String>,
    pub workloads: Vec<String>,
    pub contestants: Vec<String>,
    pub rounds: usize,
    pub quick: bool,
    pub region: usize,
    pub pauses: bool,
    pub once: bool,
}

impl Options {
    /// From the command line; ends the program on `--help`, `--list` and mistakes.
    pub fn parse() -> Options {
        let mut options = Options {
            commands: Vec::new(),
            workloads: Vec::new(),
            contestants: Vec::new(),
            rounds: 0,
            quick: false,
            region: 64 << 20,
            pauses: false,
            once: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .unwrap_or_else(|| fail(&format!("{argument} needs a value")))
            };
            match argument.as_str() {
                "-w" | "--workload" => options.workloads.push(value()),
                "-a" | "--allocator" => options.contestants.push(value()),
                "--rounds" => options.rounds = number(&argument, &value()),
                "--region" => options.region = number(&argument, &value()),
                "--quick" => options.quick = true,
                "--pauses" => options.pauses = true,
                "--once" => options.once = true,
                "--list" => list(),
                "-h" | "--help" => {
                    println!("{}", help());
                    exit(0);
                }
                name if name.starts_with('-') => fail(&format!("unknown option {name}")),
                name => options.commands.push(name.to_string()),
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.quick { 3 } else { 7 };
        }
        options
    }

    pub fn scale(&self) -> Scale {
        if self.quick { Scale::Quick } else { Scale::Full }
    }

    /// The workloads of these that are wanted, in order.
    pub fn chosen_workloads(&self, of: &[&'static str]) -> Vec<&'static str> {
        chosen(of, &self.workloads)
    }

    /// The contestants that are wanted, in order, without the yardstick.
    pub fn chosen_contestants(&self) -> Vec<&'static str> {
        let mut names = chosen(contestants::NAMES, &self.contestants);
        names.retain(|name| *name != contestants::NAMES[0]);
        names
    }
}

/// A wanted name stands for itself, or else for all names that contain it.
fn chosen(names: &[&'static str], wanted: &[String]) -> Vec<&'static str> {
    let is_wanted = |name: &str| {
        wanted.iter().any(|wanted| {
            let is_exact = contestants::NAMES.contains(&wanted.as_str());
            name == wanted || !is_exact && name.contains(wanted.as_str())
        })
    };
    let names = names.iter().copied();
    names.filter(|name| wanted.is_empty() || is_wanted(name)).collect()
}

fn number(argument: &str, value: &str) -> usize {
    value
        .parse()
        .unwrap_or_else(|_| fail(&format!("{argument} needs a number, not {value}")))
}

fn help() -> String {
    let reports: String = report::ALL
        .iter()
        .map(|report| format!("  {:14} {}\n", report.name, report.about))
        .collect();
    HELP.replace("REPORTS", &reports)
}

fn list() -> ! {
    println!("workloads:");
    for (name, about) in workload::ALL {
        println!("  {name:6} {about}");
    }
    println!("contestants: {}", contestants::NAMES.join(", "));
    exit(0);
}

/// Ends the program with a message.
pub fn fail(message: &str) -> ! {
    eprintln!("terrace-bench-gc: {message}\n\n{}", help());
    exit(2);
}
