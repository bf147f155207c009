//! Compiles the library for targets that cannot be downloaded, and puts the result where rustup would put it.
//!
//! An own `--sysroot` would be cleaner, but rustdoc and cargo's `--target` then need flags in every call.

use super::{cache, targets};
use crate::error::{Error, Result};
use crate::process::Process;
use crate::workspace::Workspace;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

const MANIFEST: &str = r#"[package]
name = "sysroot-seed"
version = "0.0.0"
edition = "2024"

[workspace]

[profile.release]
codegen-units = 1
debug = 1

# As in the official builds: one unit per function, so that the linker can leave out each by itself.
[profile.release.package.compiler_builtins]
codegen-units = 10000
"#;

/// Variables that would change what is compiled.
const FOREIGN: &[&str] = &[
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// Arranges a cargo call so that `-Zbuild-std` works on a stable compiler, with the library at `source`.
pub fn with_source(cargo: Process, source: &Path) -> Process {
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", source)
}

/// Builds `core` and `alloc` from `source` for `wanted`, and installs them.
pub fn build(workspace: &Workspace, source: &Path, wanted: &[&str]) -> Result {
    // The folder is the same each time, since the hashes of the libraries depend on it.
    let work = cache().join(format!("sysroot-{}", workspace.release));
    fs::create_dir_all(work.join("src"))?;
    fs::write(work.join("Cargo.toml"), MANIFEST)?;
    fs::write(work.join("src/lib.rs"), "#![no_std]\n")?;
    let flags = format!(
        "-Cembed-bitcode=yes --remap-path-prefix={}=/rustc/library",
        source.display()
    );
    let cargo = workspace.cargo("build").dir(&work).without(FOREIGN);
    with_source(cargo, source)
        .args([
            "--quiet",
            "--release",
            "-Zbuild-std=core,alloc",
            "-Zbuild-std-features=compiler-builtins-mem",
        ])
        .args(wanted.iter().flat_map(|target| ["--target", target]))
        .env("CARGO_TARGET_DIR", work.join("target"))
        .env("CARGO_INCREMENTAL", "0")
        .env("RUSTFLAGS", flags)
        .run()?;
    for target in wanted {
        copy(
            &work.join("target").join(target).join("release/deps"),
            &targets::folder(target)?,
        )?;
    }
    fs::remove_dir_all(work.join("target"))?;
    Ok(())
}

/// Copies the libraries of `built` to `folder`, so that a break in between leaves nothing half done.
fn copy(built: &Path, folder: &Path) -> Result {
    let refused = |error| {
        Error::Missing(format!(
            "cannot write the compiler's folder {}: {error}",
            folder.display()
        ))
    };
    let fresh = folder.with_extension("new");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).map_err(refused)?;
    for file in fs::read_dir(built)? {
        let path = file?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.ends_with(".rlib") && !name.starts_with("libsysroot_seed-") {
            fs::copy(&path, fresh.join(name)).map_err(refused)?;
        }
    }
    let _ = fs::remove_dir_all(folder);
    fs::rename(&fresh, folder).map_err(refused)
}
