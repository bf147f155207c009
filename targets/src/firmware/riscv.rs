//! RISC-V: the CLINT's machine timer, the counter of retired instructions; an exception ends the program.

use core::cell::Cell;

use critical_section::{CriticalSection, Mutex};
use riscv::{
    interrupt::Interrupt,
    register::{mcause, mepc, mie, minstret, mtval},
};
use riscv_rt::core_interrupt;

use super::{ICOUNT_SHIFT, TIMER_HZ, fault};

/// The CLINT's registers `mtime` and, for hart 0, `mtimecmp`: 64 bits each, as two words.
const MTIME: *const u32 = 0x0200_BFF8 as *const u32;
const MTIMECMP: *mut u32 = 0x0200_4000 as *mut u32;

static TIMER: Mutex<Cell<Timer>> = Mutex::new(Cell::new(Timer {
    due: u64::MAX,
    period: 0,
    handler: None,
}));

/// Times are in ticks of `mtime`.
#[derive(Clone, Copy)]
struct Timer {
    due: u64,
    period: u64,
    handler: Option<fn()>,
}

impl Timer {
    /// Makes this the timer. Its interrupt comes when `due` is reached.
    fn set(self, cs: CriticalSection) {
        TIMER.borrow(cs).set(self);
        // SAFETY: these are the words of hart 0's comparator on the virt machine, and this is the one who writes. The low word is written
        // while the high one is at its maximum, so that no moment in between raises the interrupt.
        unsafe {
            MTIMECMP.add(1).write_volatile(u32::MAX);
            MTIMECMP.write_volatile(self.due as u32);
            MTIMECMP.add(1).write_volatile((self.due >> 32) as u32);
        }
    }
}

/// Ticks of the machine's timer since reset.
fn now() -> u64 {
    loop {
        // SAFETY: these are the words of `mtime` on the virt machine; reading them has no effect.
        let [before, low, high] = unsafe {
            [
                MTIME.add(1).read_volatile(),
                MTIME.read_volatile(),
                MTIME.add(1).read_volatile(),
            ]
        };
        if before == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// Lets the timer interrupt through. It does not come before `every` asks for it.
pub fn start() {
    critical_section::with(|cs| TIMER.borrow(cs).get().set(cs));
    // SAFETY: the handler of the only interrupt that is enabled is below, and no critical section is open.
    unsafe {
        mie::set_mtimer();
        riscv::interrupt::enable();
    }
}

pub fn every(micros: u32, handler: fn()) {
    let period = u64::from(micros) * u64::from(TIMER_HZ) / 1_000_000;
    assert!(period > 0, "the timer cannot count {micros} microseconds");
    critical_section::with(|cs| {
        Timer {
            due: now() + period,
            period,
            handler: Some(handler),
        }
        .set(cs)
    });
}

pub fn stop() {
    critical_section::with(|cs| {
        Timer {
            due: u64::MAX,
            period: 0,
            handler: None,
        }
        .set(cs)
    });
}

/// Sleeps until an interrupt has been served.
pub fn idle() {
    riscv::asm::wfi();
}

/// Instructions executed since the start of the program, exact; `None` on boards whose time does not count them.
pub fn instructions() -> Option<u64> {
    // With -icount the counter runs in nanoseconds of virtual time.
    ICOUNT_SHIFT.map(|shift| minstret::read64() >> shift)
}

#[core_interrupt(Interrupt::MachineTimer)]
fn machine_timer() {
    let handler = critical_section::with(|cs| {
        let Timer { due, period, handler } = TIMER.borrow(cs).get();
        // A period that was missed altogether is left out.
        let due = (due + period).max(now() + 1);
        Timer { due, period, handler }.set(cs);
        handler
    });
    if let Some(handler) = handler {
        handler();
    }
}

#[unsafe(no_mangle)]
extern "C" fn ExceptionHandler(_: &riscv_rt::TrapFrame) -> ! {
    let (cause, at, value) = (mcause::read().code(), mepc::read(), mtval::read());
    // Access faults of loads and of stores.
    let refused = [5, 7].contains(&cause).then_some(value);
    fault::end(
        format_args!("exception {cause} at {at:#010x}, value {value:#010x}"),
        refused,
    )
}

#[unsafe(no_mangle)]
extern "C" fn DefaultHandler() -> ! {
    fault::end(format_args!("no handler for interrupt {}", mcause::read().code()), None)
}
