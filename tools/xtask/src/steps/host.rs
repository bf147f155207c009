//! Tests that run as ordinary programs.

use crate::board;
use crate::error::{Result, failed};
use crate::process::Process;
use crate::setup;
use crate::workspace::{PACKAGE, Workspace};

const I686: &str = "i686-unknown-linux-gnu";

/// How many of their operations the long tests do, in percent: what watches them slows them down. Tests that compare
/// messages of the compiler leave that out when it is set, for these differ with flags and releases.
pub const SCALE: &str = "TERRACE_TEST_SCALE";

pub fn tests(workspace: &Workspace) -> Result<String> {
    let features: Vec<_> = workspace
        .host_features()
        .iter()
        .map(|name| format!("{PACKAGE}/{name}"))
        .collect();
    let tests = workspace
        .cargo("test")
        .args(["--workspace", "--no-fail-fast", "--features", &features.join(",")]);
    if workspace.is_oldest() {
        tests.run()?;
        Ok(String::new())
    } else {
        tests.env(SCALE, "100").run()?;
        Ok(format!("but not the messages of rustc {}", workspace.rust_version()))
    }
}

pub fn tests_with_checks(workspace: &Workspace) -> Result<String> {
    let features = workspace.host_features().join(",") + ",check";
    package(workspace.cargo("test"), &features).run()?;
    Ok(String::new())
}

pub fn tests_with_nightly(workspace: &Workspace) -> Result<String> {
    let features = workspace.host_features().join(",") + ",nightly";
    package(workspace.cargo("test"), &features)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(SCALE, "20")
        .env("CARGO_TARGET_DIR", workspace.target.join("nightly"))
        .run()?;
    Ok(String::new())
}

/// The examples are firmware and host programs at once; those that log by defmt are firmware only.
pub fn examples(workspace: &Workspace) -> Result<String> {
    let mut count = 0;
    for example in workspace.examples().iter().filter(|example| !example.is_logged()) {
        workspace
            .cargo("run")
            .args(["--quiet", "--example", &example.name])
            .args(board::features(example))
            .run()?;
        count += 1;
    }
    if count == 0 {
        failed("there are no examples")
    } else {
        Ok(format!("{count} examples"))
    }
}

/// On 32 bits a granule is two words and not one, and addresses near the end of the address space occur.
pub fn tests_32_bit(workspace: &Workspace) -> Result<String> {
    let cargo = if setup::install_host(I686) {
        workspace.cargo("test")
    } else {
        setup::with_source(workspace.cargo("test"), &setup::library(workspace)?).arg("-Zbuild-std")
    };
    package(cargo, &workspace.host_features().join(","))
        .args(["--target", I686])
        .env(SCALE, "100")
        .env("CARGO_TARGET_DIR", workspace.target.join("32-bit"))
        .run()?;
    Ok(String::new())
}

/// The tests of the package alone, without its examples.
pub fn package(cargo: Process, features: &str) -> Process {
    cargo
        .args(["--package", PACKAGE, "--lib", "--tests"])
        .args(["--no-fail-fast", "--features", features])
}
