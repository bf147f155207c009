//! The source of the standard library that belongs to the compiler in use.

use super::{cache, debian, rustup_allowed};
use crate::error::Result;
use crate::process::Process;
use crate::workspace::Workspace;
use std::path::{Path, PathBuf};

/// The `library` folder of exactly this compiler's release: rustup's component, or the source that Debian packages.
pub fn library(workspace: &Workspace) -> Result<PathBuf> {
    let component = workspace.sysroot.join("lib/rustlib/src/rust/library");
    if complete(&component) {
        return Ok(component);
    }
    let unpacked = cache().join("rust-src");
    let packaged = unpacked.join(format!("usr/src/rustc-{}/library", workspace.release));
    if complete(&packaged) {
        return Ok(packaged);
    }
    let add = || Process::new("rustup").args(["component", "add", "rust-src"]).limit(300);
    if rustup_allowed() && add().succeeds() && complete(&component) {
        return Ok(component);
    }
    debian::fetch_rust_src(&workspace.release, &unpacked)?;
    Ok(packaged)
}

fn complete(library: &Path) -> bool {
    library.join("alloc/src/lib.rs").is_file() && library.join("Cargo.lock").is_file()
}
