//! The project's tasks: `cargo xtask help` lists them.

mod board;
mod error;
mod process;
mod report;
mod setup;
mod steps;
mod workspace;

use board::Board;
use error::{Error, Result, failed};
use std::process::ExitCode;
use std::{env, slice};
use workspace::{Example, Workspace};

const HELP: &str = "\
Usage: cargo xtask TASK

  demo [--board B]         build the demonstration and run it under QEMU (board `host`: on this machine)
  qemu EXAMPLE [--board B] the same with any example; its exit status is passed on
  test [NAME...]           run all checks, or those named
    --list                   name them
    --only NAME              another way to name one
    --strict                 fail where something is missing, rather than skip
  ci                       the same as `test --strict`
  bench [ARGUMENT...]      compare with other allocators; `bench --help` tells more
  bench gc [ARGUMENT...]   compare arenas with other collectors; `bench gc --help` tells more
  size                     flash and RAM of minimal firmware, with this and other allocators
  setup                    get Rust targets and QEMU now
  help                     show this text

Rust targets come from rustup, or are compiled from the library source that Debian packages; other programs are
installed by apt-get. TERRACE_NO_RUSTUP=1 leaves out rustup; TERRACE_CACHE is the folder for downloads.";

/// The board of the demonstration, a Cortex-M4F, and of `qemu` by default.
const BOARD: &str = "mps2-an386";

/// Instead of a board: the machine that this runs on.
const HOST: &str = "host";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a task; the number is its exit status.
fn dispatch(args: &[String]) -> Result<i32> {
    let (task, args) = args
        .split_first()
        .map_or(("help", args), |(task, rest)| (task.as_str(), rest));
    match task {
        "demo" => run_example("demo", args),
        "qemu" => match args.split_first() {
            Some((example, rest)) if !example.starts_with('-') => run_example(example, rest),
            _ => failed("which example? `cargo xtask qemu EXAMPLE [--board B]`"),
        },
        "test" => test(args, false),
        "ci" => test(args, true),
        "bench" => match args.split_first() {
            Some((gc, rest)) if gc == "gc" => bench_gc(rest),
            _ => bench(args),
        },
        "size" => bench(&[&["size".to_owned()], args].concat()),
        "setup" => setup_all(),
        "help" | "-h" | "--help" => {
            println!("{HELP}");
            Ok(0)
        }
        other => failed(format!("no task `{other}`; `cargo xtask help` lists all")),
    }
}

fn test(args: &[String], strict: bool) -> Result<i32> {
    let mut choice = steps::Choice {
        strict,
        ..Default::default()
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--strict" => choice.strict = true,
            "--only" => choice
                .only
                .push(args.next().cloned().ok_or_else(|| missing_value(arg))?),
            "--list" => {
                steps::ALL
                    .iter()
                    .for_each(|step| println!("{:14} {}", step.name, step.about));
                return Ok(0);
            }
            other if other.starts_with('-') => return failed(format!("`test` knows no argument `{other}`")),
            name => choice.only.push(name.to_owned()),
        }
    }
    let good = steps::run(&Workspace::open()?, &choice)?;
    Ok(i32::from(!good))
}

fn run_example(name: &str, args: &[String]) -> Result<i32> {
    let chosen = match args {
        [] => None,
        [flag, board] if flag == "--board" => Some(board.as_str()),
        _ => return failed("usage: cargo xtask qemu EXAMPLE [--board B]"),
    };
    let workspace = Workspace::open()?;
    let examples = workspace.examples();
    let Some(example) = examples.iter().find(|example| example.name == name) else {
        let names: Vec<_> = examples.iter().map(|example| example.name.as_str()).collect();
        return failed(format!("no example `{name}`; there are {}", names.join(", ")));
    };
    if chosen == Some(HOST) {
        return on_host(&workspace, example);
    }
    let board = Board::find(&workspace, chosen.unwrap_or(BOARD))?;
    match Board::prepare(&workspace, slice::from_ref(&board)) {
        Err(Error::Missing(what)) if chosen.is_none() && !example.is_logged() => {
            eprintln!("xtask: no board, since {what}\nxtask: running as a program of this machine instead");
            on_host(&workspace, example)
        }
        Err(error) => Err(error),
        Ok(()) => on_board(&workspace, &board, example),
    }
}

fn on_host(workspace: &Workspace, example: &Example) -> Result<i32> {
    let cargo = workspace.cargo("run").args(["--release", "--example", &example.name]);
    cargo.args(board::features(example)).status()
}

fn on_board(workspace: &Workspace, board: &Board, example: &Example) -> Result<i32> {
    board.cargo(workspace, "build", example).run()?;
    if example.is_logged() {
        print!("{}", steps::decoded_log(workspace, board, example)?);
        return Ok(0);
    }
    board.cargo(workspace, "run", example).arg("--quiet").status()
}

fn bench(args: &[String]) -> Result<i32> {
    // The numbers on a board need its target and QEMU; where they cannot be got, the others are still there.
    let workspace = Workspace::open()?;
    if let Err(error) = Board::find(&workspace, BOARD).and_then(|board| Board::prepare(&workspace, &[board])) {
        eprintln!("xtask: {error}");
    }
    if let Err(error) = setup::require(&[setup::Tool::Valgrind]) {
        eprintln!("xtask: {error}");
    }
    run_bench(&workspace, "terrace-bench", args)
}

fn bench_gc(args: &[String]) -> Result<i32> {
    if let Err(error) = setup::require(&[setup::Tool::Valgrind]) {
        eprintln!("xtask: {error}");
    }
    run_bench(&Workspace::open()?, "terrace-bench-gc", args)
}

fn run_bench(workspace: &Workspace, package: &str, args: &[String]) -> Result<i32> {
    let cargo = workspace
        .cargo("run")
        .args(["--quiet", "--release", "--package", package, "--"]);
    cargo.args(args).limit(24 * 60 * 60).status()
}

fn setup_all() -> Result<i32> {
    let workspace = Workspace::open()?;
    Board::prepare(&workspace, &Board::all(&workspace)?)?;
    setup::require(&[setup::Tool::Valgrind, setup::Tool::Gcc32, setup::Tool::Cxx])?;
    println!("all there");
    Ok(0)
}

fn missing_value(flag: &str) -> Error {
    Error::Failed(format!("`{flag}` needs a value"))
}
