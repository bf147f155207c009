//! What is promised to the users of the published package.

use crate::error::{Result, failed, missing};
use crate::process::Process;
use crate::workspace::{PACKAGE, Workspace};

/// The package of the procedural macro.
const MACROS: &str = "terrace-derive";

/// Files without which the package is not complete.
const FILES: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "build.rs",
    "src/lib.rs",
];

/// Folders that a package may have; everything else lies at its top.
const FOLDERS: &[&str] = &["docs/", "examples/", "src/"];

pub fn contents(workspace: &Workspace) -> Result<String> {
    // Changes that are not committed yet are tested too.
    let list = workspace
        .cargo("package")
        .args(["--package", PACKAGE, "--list", "--allow-dirty"])
        .text()?;
    let files: Vec<_> = list.lines().collect();
    if let Some(file) = FILES.iter().find(|file| !files.contains(file)) {
        return failed(format!("{file} is not in the package"));
    }
    let stray = |file: &&&str| file.contains('/') && !FOLDERS.iter().any(|folder| file.starts_with(folder));
    if let Some(file) = files.iter().find(stray) {
        return failed(format!("{file} should not be in the package"));
    }
    // Both at once, since the one depends on the other.
    workspace
        .cargo("publish")
        .args(["--package", MACROS, "--package", PACKAGE])
        .args(["--dry-run", "--quiet", "--allow-dirty"])
        .run()?;
    Ok(format!("{} files", files.len()))
}

pub fn rust_version(workspace: &Workspace) -> Result<String> {
    let promised = workspace.rust_version();
    if workspace.is_oldest() {
        return Ok(format!("{promised} is the compiler of all steps"));
    }
    let cargo = |name: &str| Process::new("rustup").args(["run", name, "cargo"]).dir(&workspace.root);
    let exact = format!("{promised}.0");
    let Some(name) = [promised, &exact]
        .into_iter()
        .find(|name| cargo(name).arg("--version").quiet().succeeds())
    else {
        return missing(format!(
            "rustc {} is in use, and {promised} is not installed",
            workspace.release
        ));
    };
    cargo(name)
        .args([
            "check",
            "--package",
            PACKAGE,
            "--features",
            &workspace.features().join(","),
        ])
        .without(&["CARGO", "RUSTC"])
        .env("CARGO_TARGET_DIR", workspace.target.join("msrv"))
        .run()?;
    Ok(format!("checked with {name}"))
}
