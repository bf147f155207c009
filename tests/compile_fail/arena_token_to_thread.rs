//! Tokens and handles stay with their thread.

use terrace::*;

fn work(root: Root<u32>, arena: Arena) {
    std::thread::spawn(move || drop(root));
    std::thread::spawn(move || drop(arena));
}

fn main() {}
