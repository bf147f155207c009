//! Fuzz targets, run for a short time each from the inputs recorded in the repository.
//!
//! The programs are ordinary ones that link libFuzzer; only the flags below make them fuzz targets. So cargo-fuzz,
//! which is convenient for longer runs by hand, is not needed here.

use crate::error::{Error, Result, failed};
use crate::process::Process;
use crate::workspace::{Workspace, executables};
use std::fs;
use std::path::Path;

/// For all targets together.
const SECONDS: u64 = 60;

/// As cargo-fuzz sets them: coverage that libFuzzer reads, AddressSanitizer, assertions.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Zsanitizer=address";

pub fn targets(workspace: &Workspace) -> Result<String> {
    let folder = workspace.root.join("tools/fuzz");
    if !folder.join("Cargo.toml").is_file() {
        return failed("there is no tools/fuzz");
    }
    instrumented(workspace, "clippy", &folder)
        .args(["--", "-D", "warnings"])
        .run()?;
    let built = instrumented(workspace, "build", &folder)
        .arg("--message-format=json-render-diagnostics")
        .output()?;
    let programs = executables(&built);
    if programs.is_empty() {
        return failed("tools/fuzz has no targets");
    }
    let seconds = SECONDS.div_ceil(programs.len() as u64);
    for (name, program) in &programs {
        fuzz(workspace, name, program, &folder.join("corpus").join(name), seconds)?;
    }
    Ok(format!("{} targets, {seconds} s each", programs.len()))
}

fn instrumented(workspace: &Workspace, command: &str, folder: &Path) -> Process {
    workspace
        .cargo(command)
        .dir(folder)
        .args(["--release", "--bins", "--target", &workspace.host])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", workspace.target.join("fuzz"))
}

fn fuzz(workspace: &Workspace, name: &str, program: &Path, recorded: &Path, seconds: u64) -> Result {
    if fs::read_dir(recorded).map_or(0, Iterator::count) == 0 {
        return failed(format!("no recorded inputs in {}", recorded.display()));
    }
    // New inputs go to the first folder: the repository's own stays as it is.
    let found = workspace.target.join("fuzz/corpus").join(name);
    let crashes = workspace.target.join("fuzz/artifacts").join(name);
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&crashes)?;
    let log = workspace.target.join(format!("fuzz/{name}.log"));
    let result = Process::new(program)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(&found)
        .arg(recorded)
        .errors(fs::File::create(&log)?)
        .limit(seconds + 300)
        .run();
    let text = fs::read_to_string(&log)?;
    let wanted = |line: &&str| result.is_err() || line.starts_with("stat::number_of_executed_units");
    text.lines().filter(wanted).for_each(|line| eprintln!("{line}"));
    result.map_err(|error| Error::Failed(format!("fuzz target {name}: {error}")))
}
