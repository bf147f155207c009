//! The precompiled `core` and `alloc` of bare-metal targets.

use super::{cache, library, rustup_allowed, sysroot};
use crate::error::{Result, failed};
use crate::process::Process;
use crate::workspace::Workspace;
use std::fs::{self, File};
use std::path::PathBuf;

/// How long rustup may take for all targets; it fetches some tens of megabytes for each.
const RUSTUP_LIMIT: u64 = 300;

/// Makes plain `cargo build --target` work for `targets`: by rustup, or where that cannot download, by compiling
/// the library of this very compiler.
pub fn install(workspace: &Workspace, targets: &[&str]) -> Result {
    if absent(targets)?.is_empty() {
        return Ok(());
    }
    // Two runs at once would both write into the compiler's folders.
    fs::create_dir_all(cache())?;
    let lock = File::create(cache().join("lock"))?;
    lock.lock()?;
    let wanted = absent(targets)?;
    if wanted.is_empty() || by_rustup(&wanted) {
        return Ok(());
    }
    eprintln!(
        "compiling core and alloc for {} with rustc {}",
        wanted.join(", "),
        workspace.release
    );
    sysroot::build(workspace, &library(workspace)?, &wanted)?;
    match absent(targets)?.as_slice() {
        [] => Ok(()),
        left => failed(format!(
            "rustc does not find the libraries built for {}",
            left.join(", ")
        )),
    }
}

/// Gets `std` for another host by rustup. Where this says no, `-Zbuild-std` is the way.
pub fn install_host(target: &str) -> bool {
    absent(&[target]).is_ok_and(|left| left.is_empty()) || by_rustup(&[target])
}

/// Where the compiler looks for the libraries of `target`.
pub fn folder(target: &str) -> Result<PathBuf> {
    Ok(Process::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .text()?
        .into())
}

fn absent<'t>(targets: &[&'t str]) -> Result<Vec<&'t str>> {
    let mut absent = Vec::new();
    for target in targets {
        let files = fs::read_dir(folder(target)?).into_iter().flatten().flatten();
        let is_core = |name: &str| name.starts_with("libcore-") && name.ends_with(".rlib");
        if !files
            .into_iter()
            .any(|file| file.file_name().to_str().is_some_and(is_core))
        {
            absent.push(*target);
        }
    }
    Ok(absent)
}

fn by_rustup(targets: &[&str]) -> bool {
    let add = || {
        Process::new("rustup")
            .args(["target", "add"])
            .args(targets)
            .limit(RUSTUP_LIMIT)
    };
    // rustup may believe in targets whose files are gone, and do nothing.
    rustup_allowed() && add().succeeds() && absent(targets).is_ok_and(|left| left.is_empty())
}
