//! Tells the crate what it is built for: `terrace_small` is set where the compiler optimises for size, and what is small and
//! called from several places stays a function instead of being copied to each of them; `terrace_cortex_m` for Cortex-M, and
//! `terrace_pmsa` for those whose memory protection unit, if they have one, is that of ARMv7-M.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(terrace_small, terrace_cortex_m, terrace_pmsa)");
    if matches!(var("OPT_LEVEL").as_deref(), Ok("s" | "z")) {
        println!("cargo::rustc-cfg=terrace_small");
    }
    let target = var("TARGET").unwrap_or_default();
    if ["thumbv6m", "thumbv7m", "thumbv7em", "thumbv8m"]
        .iter()
        .any(|name| target.starts_with(name))
    {
        println!("cargo::rustc-cfg=terrace_cortex_m");
    }
    if target.starts_with("thumbv7m-") || target.starts_with("thumbv7em-") {
        println!("cargo::rustc-cfg=terrace_pmsa");
    }
}
