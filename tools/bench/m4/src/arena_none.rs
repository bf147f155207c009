//! No arena.

pub fn run() {}
