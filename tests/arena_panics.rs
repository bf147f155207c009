//! Code of the user that panics inside of an arena, where that must not be. (Initialisers, destructors, finalisers and what runs
//! while something is pinned may panic: see `arena.rs`, `arena_finalize.rs`, `arena_pin.rs`.)

mod support;

use std::cell::Cell;
use std::process::Command;

use terrace::*;

brand!(Here);

/// Breaks its promise not to panic.
struct Bad {
    next: Slot<'static, Bad, Here>,
    is_armed: Cell<bool>,
}

// SAFETY: none: `trace` panics. What is tested is that this does no harm.
unsafe impl Trace for Bad {
    const LEAF: bool = false;

    fn trace(&self, visitor: &mut Visitor) {
        assert!(!self.is_armed.get(), "on purpose");
        self.next.trace(visitor);
    }
}

// SAFETY: its slot is of this brand.
unsafe impl Of<Here> for Bad {}

// SAFETY: the slot is never filled, so its lifetime does not matter.
unsafe impl Rebind for Bad {
    type At<'g> = Bad;
}

const ASKED: &str = "TERRACE_TEST_PANIC";

/// The program that is run below: it must not get beyond the collection, whatever it tries to catch.
fn collect_what_panics() {
    let mut arena = Arena::<Here>::branded(support::heap_for_good(64 << 10)).unwrap();
    arena.enter(|cx| {
        let bad = cx
            .new::<Bad>(|_| Bad {
                next: Slot::null(),
                is_armed: Cell::new(false),
            })
            .unwrap();
        cx.collect(Generation::Young);
        bad.get(cx).is_armed.set(true);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cx.compact()));
        println!("survived: {}", result.is_err());
    });
}

#[test]
#[cfg_attr(miri, ignore = "there are no processes")]
fn e5_a_trace_that_panics_ends_the_program() {
    if std::env::var_os(ASKED).is_some() {
        return collect_what_panics();
    }
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "e5_a_trace_that_panics_ends_the_program", "--nocapture"]);
    let output = program.env(ASKED, "1").output().unwrap();
    let (told, failed) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(failed.contains("on purpose"), "{failed}");
    assert!(failed.contains("a collection did not end"), "{failed}");
    assert!(!output.status.success() && !told.contains("survived"), "{told}");
}
