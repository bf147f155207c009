//! A spin lock that is taken in the order of arrival.

use lock_api::RawMutex;

use super::atomic::{AtomicU32, Ordering, spin_loop};

/// A spin lock that cores get in the order in which they asked for it. Feature `spin`.
///
/// Of *n* cores, nobody waits for more than one turn of each other one, so the longest wait is *n* - 1 times the longest operation
/// of the heap. [`Spin`](crate::Spin) has no such bound: whoever looks at the right moment gets it, and one core may lose again
/// and again. Where nobody waits, both take one atomic read-modify-write operation.
///
/// A waiting core whose turn it is takes the lock as soon as it is free. One that does not, since the system has taken its
/// processor away, is passed over, and takes the lock when it is back; so threads that outnumber the processors do not wait for
/// those of them that sleep. The bound above is for cores that run.
///
/// As with [`Spin`](crate::Spin), an interrupt must not use the heap of the core that it interrupts. A core without
/// compare-and-swap takes it from `portable-atomic`, as set up by the firmware.
///
/// # Examples
/// ```
/// use terrace::{FairSpin, Heap};
///
/// static HEAP: Heap<FairSpin> = <Heap<FairSpin>>::new();
/// ```
pub struct FairSpin {
    /// 1 while the lock is held. This alone excludes others; the tickets are manners.
    held: AtomicU32,
    /// The ticket that who comes next and has to wait will draw.
    next: AtomicU32,
    /// The ticket whose turn it is; `next` if nobody waits, or only who was passed over. Only the lock's holder writes here.
    serving: AtomicU32,
}

/// How often a waiting core sees the lock free and not taken, for each one that is before it, until it passes them over. A core
/// that runs takes the lock within a few looks.
const PATIENCE: u32 = 64;

impl FairSpin {
    /// Takes the lock if it is free.
    #[inline(always)]
    fn take(&self) -> bool {
        self.held
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) {
        self.wait_with(self.next.fetch_add(1, Ordering::Relaxed), PATIENCE);
    }

    /// Takes the lock when it is the turn of this ticket, or those before it do not use theirs.
    fn wait_with(&self, ticket: u32, patience: u32) {
        let mut unused = 0_u32;
        loop {
            if self.held.load(Ordering::Relaxed) != 0 {
                unused = 0;
            } else if unused >= patience.saturating_mul(self.before(ticket)) {
                if self.take() {
                    break;
                }
                unused = 0;
            } else {
                unused = unused.saturating_add(1);
            }
            spin_loop();
        }
        if !self.is_past(ticket) {
            self.serving.store(ticket.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// How many are served before this ticket.
    fn before(&self, ticket: u32) -> u32 {
        let serving = self.serving.load(Ordering::Relaxed);
        (ticket.wrapping_sub(serving) as i32).max(0) as u32
    }

    /// Whether this ticket was passed over.
    fn is_past(&self, ticket: u32) -> bool {
        (ticket.wrapping_sub(self.serving.load(Ordering::Relaxed)) as i32) < 0
    }
}

// SAFETY: `held` goes from 0 to 1 in one operation, by who gets the lock, and back to 0 when that unlocks; so there is one holder at
// a time. The orders make what one wrote visible to the next.
unsafe impl RawMutex for FairSpin {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to construct a lock"
    )]
    const INIT: FairSpin = FairSpin {
        held: AtomicU32::new(0),
        next: AtomicU32::new(0),
        serving: AtomicU32::new(0),
    };
    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.wait();
        }
    }

    /// Who waits comes first: while somebody does, this fails.
    #[inline(always)]
    fn try_lock(&self) -> bool {
        self.next.load(Ordering::Relaxed) == self.serving.load(Ordering::Relaxed) && self.take()
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        self.held.store(0, Ordering::Release);
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.held.load(Ordering::Relaxed) != 0
    }
}

#[cfg(all(test, not(terrace_model)))]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::thread;
    use std::vec::Vec;

    /// Four threads wait one after the other, from a ticket on; who gets the lock when?
    fn order_of_service(first: u32) -> Vec<u32> {
        let lock = FairSpin {
            held: AtomicU32::new(1),
            next: AtomicU32::new(first),
            serving: AtomicU32::new(first),
        };
        let served = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..4_u32 {
                let (lock, served) = (&lock, &served);
                let ticket = lock.next.fetch_add(1, Ordering::Relaxed);
                scope.spawn(move || {
                    lock.wait_with(ticket, u32::MAX); // sleepers are waited for
                    served.lock().unwrap().push(number);
                    // SAFETY: locked above.
                    unsafe { lock.unlock() };
                });
            }
            assert!(lock.is_locked() && !lock.try_lock());
            // SAFETY: it was made as a lock that is held.
            unsafe { lock.unlock() };
        });
        assert!(lock.try_lock(), "nobody waits, nobody holds it");
        served.into_inner().unwrap()
    }

    #[test]
    fn c22_waiting_cores_are_served_in_the_order_of_arrival() {
        assert_eq!(order_of_service(0), [0, 1, 2, 3]);
    }

    #[test]
    fn c22_tickets_begin_anew_when_they_are_used_up() {
        assert_eq!(order_of_service(u32::MAX - 1), [0, 1, 2, 3]);
    }

    #[test]
    fn c22_who_waits_comes_before_who_comes() {
        let lock = FairSpin::INIT;
        let ticket = lock.next.fetch_add(1, Ordering::Relaxed);
        assert!(!lock.try_lock(), "somebody waits, though nobody holds it");
        lock.wait_with(ticket, PATIENCE);
        assert!(!lock.try_lock(), "somebody holds it");
        // SAFETY: locked above.
        unsafe { lock.unlock() };
        assert!(lock.try_lock());
    }

    #[test]
    fn c22_who_sleeps_is_passed_over() {
        let lock = FairSpin::INIT;
        let asleep = [(); 2].map(|()| lock.next.fetch_add(1, Ordering::Relaxed));
        lock.lock();
        assert_eq!(lock.serving.load(Ordering::Relaxed), 3);
        // SAFETY: locked above.
        unsafe { lock.unlock() };
        for ticket in asleep {
            lock.wait_with(ticket, u32::MAX);
            // SAFETY: locked above.
            unsafe { lock.unlock() };
            assert_eq!(lock.serving.load(Ordering::Relaxed), 3, "the others keep their order");
        }
        assert!(lock.try_lock());
    }

    #[test]
    fn c22_one_at_a_time() {
        const TIMES: usize = 2000;
        /// Not atomic: two holders at a time would lose counts.
        struct Counted(std::cell::UnsafeCell<usize>);
        // SAFETY: touched by the holder of the lock only, if that works.
        unsafe impl Sync for Counted {}

        let (lock, counted) = (FairSpin::INIT, Counted(0.into()));
        thread::scope(|scope| {
            for thread in 0..2 {
                let (lock, counted) = (&lock, &counted);
                scope.spawn(move || {
                    for turn in 0..TIMES {
                        if turn % 2 == thread || !lock.try_lock() {
                            lock.lock();
                        }
                        // SAFETY: the lock is held, and unlocked at the end.
                        unsafe {
                            *counted.0.get() += 1;
                            lock.unlock();
                        }
                    }
                });
            }
        });
        assert_eq!(counted.0.into_inner(), 2 * TIMES);
    }
}
