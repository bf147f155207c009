//! Cortex-M: SysTick is the clock and the timer, a fault ends the program.

use core::cell::Cell;

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::{ExceptionFrame, exception};
use critical_section::{CriticalSection, Mutex};

use super::{HAS_FAULT_STATUS, ICOUNT_SHIFT, TIMER_HZ, fault};

/// The longest period of the counter, in ticks: it has 24 bits.
const LONGEST: u32 = 1 << 24;

static CLOCK: Mutex<Cell<Clock>> = Mutex::new(Cell::new(Clock {
    before: 0,
    period: LONGEST,
    handler: None,
}));

/// The counter goes from `period - 1` to 0, interrupts, and starts again.
#[derive(Clone, Copy)]
struct Clock {
    /// Ticks up to the last time the counter was 0 and the interrupt had been served.
    before: u64,
    period: u32,
    handler: Option<fn()>,
}

impl Clock {
    /// Ticks since the start. The interrupt for the counter's last zero may still be pending.
    fn now(&self, _: CriticalSection) -> u64 {
        let pending = SCB::is_pendst_pending();
        let mut counter = SYST::get_current();
        let mut before = self.before;
        if pending || SCB::is_pendst_pending() {
            counter = SYST::get_current();
            before += u64::from(self.period);
        }
        before
            + if counter == 0 {
                0
            } else {
                u64::from(self.period - counter)
            }
    }

    /// Begins a new period now.
    fn restart(cs: CriticalSection, period: u32, handler: Option<fn()>) {
        let clock = CLOCK.borrow(cs);
        let before = clock.get().now(cs);
        // SAFETY: SysTick belongs to this module, and no interrupt uses it before the critical section ends.
        let mut timer = unsafe { cortex_m::Peripherals::steal() }.SYST;
        timer.set_reload(period - 1);
        timer.clear_current();
        SCB::clear_pendst();
        clock.set(Clock {
            before,
            period,
            handler,
        });
    }
}

/// Starts the clock.
pub fn start() {
    critical_section::with(|cs| {
        // SAFETY: as in `restart`.
        let mut timer = unsafe { cortex_m::Peripherals::steal() }.SYST;
        timer.set_clock_source(SystClkSource::Core);
        Clock::restart(cs, LONGEST, None);
        timer.enable_interrupt();
        timer.enable_counter();
    });
}

pub fn every(micros: u32, handler: fn()) {
    let ticks = u64::from(micros) * u64::from(TIMER_HZ) / 1_000_000;
    assert!(
        (1..=u64::from(LONGEST)).contains(&ticks),
        "SysTick cannot count {micros} microseconds"
    );
    critical_section::with(|cs| Clock::restart(cs, ticks as u32, Some(handler)));
}

pub fn stop() {
    critical_section::with(|cs| Clock::restart(cs, LONGEST, None));
}

/// Sleeps until an interrupt has been served.
pub fn idle() {
    cortex_m::asm::wfi();
}

/// Instructions executed since the start of the program.
///
/// The timer is read, which ticks 1.6 to 3.2 times per instruction: a difference of two readings is right to one instruction.
/// Taking a reading costs some dozens of them, hundreds in a debug build; on a core that divides in software the number varies
/// a little.
pub fn instructions() -> Option<u64> {
    // One instruction takes 2^SHIFT ns, one tick 10^9 / TIMER_HZ; in lowest terms, so that nothing overflows.
    const SHIFT: u32 = ICOUNT_SHIFT.expect("time on this board counts instructions");
    const PER: u64 = (TIMER_HZ as u64) << SHIFT;
    const COMMON: u64 = greatest_common_divisor(1_000_000_000, PER);
    const INSTRUCTIONS: u64 = 1_000_000_000 / COMMON;
    const TICKS: u64 = PER / COMMON;
    let ticks = critical_section::with(|cs| CLOCK.borrow(cs).get().now(cs));
    Some((ticks * INSTRUCTIONS + TICKS / 2) / TICKS)
}

const fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[exception]
fn SysTick() {
    let handler = critical_section::with(|cs| {
        let clock = CLOCK.borrow(cs);
        let Clock {
            before,
            period,
            handler,
        } = clock.get();
        clock.set(Clock {
            before: before + u64::from(period),
            period,
            handler,
        });
        handler
    });
    if let Some(handler) = handler {
        handler();
    }
}

/// The address of the access that the memory protection unit refused, if that is what the fault is about: it has no handler
/// of its own here, so it becomes a HardFault.
fn refused() -> Option<usize> {
    const CFSR: *const u32 = 0xE000_ED28 as *const u32;
    const MMFAR: *const u32 = 0xE000_ED34 as *const u32;
    const REFUSED: u32 = 1 << 7 | 1 << 1; // MMARVALID and DACCVIOL
    if !HAS_FAULT_STATUS {
        return None;
    }
    // SAFETY: these are registers of this core; reading them has no effect.
    let (status, address) = unsafe { (CFSR.read_volatile(), MMFAR.read_volatile()) };
    (status & REFUSED == REFUSED).then_some(address as usize)
}

// SAFETY: the handler touches nothing of the interrupted program, and does not return.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    fault::end(format_args!("HardFault at {:#010x}", frame.pc()), refused())
}

// SAFETY: as above.
#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    fault::end(format_args!("no handler for interrupt {number}"), None)
}
