//! What a fresh machine lacks: Rust targets, the library's source, programs of the system.

mod debian;
mod source;
mod sysroot;
mod system;
mod targets;

pub use source::library;
pub use sysroot::with_source;
pub use system::{Tool, require};
pub use targets::{install, install_host};

use std::env;
use std::path::PathBuf;

/// Set to 1, nothing is asked of rustup's servers.
const NO_RUSTUP: &str = "TERRACE_NO_RUSTUP";

/// Where downloads are kept between runs, when the default is not liked.
const CACHE: &str = "TERRACE_CACHE";

fn rustup_allowed() -> bool {
    env::var_os(NO_RUSTUP).is_none_or(|value| value != "1")
}

/// The folder for what is worth keeping from one clone of the project to the next.
fn cache() -> PathBuf {
    let given = env::var_os(CACHE).map(PathBuf::from);
    let shared = || env::var_os("XDG_CACHE_HOME").map(|folder| PathBuf::from(folder).join("terrace"));
    let home = || env::home_dir().map(|folder| folder.join(".cache/terrace"));
    given
        .or_else(shared)
        .or_else(home)
        .unwrap_or_else(|| env::temp_dir().join("terrace"))
}
