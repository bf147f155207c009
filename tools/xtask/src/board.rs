//! The boards of `targets/`, and which examples run on which.

use crate::error::{Error, Result, failed};
use crate::process::Process;
use crate::setup::{self, Tool};
use crate::workspace::{Example, Workspace};
use std::fs;
use std::path::Path;

/// A machine that QEMU can play.
pub struct Board {
    /// The name of its folder.
    pub name: String,
    /// The Rust target that programs for it are compiled for.
    pub target: String,
    qemu: String,
}

impl Board {
    /// All boards, by name.
    pub fn all(workspace: &Workspace) -> Result<Vec<Self>> {
        let mut boards = Vec::new();
        for entry in fs::read_dir(workspace.root.join("targets"))? {
            let settings = entry?.path().join("board.conf");
            if settings.is_file() {
                boards.push(Self::read(&settings)?);
            }
        }
        boards.sort_by(|a, b| a.name.cmp(&b.name));
        if boards.is_empty() {
            failed("targets/ holds no board")
        } else {
            Ok(boards)
        }
    }

    /// The board of this name.
    pub fn find(workspace: &Workspace, name: &str) -> Result<Self> {
        let mut boards = Self::all(workspace)?;
        let names: Vec<_> = boards.iter().map(|board| board.name.clone()).collect();
        match names.iter().position(|other| other == name) {
            Some(index) => Ok(boards.swap_remove(index)),
            None => failed(format!("no board `{name}`; there are {}", names.join(", "))),
        }
    }

    /// The targets of `boards`, each once.
    pub fn targets(boards: &[Self]) -> Vec<&str> {
        let mut targets: Vec<_> = boards.iter().map(|board| board.target.as_str()).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// Gets what it takes to build and run programs for `boards`.
    pub fn prepare(workspace: &Workspace, boards: &[Self]) -> Result {
        setup::install(workspace, &Self::targets(boards))?;
        for board in boards {
            match board.qemu.as_str() {
                "qemu-system-arm" => setup::require(&[Tool::QemuArm])?,
                "qemu-system-riscv32" | "qemu-system-riscv64" => setup::require(&[Tool::QemuRiscv])?,
                other => return failed(format!("targets/{}: unknown program {other}", board.name)),
            }
        }
        Ok(())
    }

    /// A cargo call on the example `name` for this board, whose runner is QEMU.
    pub fn cargo(&self, workspace: &Workspace, command: &str, example: &Example) -> Process {
        workspace
            .cargo(command)
            .args(["--release", "--example", &example.name, "--target", &self.target])
            .args(features(example))
            .env("TERRACE_BOARD", &self.name)
    }

    fn read(settings: &Path) -> Result<Self> {
        let text = fs::read_to_string(settings)?;
        let name = settings
            .parent()
            .and_then(Path::file_name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let value = |key: &str| {
            setting(&text, key).ok_or_else(|| Error::Failed(format!("{}: no setting `{key}`", settings.display())))
        };
        Ok(Self {
            target: value("target")?,
            qemu: value("qemu")?,
            name,
        })
    }
}

/// The arguments that switch on what `example` asks for.
pub fn features(example: &Example) -> Vec<String> {
    if example.features.is_empty() {
        Vec::new()
    } else {
        vec!["--features".to_owned(), example.features.join(",")]
    }
}

/// The value of `key` in lines of the form `key = value`.
fn setting(text: &str, key: &str) -> Option<String> {
    let pairs = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let text = "# a = 1\ntarget = thumbv6m-none-eabi\nmachine = -machine virt -cpu rv32,a=off\n";
        assert_eq!(setting(text, "target").as_deref(), Some("thumbv6m-none-eabi"));
        assert_eq!(
            setting(text, "machine").as_deref(),
            Some("-machine virt -cpu rv32,a=off")
        );
        assert_eq!(setting(text, "a"), None);
    }
}
