//! Tests under programs that watch them.
//!
//! The sanitizers come with the stable compiler; `RUSTC_BOOTSTRAP` unlocks them, so that what is tested is what users
//! compile, not a nightly.

use super::host::package;
use crate::error::{Result, failed, missing};
use crate::process::Process;
use crate::setup;
use crate::workspace::{PACKAGE, Workspace, executables};
use std::path::Path;

pub fn address(workspace: &Workspace) -> Result<String> {
    sanitized(workspace, workspace.cargo("test"), "address")
        .env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
        .run()?;
    Ok(String::new())
}

/// The library must be instrumented too, or every `Arc` and `Mutex` of the standard library looks like a race.
pub fn thread(workspace: &Workspace) -> Result<String> {
    let library = setup::library(workspace)?;
    let cargo = setup::with_source(workspace.cargo("test"), &library).arg("-Zbuild-std");
    sanitized(workspace, cargo, "thread")
        .env("TSAN_OPTIONS", "halt_on_error=1")
        .run()?;
    Ok(String::new())
}

fn sanitized(workspace: &Workspace, cargo: Process, sanitizer: &str) -> Process {
    // A target must be named, or build scripts and macros would be instrumented too.
    package(cargo, &workspace.host_features().join(","))
        .args(["--lib", "--tests", "--target", &workspace.host])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"))
        .env("CARGO_TARGET_DIR", workspace.target.join(sanitizer))
}

pub fn valgrind(workspace: &Workspace) -> Result<String> {
    let messages = package(workspace.cargo("test"), &workspace.host_features().join(","))
        .args([
            "--lib",
            "--tests",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ])
        .output()?;
    let programs = executables(&messages);
    if programs.is_empty() {
        return failed("cargo built no test programs");
    }
    for (_, program) in &programs {
        memcheck(workspace, program)?;
    }
    Ok(format!("{} programs", programs.len()))
}

fn memcheck(workspace: &Workspace, program: &Path) -> Result {
    Process::new("valgrind")
        .args([
            "--quiet",
            "--error-exitcode=99",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
        ])
        // The test harness keeps what it knows of its main thread until the end.
        .args(["--show-leak-kinds=definite", "--fair-sched=yes"])
        .arg(program)
        .dir(&workspace.root)
        .run()
}

pub fn miri(workspace: &Workspace) -> Result<String> {
    let nightly = |args: &[&str]| Process::new("rustup").args(["run", "nightly", "cargo"]).args(args);
    if !nightly(&["miri", "--version"]).quiet().succeeds() {
        return missing("Miri is not installed: `rustup +nightly component add miri`");
    }
    let features = workspace.host_features().join(",");
    nightly(&[
        "miri",
        "test",
        "--package",
        PACKAGE,
        "--lib",
        "--tests",
        "--features",
        &features,
    ])
    .dir(&workspace.root)
    .without(&["CARGO", "RUSTC"])
    .env("MIRIFLAGS", "-Zmiri-tree-borrows")
    .env("CARGO_TARGET_DIR", workspace.target.join("miri"))
    .run()?;
    Ok(String::new())
}
