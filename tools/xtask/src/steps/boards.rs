//! Examples as firmware, on QEMU's machines.

use crate::board::Board;
use crate::error::{Error, Result, failed};
use crate::workspace::{Example, Workspace, executables};
use std::fs::{self, File};

/// The example whose log is compared, and the board that writes it.
const LOGGED: &str = "defmt_log";

pub fn examples(workspace: &Workspace) -> Result<String> {
    let boards = Board::all(workspace)?;
    let (mut runs, mut broken) = (0, Vec::new());
    for example in workspace.examples().iter().filter(|example| !example.is_logged()) {
        for board in boards
            .iter()
            .filter(|board| workspace.runs_on(&example.name, &board.name))
        {
            runs += 1;
            if let Err(error) = board.cargo(workspace, "run", example).arg("--quiet").run() {
                eprintln!("{error}");
                broken.push(format!("{} on {}", example.name, board.name));
            }
        }
    }
    match (runs, broken.len()) {
        (0, _) => failed("there are no examples"),
        (_, 0) => Ok(format!("{runs} runs on {} boards", boards.len())),
        _ => failed(broken.join(", ")),
    }
}

/// What the documentation promises of the size of firmware. Each compiler has its own idea of what is worth inlining.
pub fn sizes(workspace: &Workspace) -> Result<String> {
    let sizes = workspace
        .cargo("run")
        .args(["--quiet", "--package", "terrace-bench", "--"])
        .args(["size", "--allocator", "terrace"]);
    if workspace.is_oldest() {
        sizes.arg("--limits").run()?;
        Ok(String::new())
    } else {
        sizes.run()?;
        Ok(format!("but not the limits for rustc {}", workspace.rust_version()))
    }
}

/// Frames are decoded with the strings of the very program that wrote them, and compared with the recorded text.
pub fn defmt_log(workspace: &Workspace) -> Result<String> {
    let examples = workspace.examples();
    let Some(example) = examples.iter().find(|example| example.name == LOGGED) else {
        return failed(format!("there is no example `{LOGGED}`"));
    };
    let golden = workspace.root.join(format!("examples/{LOGGED}.golden"));
    let expected = fs::read_to_string(&golden)
        .map_err(|error| Error::Failed(format!("cannot read {}: {error}", golden.display())))?;
    let boards: Vec<_> = Board::all(workspace)?
        .into_iter()
        .filter(|board| workspace.runs_on(LOGGED, &board.name))
        .collect();
    for board in &boards {
        let decoded = decoded_log(workspace, board, example)?;
        if decoded.trim_end() != expected.trim_end() {
            eprintln!("--- decoded, from {}\n{decoded}--- recorded\n{expected}---", board.name);
            return failed(format!("the log of {} differs from {}", board.name, golden.display()));
        }
    }
    if boards.is_empty() {
        failed("no board runs it")
    } else {
        Ok(format!("{} boards", boards.len()))
    }
}

/// The log of `example` as text, one frame a line.
pub fn decoded_log(workspace: &Workspace, board: &Board, example: &Example) -> Result<String> {
    let built = board
        .cargo(workspace, "build", example)
        .args(["--message-format=json-render-diagnostics"])
        .output()?;
    let Some((_, program)) = executables(&built).into_iter().find(|(name, _)| *name == example.name) else {
        return failed(format!("cargo did not say where it put `{}`", example.name));
    };
    let frames = workspace.target.join(format!("{}-{}.frames", example.name, board.name));
    fs::write(&frames, board.cargo(workspace, "run", example).arg("--quiet").output()?)?;
    workspace
        .cargo("run")
        .args([
            "--quiet",
            "--package",
            "xtask",
            "--features",
            "decode",
            "--bin",
            "defmt-decode",
            "--",
        ])
        .arg(program)
        .input(File::open(&frames)?)
        .text()
        .map(|text| text + "\n")
}
