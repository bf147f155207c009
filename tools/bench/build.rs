//! Hands the program what its tables name: the compiler, the optimisation level and the versions of the peers.

use std::{env, fs, path::Path, process::Command};

const PEERS: [&str; 6] = [
    "talc",
    "rlsf",
    "linked_list_allocator",
    "buddy_system_allocator",
    "dlmalloc",
    "mimalloc",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var("RUSTC").expect("cargo sets RUSTC");
    let version = Command::new(rustc).arg("--version").output().expect("rustc runs");
    println!(
        "cargo::rustc-env=BENCH_RUSTC={}",
        String::from_utf8_lossy(&version.stdout).trim()
    );
    println!(
        "cargo::rustc-env=BENCH_OPT_LEVEL={}",
        env::var("OPT_LEVEL").expect("cargo sets OPT_LEVEL")
    );

    let lock = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let versions: Vec<String> = PEERS
        .iter()
        .map(|name| format!("{name} {}", version_of(&lock, name).unwrap_or("?")))
        .collect();
    println!("cargo::rustc-env=BENCH_PEERS={}", versions.join(", "));
}

fn version_of<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let entry = lock
        .split("[[package]]")
        .find(|entry| entry.contains(&format!("\nname = \"{name}\"\n")))?;
    entry
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
}
