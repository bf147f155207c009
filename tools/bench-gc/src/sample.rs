//! One measurement: a process of its own, which is this program run with the command `one`, and what it prints.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{env, io};

use terrace_measure::callgrind;

use crate::clock::{self, Steps};
use crate::contestant::Contestant;
use crate::contestants::{self, Visitor, terrace};
use crate::options::{Options, fail};
use crate::workload::Workload;

/// What one run of a workload took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Nothing, if the contestant cannot run the workload.
    pub checksum: Option<u64>,
    pub cpu: Duration,
    /// Bytes that the process had at most.
    pub memory: u64,
    /// Times below which lie half of the steps, 99 %, 99.99 % and all, in nanoseconds.
    pub steps: Option<[u64; 4]>,
}

/// The command `one`: measures in this process.
pub fn here(options: &Options) {
    let ([workload], [contestant]) = (&options.workloads[..], &options.contestants[..]) else {
        fail("`one` needs one workload and one contestant");
    };
    let Some(workload) = Workload::new(workload, options.scale()) else {
        fail(&format!("no workload {workload}"));
    };
    terrace::REGION.store(options.region, Ordering::Relaxed);
    match measure(workload, contestant, options) {
        Some(sample) => println!("{}", sample.to_line()),
        None => fail(&format!("no contestant {contestant}")),
    }
}

/// Measures in this process; nothing if there is no such contestant.
pub fn measure(workload: Workload, contestant: &str, options: &Options) -> Option<Sample> {
    let mut run = Run {
        workload,
        warm: !options.once,
        steps: if options.pauses {
            Steps::measured()
        } else {
            Steps::unmeasured()
        },
        done: None,
    };
    contestants::visit(contestant, &mut run);
    let (checksum, cpu) = run.done?;
    Some(Sample {
        checksum,
        cpu,
        memory: clock::peak_memory(),
        steps: run.steps.distribution(),
    })
}

/// Runs a workload with the contestant that is visited.
struct Run {
    workload: Workload,
    warm: bool,
    steps: Steps,
    done: Option<(Option<u64>, Duration)>,
}

impl Visitor for Run {
    fn visit<C: Contestant>(&mut self) {
        // Once before, so that what is measured is a program that has been running: the memory of all of them is mapped then.
        let mut unmeasured = Steps::unmeasured();
        if self.warm {
            self.workload.run::<C>(&mut unmeasured);
        }
        let before = clock::cpu_time();
        let checksum = measured::<C>(self.workload, &mut self.steps);
        self.done = Some((checksum, clock::cpu_time() - before));
        callgrind::end_section(MEASURED);
    }
}

/// The section that callgrind counts, and the function inside of which it does.
const MEASURED: &core::ffi::CStr = c"measured";
pub const COUNTED: &str = "terrace_bench_gc::sample::measured*";

/// All that is measured: callgrind counts inside of this function.
#[inline(never)]
fn measured<C: Contestant>(workload: Workload, steps: &mut Steps) -> Option<u64> {
    workload.run::<C>(steps)
}

impl Sample {
    /// Measures in a process of its own. Nothing if the contestant cannot run the workload, or fails.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn take(workload: &str, contestant: &str, options: &Options) -> io::Result<Option<Sample>> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["one", "-w", workload, "-a", contestant]);
        command.args(["--region", &options.region.to_string()]);
        if options.quick {
            command.arg("--quick");
        }
        if options.pauses {
            command.arg("--pauses");
        }
        if options.once {
            command.arg("--once");
        }
        // Whoever fails says why in the end, by the table.
        let output = command.stderr(Stdio::null()).output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let sample = Sample::from_line(&printed).filter(|sample| output.status.success() && sample.checksum.is_some());
        Ok(sample)
    }

    fn to_line(&self) -> String {
        let mut fields = vec![
            format!(
                "checksum={}",
                self.checksum.map_or("none".into(), |sum| sum.to_string())
            ),
            format!("cpu={}", self.cpu.as_nanos()),
            format!("memory={}", self.memory),
        ];
        if let Some(steps) = self.steps {
            fields.push(format!("steps={}", steps.map(|time| time.to_string()).join(",")));
        }
        fields.join(" ")
    }

    fn from_line(line: &str) -> Option<Sample> {
        let field = |name: &str| {
            line.split_whitespace()
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let steps = field("steps").map(|times| {
            times
                .split(',')
                .filter_map(|time| time.parse().ok())
                .collect::<Vec<_>>()
        });
        Some(Sample {
            checksum: field("checksum")?.parse().ok(),
            cpu: Duration::from_nanos(field("cpu")?.parse().ok()?),
            memory: field("memory")?.parse().ok()?,
            steps: steps.and_then(|times| times.try_into().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{ALL, Scale};

    #[test]
    fn lines_are_read_as_written() {
        let sample = Sample {
            checksum: Some(7),
            cpu: Duration::from_nanos(1_234_567_890),
            memory: 1 << 30,
            steps: Some([1, 2, 3, 4]),
        };
        assert_eq!(Sample::from_line(&sample.to_line()), Some(sample));
        assert_eq!(Sample::from_line("thread panicked"), None);
    }

    /// All contestants agree on the result of all workloads. One test, as a process has one arena of the main brand.
    #[test]
    fn all_contestants_do_the_same_work() {
        terrace::REGION.store(16 << 20, Ordering::Relaxed);
        let options = Options {
            pauses: true,
            once: true,
            ..Options::default()
        };
        for (name, _) in ALL {
            let workload = Workload::new(name, Scale::Tiny).unwrap();
            let mut sums = Vec::new();
            for contestant in contestants::NAMES {
                let sample = measure(workload, contestant, &options).unwrap();
                let can = name != "cyc" || !["Box", "Rc"].contains(contestant);
                assert_eq!(sample.checksum.is_some(), can, "{contestant}, {name}");
                sums.extend(sample.checksum);
                assert_eq!(sample.steps.is_some(), ["surv", "mut"].contains(&name));
            }
            assert!(sums[0] > 0, "{name} does something");
            assert!(sums.iter().all(|sum| *sum == sums[0]), "{name}: {sums:?}");
        }
    }
}
