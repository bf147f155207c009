//! Counts instructions: this program runs a part of itself under callgrind, which counts inside of chosen functions
//! only and writes the count down when told to.

use std::{
    env, fs, io,
    path::Path,
    process::{Command, Stdio},
};

/// Ends a section: the instructions counted since the last one are written down under `name`. Does nothing when not
/// run under callgrind.
#[cfg(target_arch = "x86_64")]
pub fn end_section(name: &core::ffi::CStr) {
    /// `CALLGRIND_DUMP_STATS_AT`: valgrind's number for the tool "CT", and its fourth request.
    const DUMP_STATS_AT: usize = (b'C' as usize) << 24 | (b'T' as usize) << 16 | 3;
    let request = [DUMP_STATS_AT, name.as_ptr().expose_provenance(), 0, 0, 0, 0];
    // SAFETY: four rotations by 128 bits in all and an exchange of a register with itself change nothing; valgrind
    // recognises them, reads the request and the name it points to, and writes rdx.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") &raw const request,
            inout("rdx") 0usize => _,
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub fn end_section(_: &core::ffi::CStr) {}

/// Runs this program with `arguments` under callgrind. Returns what it printed and the count of each section.
///
/// # Errors
/// If valgrind is missing or the run fails.
pub fn run(arguments: &[&str], collect: &str, directory: &Path) -> io::Result<(String, Vec<(String, u64)>)> {
    fs::create_dir_all(directory)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--quiet"])
        .arg(format!("--toggle-collect={collect}"))
        .arg(format!("--callgrind-out-file={}", directory.join("out").display()))
        .arg(env::current_exe()?)
        .args(arguments)
        // Else the C library copies longer blocks by `rep movsb`, which callgrind counts once per byte.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=0x40000000")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("valgrind could not be run: {error}")))?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "the run under valgrind ended with {}",
            output.status
        )));
    }
    let mut sections = Vec::new();
    for number in 1.. {
        let Ok(text) = fs::read_to_string(directory.join(format!("out.{number}"))) else {
            break;
        };
        sections.extend(section(&text));
    }
    fs::remove_dir_all(directory)?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), sections))
}

/// Name and count of one of callgrind's files, if the program asked for it.
fn section(text: &str) -> Option<(String, u64)> {
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("desc: Trigger: Client Request: "))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
    Some((name.to_string(), total.trim().parse().ok()?))
}
