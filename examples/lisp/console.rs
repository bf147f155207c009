//! On a host: programs from files, and from the keyboard.

use std::io::{self, BufRead, Write};
use std::sync::OnceLock;
use std::time::Instant;
use std::{env, fs, process};

use terrace::{Arena, CriticalSectionHeap, Cx};

use crate::scheme::{Error, Host, Scheme};

/// Bytes for the arena. The text of programs lies in the other heap.
const ARENA_BYTES: usize = 32 << 20;

/// Nanoseconds since the first look.
pub fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

struct Terminal;

impl Host for Terminal {
    fn write(&self, text: &str) {
        let _ = io::stdout().write_all(text.as_bytes());
    }
}

/// Does what the command line asks for; tells whether that was anything.
pub fn run() -> bool {
    let Some(argument) = env::args().nth(1) else {
        return false;
    };
    static REGION: CriticalSectionHeap = CriticalSectionHeap::new();
    terrace::init!(REGION, ARENA_BYTES).expect("the heap is claimed once");
    let mut arena = Arena::new(&REGION).expect("there is room for an arena");
    let done = arena.enter(|cx| {
        let mut scheme = Scheme::new(cx, &Terminal).expect("there is room for the interpreter");
        if argument == "-i" {
            return converse(&mut scheme, cx).map_err(|error| error.to_string());
        }
        let text = fs::read_to_string(&argument).map_err(|error| format!("{argument}: {error}"))?;
        evaluate(&mut scheme, cx, &text).map_err(|error| format!("{argument}:{error}"))
    });
    if let Err(error) = done {
        eprintln!("{error}");
        process::exit(1);
    }
    true
}

/// Evaluates a text and shows the value of its last datum.
fn evaluate(scheme: &mut Scheme, cx: &mut Cx, text: &str) -> Result<(), Error> {
    scheme.load(cx, text)?;
    if scheme.has_value(cx) {
        scheme.value(cx, |value| println!("{value}"));
    }
    Ok(())
}

/// Reads, evaluates and prints, until the input ends. A datum may take several lines.
fn converse(scheme: &mut Scheme, cx: &mut Cx) -> io::Result<()> {
    let mut text = String::new();
    let mut input = io::stdin().lock();
    loop {
        print!("{}", if text.is_empty() { "> " } else { "  " });
        io::stdout().flush()?;
        if input.read_line(&mut text)? == 0 {
            println!();
            return Ok(());
        }
        match evaluate(scheme, cx, &text) {
            Err(error) if error.is_unfinished => continue,
            Err(error) => println!("{error}"),
            Ok(()) => {}
        }
        text.clear();
    }
}
