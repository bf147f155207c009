//! Tells the crate whether it is optimised for size: `terrace_small` is set then, and what is small and called from several
//! places stays a function instead of being copied to each of them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(terrace_small)");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    if level == "s" || level == "z" {
        println!("cargo::rustc-cfg=terrace_small");
    }
}
