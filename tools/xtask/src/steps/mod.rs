//! The steps of `cargo xtask test`.
//!
//! A step fails when what it looks at is not there; it is skipped only when this machine lacks a tool that could not
//! be got, and then the summary says so.

mod boards;
mod checkers;
mod features;
mod fuzz;
mod host;
mod lint;
mod package;

pub use boards::decoded_log;

use crate::board::Board;
use crate::error::{Error, Result, failed};
use crate::report::{Outcome, Report};
use crate::setup::{self, Tool};
use crate::workspace::Workspace;
use std::time::Instant;

/// One named check.
pub struct Step {
    pub name: &'static str,
    pub about: &'static str,
    needs: &'static [Need],
    /// Whether it may be skipped where nothing promised may be.
    optional: bool,
    /// Does the work; the text is a remark for the summary.
    run: fn(&Workspace) -> Result<String>,
}

/// What has to be set up before a step.
enum Need {
    /// The Rust targets of all boards.
    Targets,
    /// The Rust targets of all boards, and QEMU.
    Boards,
    System(Tool),
}

const fn step(
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    run: fn(&Workspace) -> Result<String>,
) -> Step {
    Step {
        name,
        about,
        needs,
        optional: false,
        run,
    }
}

/// All steps, the quick ones first.
#[rustfmt::skip]
pub const ALL: &[Step] = &[
    step("fmt", "source is formatted", &[], lint::format),
    step("msrv", "the oldest compiler that the manifest promises", &[], package::rust_version),
    step("clippy", "no warnings on the host", &[], lint::clippy_host),
    step("clippy-boards", "no warnings for the boards", &[Need::Targets], lint::clippy_boards),
    step("doc", "documentation builds as on docs.rs", &[], lint::documentation),
    step("package", "the published package is complete and builds alone", &[], package::contents),
    step("test", "all tests and doc tests of the workspace", &[], host::tests),
    step("test-check", "tests with the expensive self-checks", &[], host::tests_with_checks),
    step("test-nightly", "tests with the unstable Allocator trait", &[], host::tests_with_nightly),
    step("model", "orders of execution on several cores", &[], checkers::model),
    step("features", "sets of features, on the host and on bare metal", &[Need::Targets], features::powerset),
    step("examples", "examples as programs of the host", &[], host::examples),
    step("qemu", "examples on every board", &[Need::Boards], boards::examples),
    step("size", "firmware is as small as promised", &[Need::Targets], boards::sizes),
    step("defmt", "the defmt log, decoded, is as recorded", &[Need::Boards], boards::defmt_log),
    step("valgrind", "tests under memcheck", &[Need::System(Tool::Valgrind)], checkers::valgrind),
    step("32-bit", "tests on a 32-bit host", &[Need::System(Tool::Gcc32)], host::tests_32_bit),
    step("asan", "tests under AddressSanitizer and LeakSanitizer", &[], checkers::address),
    step("tsan", "tests under ThreadSanitizer", &[], checkers::thread),
    step("fuzz", "fuzz targets, from the recorded inputs", &[Need::System(Tool::Cxx)], fuzz::targets),
    Step { optional: true, ..step("miri", "tests under Miri, with tree borrows", &[], checkers::miri) },
];

/// Which steps to run, and how strictly.
#[derive(Default)]
pub struct Choice {
    /// Names of steps; none means all.
    pub only: Vec<String>,
    /// Whether something missing is a failure.
    pub strict: bool,
}

/// Runs the chosen steps, prints the summary, and says whether all went well.
pub fn run(workspace: &Workspace, choice: &Choice) -> Result<bool> {
    if let Some(name) = choice
        .only
        .iter()
        .find(|name| ALL.iter().all(|step| step.name != *name))
    {
        return failed(format!("no step `{name}`; `cargo xtask test --list` shows all"));
    }
    let mut report = Report::default();
    for step in ALL
        .iter()
        .filter(|step| choice.only.is_empty() || choice.only.iter().any(|name| name == step.name))
    {
        eprintln!("\n=== {}: {}", step.name, step.about);
        let begin = Instant::now();
        let outcome = match step.prepare(workspace).and_then(|()| (step.run)(workspace)) {
            Ok(remark) => Outcome::Passed(remark),
            Err(Error::Missing(what)) if step.optional || !choice.strict => Outcome::Skipped(what),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        eprintln!("=== {}: {outcome}", step.name);
        report.add(step.name, begin.elapsed(), outcome);
    }
    report.print();
    Ok(report.good())
}

impl Step {
    fn prepare(&self, workspace: &Workspace) -> Result {
        for need in self.needs {
            match need {
                Need::Targets => setup::install(workspace, &Board::targets(&Board::all(workspace)?))?,
                Need::Boards => Board::prepare(workspace, &Board::all(workspace)?)?,
                Need::System(tool) => setup::require(&[*tool])?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, step) in ALL.iter().enumerate() {
            assert!(
                ALL.iter().skip(index + 1).all(|other| other.name != step.name),
                "{}",
                step.name
            );
        }
    }
}
