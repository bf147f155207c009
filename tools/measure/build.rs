//! Hands the program what its tables name: the compiler and the optimisation level.

use std::{env, process::Command};

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
}
