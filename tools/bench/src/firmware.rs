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

/// Runs a program on the simulated board, whose clock counts instructions; returns what it prints.
///
/// # Errors
/// If QEMU can't be run, or the firmware does not end well.
pub fn run(elf: &Path) -> io::Result<String> {
    let output = Command::new("qemu-system-arm")
        .args([
            "-M",
            "mps2-an386",
            "-icount",
            "shift=7",
            "-display",
            "none",
            "-serial",
            "none",
        ])
        .args([
            "-monitor",
            "none",
            "-semihosting-config",
            "enable=on,target=native",
            "-kernel",
        ])
        .arg(elf)
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("qemu-system-arm could not be run: {error}")))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "the firmware ended with {}:\n{printed}",
            output.status
        )));
    }
    Ok(printed)
}

/// A folder for the firmware beside this program's own build.
fn target_folder() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let profile = program
        .parent()
        .ok_or_else(|| io::Error::other("no folder for builds"))?;
    Ok(profile.with_file_name("bench-firmware"))
}
