//! Tests under programs that watch them.
//!
//! The sanitizers come with the stable compiler; `RUSTC_BOOTSTRAP` unlocks them, so that what is tested is what users
//! compile, not a nightly.

use super::host::{SCALE, package};
use crate::error::{Result, missing};
use crate::process::Process;
use crate::setup;
use crate::workspace::{PACKAGE, Workspace};

/// What the test harness keeps of its main thread until the end is reachable, and no leak.
const MEMCHECK: &str = "valgrind --quiet --error-exitcode=99 --fair-sched=yes \
    --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite";

pub fn address(workspace: &Workspace) -> Result<String> {
    sanitized(workspace, workspace.cargo("test"), "address")
        .env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
        .env(SCALE, "100")
        .run()?;
    Ok(String::new())
}

/// The library must be instrumented too, or every `Arc` and `Mutex` of the standard library looks like a race.
pub fn thread(workspace: &Workspace) -> Result<String> {
    let library = setup::library(workspace)?;
    let cargo = setup::with_source(workspace.cargo("test"), &library).arg("-Zbuild-std");
    sanitized(workspace, cargo, "thread")
        .env("TSAN_OPTIONS", "halt_on_error=1")
        .env(SCALE, "20")
        .run()?;
    Ok(String::new())
}

fn sanitized(workspace: &Workspace, cargo: Process, sanitizer: &str) -> Process {
    // A target must be named, or build scripts and macros would be instrumented too.
    package(cargo, &workspace.host_features().join(","))
        .args(["--target", &workspace.host])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"))
        .env("CARGO_TARGET_DIR", workspace.target.join(sanitizer))
}

/// The test replaces the atomics of the crate by those of the model, so it is built with a `cfg` of its own.
pub fn model(workspace: &Workspace) -> Result<String> {
    let features = workspace.host_features().join(",");
    let modelled = |command: &str| {
        workspace
            .cargo(command)
            .args(["--package", PACKAGE, "--test", "interleavings", "--features", &features])
            .env("RUSTFLAGS", "--cfg terrace_model")
            .env("CARGO_TARGET_DIR", workspace.target.join("model"))
    };
    modelled("clippy").args(["--", "-D", "warnings"]).run()?;
    modelled("test").run()?;
    Ok(String::new())
}

pub fn valgrind(workspace: &Workspace) -> Result<String> {
    let runner = format!(
        "CARGO_TARGET_{}_RUNNER",
        workspace.host.to_uppercase().replace('-', "_")
    );
    package(workspace.cargo("test"), &workspace.host_features().join(","))
        .env(&runner, MEMCHECK)
        .env(SCALE, "5")
        .run()?;
    Ok(String::new())
}

pub fn miri(workspace: &Workspace) -> Result<String> {
    let nightly = |task: &str| Process::new("rustup").args(["run", "nightly", "cargo", "miri", task]);
    if !nightly("--version").quiet().succeeds() {
        return missing("Miri is not installed: `rustup +nightly component add miri`");
    }
    package(nightly("test"), &workspace.host_features().join(","))
        .dir(&workspace.root)
        .without(&["CARGO", "RUSTC"])
        .env("MIRIFLAGS", "-Zmiri-tree-borrows")
        .env(SCALE, "1")
        .env("CARGO_TARGET_DIR", workspace.target.join("miri"))
        .run()?;
    Ok(String::new())
}
