//! Programs of the system: looked for, and installed by apt-get where they are absent.

use crate::error::{Result, missing};
use crate::process::Process;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Once;
use std::{env, fs};

/// Something of the system that a task needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tool {
    QemuArm,
    QemuRiscv,
    Valgrind,
    /// Libraries and start-up code to link 32-bit programs on a 64-bit host.
    Gcc32,
    /// For libFuzzer, which is C++.
    Cxx,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::QemuArm => "qemu-system-arm",
            Self::QemuRiscv => "qemu-system-riscv32",
            Self::Valgrind => "valgrind",
            Self::Gcc32 => "a C compiler for 32-bit programs",
            Self::Cxx => "a C++ compiler",
        }
    }

    fn present(self) -> bool {
        match self {
            Self::QemuArm | Self::Valgrind => on_path(self.name()),
            Self::QemuRiscv => on_path(self.name()) && on_path("qemu-system-riscv64"),
            Self::Gcc32 => links_32_bit(),
            Self::Cxx => on_path("c++"),
        }
    }

    /// Package sets to try, in order: releases of Debian and Ubuntu differ in what holds the RISC-V machines.
    fn packages(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::QemuArm => &[&["qemu-system-arm"]],
            Self::QemuRiscv => &[&["qemu-system-riscv"], &["qemu-system-misc"]],
            // Without the C library's symbols, valgrind does not start on some releases.
            Self::Valgrind => &[&["valgrind", "libc6-dbg"]],
            Self::Gcc32 => &[&["gcc-multilib"]],
            Self::Cxx => &[&["g++"]],
        }
    }
}

/// Sees to it that `tools` are there, or says plainly what is missing.
pub fn require(tools: &[Tool]) -> Result {
    for tool in tools {
        if tool.present() {
            continue;
        }
        let installed = tool
            .packages()
            .iter()
            .any(|packages| apt_install(packages) && tool.present());
        if !installed {
            let packages: Vec<_> = tool.packages().iter().map(|packages| packages.join(" ")).collect();
            return missing(format!(
                "{} is not there; please install {}",
                tool.name(),
                packages.join(" or ")
            ));
        }
    }
    Ok(())
}

/// Whether a program of this name can be run.
pub fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn apt_install(packages: &[&str]) -> bool {
    static UPDATE: Once = Once::new();
    if !on_path("apt-get") {
        return false;
    }
    UPDATE.call_once(|| {
        // A broken source of some third party need not spoil the rest.
        let _ = apt_get(&["update"]).run();
    });
    apt_get(&["install", "-y", "--no-install-recommends"])
        .args(packages)
        .succeeds()
}

fn apt_get(args: &[&str]) -> Process {
    let settings = [
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-q",
        "-o",
        "DPkg::Lock::Timeout=300",
    ];
    if is_root() {
        Process::new("env").args(settings).args(args)
    } else if io::stdin().is_terminal() {
        Process::new("sudo").arg("env").args(settings).args(args).interactive()
    } else {
        Process::new("sudo").args(["-n", "env"]).args(settings).args(args)
    }
}

fn is_root() -> bool {
    Process::new("id").arg("-u").text().is_ok_and(|id| id == "0")
}

fn links_32_bit() -> bool {
    let folder = env::temp_dir().join(format!("terrace-cc-{}", std::process::id()));
    let linked = fs::create_dir_all(&folder).is_ok()
        && fs::write(folder.join("a.c"), "int main(void) { return 0; }\n").is_ok()
        && link(&folder);
    let _ = fs::remove_dir_all(&folder);
    linked
}

fn link(folder: &Path) -> bool {
    Process::new("cc")
        .args(["-m32", "a.c", "-o", "a.out"])
        .dir(folder)
        .quiet()
        .succeeds()
}
