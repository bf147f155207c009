//! Several harts of a RISC-V machine. Hart 0 runs the program; the others sleep until there is work for all.

use core::{
    arch::{asm, global_asm},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

use critical_section::Mutex;
use riscv::{
    asm::{fence, wfi},
    interrupt,
    register::{mie, mip},
};

use super::CORES;

/// The CLINT's registers `msip`, one word for each hart: 1 makes a software interrupt pending there.
const MSIP: *mut u32 = 0x0200_0000 as *mut u32;

/// What a hart, whose number it is given, is to do.
type Work = fn(usize);

/// What all harts are at.
static WORK: Mutex<Cell<Option<Work>>> = Mutex::new(Cell::new(None));

/// Harts other than 0 that have not finished it.
static REMAINING: AtomicUsize = AtomicUsize::new(0);

// What riscv-rt calls on each hart, with its number in `a0`, before RAM is set up: the answer 1 means that this hart is to do
// that. The number stays in `tp`, which compiled code leaves alone where there are no thread-locals. Harts other than 0 wait
// for a software interrupt, which wakes them but is not taken; it stays pending, for `serve`.
global_asm!(
    ".section .text.mp_hook, \"ax\"",
    ".global _mp_hook",
    "_mp_hook:",
    "mv tp, a0",
    "beqz a0, 2f",
    "csrsi mie, 8", // MSIE
    "1:",
    "wfi",
    "csrr t0, mip",
    "andi t0, t0, 8", // MSIP
    "beqz t0, 1b",
    "li a0, 0",
    "ret",
    "2:",
    "li a0, 1",
    "ret",
);

/// The running core, from 0.
#[inline(always)]
pub fn core_id() -> usize {
    let hart;
    // SAFETY: reads a register that nothing has written to since `_mp_hook`.
    unsafe { asm!("mv {}, tp", out(reg) hart, options(pure, nomem, nostack, preserves_flags)) };
    hart
}

/// Makes a software interrupt of `hart` pending, or withdraws it.
fn signal(hart: usize, is_pending: bool) {
    // What was written before is to be seen by the hart that wakes up.
    fence();
    // SAFETY: this is the word of one of the harts that there are; writing it wakes that hart and does nothing else, as
    // software interrupts are never taken.
    unsafe { MSIP.add(hart).write_volatile(u32::from(is_pending)) };
    fence();
}

pub fn on_all_cores(work: Work) {
    assert_eq!(core_id(), 0, "the core that gives work to all is core 0");
    critical_section::with(|cs| {
        let other = WORK.borrow(cs).replace(Some(work));
        assert!(other.is_none(), "the cores are at work already");
    });
    REMAINING.store(CORES - 1, Ordering::Relaxed);
    (1..CORES).for_each(|hart| signal(hart, true));
    work(0);
    while is_awaited() {}
    critical_section::with(|cs| WORK.borrow(cs).set(None));
}

/// Whether other harts have not finished. If so, sleeps until the last one has, or an interrupt comes.
fn is_awaited() -> bool {
    interrupt::free(|| {
        // An earlier call, which was not waited for, must not keep this hart awake. This one's comes after the count is 0.
        signal(0, false);
        let is_awaited = REMAINING.load(Ordering::Acquire) > 0;
        if is_awaited {
            // SAFETY: interrupts are off, so that the software interrupt only ends the sleep; nobody is there to take it.
            unsafe { mie::set_msoft() };
            wfi();
            // SAFETY: none is enabled by this.
            unsafe { mie::clear_msoft() };
        }
        is_awaited
    })
}

/// What a hart other than 0 does from its start on.
pub fn serve() -> ! {
    let hart = core_id();
    loop {
        while !mip::read().msoft() {
            wfi();
        }
        signal(hart, false);
        if let Some(work) = critical_section::with(|cs| WORK.borrow(cs).get()) {
            work(hart);
        }
        if REMAINING.fetch_sub(1, Ordering::AcqRel) == 1 {
            signal(0, true);
        }
    }
}
