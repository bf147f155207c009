//! Builds the firmware in `m4/`.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

pub const TARGET: &str = "thumbv7em-none-eabi";

/// Builds one of its programs and returns the path of the ELF file.
///
/// # Errors
/// If the build fails, which cargo explains on stderr.
pub fn build(program: &str, profile: &str, feature: Option<&str>, traces: Option<&Path>) -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("m4");
    let target = target_folder()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&folder)
        .args([
            "build",
            "--quiet",
            "--target",
            TARGET,
            "--bin",
            program,
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(&target);
    if let Some(feature) = feature {
        cargo.args(["--no-default-features", "--features", feature]);
    }
    if let Some(traces) = traces {
        cargo.env("TERRACE_BENCH_TRACES", traces);
    }
    if !cargo.status()?.success() {
        return Err(io::Error::other(format!(
            "the firmware `{program}` could not be built; is the target {TARGET} installed?"
        )));
    }
    Ok(target.join(TARGET).join(profile).join(program))
}

/// A folder for the firmware beside this program's own build.
fn target_folder() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let profile = program
        .parent()
        .ok_or_else(|| io::Error::other("no folder for builds"))?;
    Ok(profile.with_file_name("bench-firmware"))
}
