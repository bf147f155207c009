//! What can be said of the source without running it.

use crate::board::Board;
use crate::error::Result;
use crate::workspace::{PACKAGE, Workspace};

pub fn format(workspace: &Workspace) -> Result<String> {
    workspace.cargo("fmt").args(["--all", "--check"]).run()?;
    for manifest in workspace.outsiders()? {
        workspace
            .cargo("fmt")
            .args(["--check", "--manifest-path"])
            .arg(manifest)
            .run()?;
    }
    Ok(String::new())
}

pub fn clippy_host(workspace: &Workspace) -> Result<String> {
    workspace
        .cargo("clippy")
        .args(["--workspace", "--all-targets", "--features", &workspace.all_features()])
        .args(["--", "-D", "warnings"])
        .run()?;
    Ok(String::new())
}

pub fn clippy_boards(workspace: &Workspace) -> Result<String> {
    let boards = Board::all(workspace)?;
    for board in &boards {
        workspace
            .cargo("clippy")
            .args([
                "--package",
                PACKAGE,
                "--package",
                "terrace-board",
                "--lib",
                "--examples",
            ])
            .args(["--target", &board.target, "--features", &workspace.all_features()])
            .args(["--", "-D", "warnings"])
            .env("TERRACE_BOARD", &board.name)
            .run()?;
    }
    // Firmware that is measured, and is no member of the workspace.
    workspace
        .cargo("clippy")
        .args(["--manifest-path", "tools/bench/m4/Cargo.toml", "--bins"])
        .args(["--target", "thumbv7em-none-eabi", "--", "-D", "warnings"])
        .env("CARGO_TARGET_DIR", workspace.target.join("m4"))
        .run()?;
    Ok(format!("{} boards", boards.len()))
}

pub fn documentation(workspace: &Workspace) -> Result<String> {
    workspace
        .cargo("doc")
        .args([
            "--package",
            PACKAGE,
            "--no-deps",
            "--features",
            &workspace.documented_features().join(","),
        ])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    Ok(String::new())
}
