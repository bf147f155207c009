//! Panics: status 101, unless the very message was expected.

use core::{
    cell::Cell,
    fmt::{self, Write},
    panic::PanicInfo,
};

use critical_section::Mutex;

static EXPECTED: Mutex<Cell<Option<&'static str>>> = Mutex::new(Cell::new(None));

/// From now on the program must end by a panic with exactly this message: then its exit status is 0. It is 101 after any
/// other panic, and 1 when the program ends without one.
///
/// On a host the rest of the program runs in a child process, whose death this function awaits; there the message need
/// only be part of what the child says.
pub fn expect_panic(message: &'static str) {
    critical_section::with(|cs| EXPECTED.borrow(cs).set(Some(message)));
}

/// The message that is awaited. The answer is given once.
pub fn expected() -> Option<&'static str> {
    critical_section::with(|cs| EXPECTED.borrow(cs).take())
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if expected().is_some_and(|message| reads(info.message(), message)) {
        super::exit(0);
    }
    semihosting::eprintln!("{info}");
    super::exit(101)
}

/// Whether `value` is displayed as `text`.
fn reads(value: impl fmt::Display, text: &str) -> bool {
    struct Remaining<'a>(&'a str);
    impl Write for Remaining<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut remaining = Remaining(text);
    write!(remaining, "{value}").is_ok() && remaining.0.is_empty()
}
