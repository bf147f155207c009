//! Counts the instructions of one call exactly, by single-stepping the processor through it.

/// What a call took, in instructions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cost {
    Exactly(u64),
    /// The count was given up on at [`LIMIT`].
    MoreThan(u64),
}

/// Stepping stops here and the call goes on at full speed: a step takes some microseconds.
pub const LIMIT: u64 = 50_000;

/// A call as it is counted: up to four words in, one word out.
pub type Call = extern "C" fn(usize, usize, usize, usize) -> usize;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod trap {
    use super::{Call, Cost, LIMIT};
    use core::{
        ffi::{c_int, c_void},
        sync::atomic::{AtomicU64, Ordering::Relaxed},
    };

    /// The trap flag: the processor raises SIGTRAP after the next instruction.
    const TRAP_FLAG: i64 = 0x100;

    static STEPS: AtomicU64 = AtomicU64::new(0);

    extern "C" fn on_trap(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
        if STEPS.fetch_add(1, Relaxed) >= LIMIT {
            // SAFETY: the kernel passes the interrupted context, which nobody else refers to.
            let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
            context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
        }
    }

    /// Makes calls and counts them.
    pub struct Stepper {
        /// Steps of a call besides those of the function itself.
        around: u64,
        /// Steps made so far, in all.
        pub total: u64,
    }

    impl Stepper {
        pub fn new() -> std::io::Result<Stepper> {
            extern "C" fn nothing(_: usize, _: usize, _: usize, _: usize) -> usize {
                0
            }
            // SAFETY: all zeros is a valid value of this structure of integers and an optional function.
            let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
            action.sa_flags = libc::SA_SIGINFO;
            action.sa_sigaction = on_trap as *const () as usize;
            // SAFETY: the handler touches an atomic and the context it is given only.
            if unsafe { libc::sigaction(libc::SIGTRAP, &action, core::ptr::null_mut()) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
            let mut stepper = Stepper { around: 0, total: 0 };
            let Cost::Exactly(steps) = stepper.count(nothing, [0; 4]).1 else {
                unreachable!("a short call")
            };
            // `nothing` sets its result and returns: two instructions.
            stepper.around = steps - 2;
            Ok(stepper)
        }

        /// Calls `call` and counts from its first instruction to its return.
        pub fn count(&mut self, call: Call, arguments: [usize; 4]) -> (usize, Cost) {
            STEPS.store(0, Relaxed);
            let result;
            // SAFETY: the flags are saved and changed on the stack, which is aligned for a call at the start of the
            // block and again at the call; the call is by the C convention, whose clobbers are declared. The signal
            // handler spares the red zone.
            unsafe {
                core::arch::asm!(
                    "pushfq",
                    "or qword ptr [rsp], 0x100",
                    "popfq",
                    "call {call}",
                    "pushfq",
                    "and qword ptr [rsp], ~0x100",
                    "popfq",
                    call = in(reg) call,
                    inout("rdi") arguments[0] => _,
                    inout("rsi") arguments[1] => _,
                    inout("rdx") arguments[2] => _,
                    inout("rcx") arguments[3] => _,
                    lateout("rax") result,
                    clobber_abi("C"),
                );
            }
            let steps = STEPS.load(Relaxed);
            self.total += steps;
            (
                result,
                if steps > LIMIT {
                    Cost::MoreThan(LIMIT)
                } else {
                    Cost::Exactly(steps - self.around)
                },
            )
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod trap {
    use super::{Call, Cost};

    /// Counting needs the trap flag of x86-64 and Linux signals.
    pub struct Stepper {
        pub total: u64,
    }

    impl Stepper {
        pub fn new() -> std::io::Result<Stepper> {
            Err(std::io::Error::other("counting single operations needs x86-64 Linux"))
        }

        pub fn count(&mut self, call: Call, [a, b, c, d]: [usize; 4]) -> (usize, Cost) {
            (call(a, b, c, d), Cost::MoreThan(0))
        }
    }
}

pub use trap::Stepper;

#[cfg(test)]
mod tests {
    use super::{Cost, Stepper};

    extern "C" fn looped(n: usize, _: usize, _: usize, _: usize) -> usize {
        for i in 0..n {
            core::hint::black_box(i);
        }
        n
    }

    /// The count grows by the same number with each turn of a loop.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn counts_are_exact() {
        let mut stepper = Stepper::new().unwrap();
        let mut count = |n| match stepper.count(looped, [n, 0, 0, 0]) {
            (result, Cost::Exactly(steps)) if result == n => steps,
            other => panic!("{other:?}"),
        };
        let (ten, eleven, thirty) = (count(10), count(11), count(30));
        assert_eq!(count(10), ten);
        assert_eq!(thirty - ten, 20 * (eleven - ten));
    }
}
