//! The memory of the board, and the traces that the host has recorded.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TERRACE_BENCH_TRACES");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    // mps2-an386, as QEMU models it.
    let memory = "MEMORY { FLASH : ORIGIN = 0x0, LENGTH = 4M\n RAM : ORIGIN = 0x20000000, LENGTH = 4M }\n";
    fs::write(out.join("memory.x"), memory).expect("the output folder can be written");
    // The repository's Cargo configuration links bare-metal programs by a script of this name.
    fs::write(out.join("board.x"), "INCLUDE link.x\n").expect("the output folder can be written");
    println!("cargo::rustc-link-search={}", out.display());
    // Without recorded traces, `count` builds and has nothing to do.
    let traces = env::var("TERRACE_BENCH_TRACES").ok();
    for name in ["small", "fw", "device"] {
        let bytes = match &traces {
            Some(folder) => {
                let path = PathBuf::from(folder).join(name);
                println!("cargo::rerun-if-changed={}", path.display());
                fs::read(path).expect("the host wrote it")
            }
            None => vec![0, 0, 0],
        };
        fs::write(out.join(name), bytes).expect("the output folder can be written");
    }
}
