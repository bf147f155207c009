//! The command line.

use std::process::exit;

pub const HELP: &str = "\
Compares terrace with other allocators and prints Markdown tables.

usage: terrace-bench [COMMAND]... [OPTION]...

commands (without any: instructions, density, worst, scaling):
  instructions   mean instructions per operation (x86-64, needs valgrind)
  density        how much of a region can be used; smallest regions for real traces; false failures
  worst          the costliest single operation found by adversaries (x86-64 Linux)
  scaling        two threads against one
  m4             instructions per operation on a Cortex-M4F under QEMU (needs qemu-system-arm, thumbv7em-none-eabi)
  size           flash and static RAM of a minimal Cortex-M4 firmware (needs thumbv7em-none-eabi)
  traces         what the recorded programs ask for

options:
  -a, --allocator NAME   only allocators whose name contains NAME; repeatable
  -w, --workload NAME    only workloads whose name contains NAME; repeatable
      --quick            fewer operations, seeds and attempts: rough figures
      --limits           with `size`: fail if something is larger than promised
  -h, --help";

pub struct Options {
    pub commands: Vec<String>,
    pub allocators: Vec<String>,
    pub workloads: Vec<String>,
    pub quick: bool,
    pub limits: bool,
}

impl Options {
    /// From the command line; ends the program on `--help` and on mistakes.
    pub fn parse() -> Options {
        let mut options = Options {
            commands: Vec::new(),
            allocators: Vec::new(),
            workloads: Vec::new(),
            quick: false,
            limits: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .unwrap_or_else(|| fail(&format!("{argument} needs a name")))
            };
            match argument.as_str() {
                "-a" | "--allocator" => options.allocators.push(value()),
                "-w" | "--workload" => options.workloads.push(value()),
                "--quick" => options.quick = true,
                "--limits" => options.limits = true,
                "-h" | "--help" => {
                    println!("{HELP}");
                    exit(0);
                }
                name if name.starts_with('-') => fail(&format!("unknown option {name}")),
                name => options.commands.push(name.to_string()),
            }
        }
        options
    }

    pub fn wants_workload(&self, name: &str) -> bool {
        self.workloads.is_empty() || self.workloads.iter().any(|wanted| name.contains(wanted.as_str()))
    }
}

/// Ends the program with a message.
pub fn fail(message: &str) -> ! {
    eprintln!("terrace-bench: {message}\n\n{HELP}");
    exit(2);
}
