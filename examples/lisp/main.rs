//! A small Scheme in an arena: programs that allocate megabytes run in a region of 64 KiB, and each must give the right
//! result. What they leave behind is collected, and what lives moves together; when there is no memory, that is an error
//! of the program, and the interpreter goes on.
//!
//! On a host, `cargo run --release --example lisp -- FILE` runs a program, and `-- -i` reads and evaluates line by line.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

#[cfg(not(target_os = "none"))]
mod console;
mod scheme;

use core::cell::RefCell;
use core::fmt::Write;

use scheme::{Error, Host, Scheme, Usage};
use terrace::{Arena, CriticalSectionHeap, Cx};
use terrace_board::{NAME, REGION_BYTES, instructions, println};

/// One region: the compiler's lists and the arena's objects.
#[global_allocator]
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// Programs and their results.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("sieve", include_str!("programs/sieve.scm"), "168"),
    (
        "queens",
        include_str!("programs/queens.scm"),
        "((92 92 92) (4 2 7 3 6 8 5 1))",
    ),
    ("metacircular", include_str!("programs/meta.scm"), "(233 2001000)"),
    ("strings", include_str!("programs/strings.scm"), "(85680 369 7)"),
];

/// Programs that must end in errors, and what is told.
const ERRORS: &[(&str, &str)] = &[
    ("(define (deep n) (+ 1 (deep n)))\n(deep 0)", "out of memory"),
    ("(define (grow list) (grow (cons 1 list)))\n(grow '())", "out of memory"),
    ("(make-vector 500000 0)", "1:1: out of memory"),
    (
        "(define (f pair)\n  (cons (car pair) 1))\n(f 5)",
        "2:9: in f: car: 5 is not a pair",
    ),
    ("(+ 1 nothing)", "1:1: nothing is not defined"),
    ("(* 100000 100000)", "1:1: *: the result has more than 30 bits"),
    ("(error \"wrong:\" '(1 \"two\"))", "1:1: wrong: (1 \"two\")"),
];

/// Prints whole lines.
struct Board {
    line: RefCell<heapless::String<120>>,
}

impl Host for Board {
    fn write(&self, text: &str) {
        let mut line = self.line.borrow_mut();
        for char in text.chars() {
            if char == '\n' || line.push(char).is_err() {
                println!("{line}");
                line.clear();
            }
        }
    }

    fn clock(&self) -> u64 {
        instructions().unwrap_or_else(clock)
    }
}

/// Nanoseconds.
#[cfg(not(target_os = "none"))]
fn clock() -> u64 {
    console::clock()
}

/// The board counts instructions.
#[cfg(target_os = "none")]
fn clock() -> u64 {
    0
}

const UNIT: &str = if cfg!(target_os = "none") { "instructions" } else { "ns" };

/// Tells what a program used: the difference between two looks.
fn report(name: &str, result: &str, from: &Usage, to: &Usage) {
    let [young, middle, full] = core::array::from_fn(|n| to.collections[n] - from.collections[n]);
    println!("  {name:<14}{result}");
    println!(
        "    {} bytes allocated; {young} young, {middle} middle and {full} full collections; {} bytes moved; longest pause {} {UNIT}",
        to.allocated - from.allocated,
        to.moved - from.moved,
        to.longest
    );
}

fn programs(scheme: &mut Scheme, cx: &mut Cx) -> Result<(), Error> {
    for (name, text, expected) in PROGRAMS {
        let before = scheme.usage(cx);
        scheme.load(cx, text)?;
        let mut result = heapless::String::<80>::new();
        scheme
            .value(cx, |value| write!(result, "{value}"))
            .expect("results are short");
        let after = scheme.usage(cx);
        report(name, &result, &before, &after);
        assert_eq!(result, *expected, "{name}");
    }
    Ok(())
}

/// Each error is told, and the interpreter goes on.
fn errors(scheme: &mut Scheme, cx: &mut Cx) {
    for (text, expected) in ERRORS {
        let error = scheme.load(cx, text).expect_err("the program is wrong");
        println!("  {error}");
        let mut told = heapless::String::<200>::new();
        write!(told, "{error}").expect("errors are short");
        assert!(told.contains(expected), "{told}");
    }
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    #[cfg(not(target_os = "none"))]
    if console::run() {
        return;
    }
    let before = HEAP.stats().used;
    println!("\n  Scheme on {NAME}, in {REGION_BYTES} bytes\n");
    let board = Board {
        line: RefCell::new(heapless::String::new()),
    };
    let mut arena = Arena::new(&HEAP).expect("there is room for an arena");
    arena.enter(|cx| {
        let mut scheme = Scheme::new(cx, &board).expect("there is room for the interpreter");
        programs(&mut scheme, cx).expect("the programs are right");
        println!();
        errors(&mut scheme, cx);
    });
    println!("\n  {}", arena.stats());
    drop(arena);
    assert!(HEAP.stats().used <= before + 1024, "everything is the heap's again");
    HEAP.check().expect("the heap is sound");
}
