//! Faults of the processor: status 102, unless the very access was expected.

use core::{cell::Cell, fmt, ops::Range};

use critical_section::Mutex;

/// The status of a program that met a fault which was not expected.
const FAULT: u8 = 102;

static EXPECTED: Mutex<Cell<Option<(usize, usize)>>> = Mutex::new(Cell::new(None));

/// From now on the program must end by an access to one of these addresses that the processor refuses: then its exit
/// status is 0. It is 102 after any other fault, and 1 when the program ends without one.
///
/// A host does not tell the address: there the program ends here, with status 1.
pub fn expect_fault(addresses: Range<usize>) {
    let expected = Some((addresses.start, addresses.end));
    critical_section::with(|cs| EXPECTED.borrow(cs).set(expected));
}

/// The addresses that are awaited. The answer is given once.
pub fn expected() -> Option<Range<usize>> {
    let (start, end) = critical_section::with(|cs| EXPECTED.borrow(cs).take())?;
    Some(start..end)
}

/// Ends the program after `what`; `refused` is the address of the access that was refused, if that is what it was.
pub fn end(what: fmt::Arguments<'_>, refused: Option<usize>) -> ! {
    if let (Some(address), Some(expected)) = (refused, expected())
        && expected.contains(&address)
    {
        semihosting::println!("{what}: the access to {address:#010x} was refused, as expected");
        super::exit(0);
    }
    match refused {
        Some(address) => semihosting::eprintln!("{what}: the access to {address:#010x} was refused"),
        None => semihosting::eprintln!("{what}"),
    }
    super::exit(FAULT)
}
