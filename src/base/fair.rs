//! A spin lock that is taken in the order of arrival.

use lock_api::RawMutex;

use super::atomic::{AtomicU32, Ordering, spin_loop};

/// A spin lock that cores get in the order in which they asked for it: a ticket lock. Feature `spin`.
///
/// Nobody waits for more than one turn of each other core, so with *n* cores the longest wait is *n* - 1 times the longest
/// operation of the heap. [`Spin`](crate::Spin) has no such bound: whoever looks at the right moment gets it, and one core may
/// lose again and again. Both take one atomic read-modify-write operation where nobody waits.
///
/// Choose it for cores that run nothing else meanwhile: bare metal, or threads that have a processor each. Where a thread can
/// lose its processor while it waits, all that came after it wait until it has one again; there take [`Spin`](crate::Spin). As
/// with that, an interrupt must not use the heap of the core that it interrupts.
///
/// A core without compare-and-swap takes it from `portable-atomic`, as set up by the firmware.
///
/// # Examples
/// ```
/// use terrace::{FairSpin, Heap};
///
/// static HEAP: Heap<FairSpin> = <Heap<FairSpin>>::new();
/// ```
pub struct FairSpin {
    /// The ticket that who comes next will draw.
    next: AtomicU32,
    /// The ticket whose turn it is. If that is drawn, the lock is held, and only its holder writes here.
    serving: AtomicU32,
}

impl FairSpin {
    /// Waits for the turn of a ticket that the caller has drawn. What earlier holders wrote is seen from then on.
    #[inline(always)]
    fn wait(&self, ticket: u32) {
        while self.serving.load(Ordering::Acquire) != ticket {
            spin_loop();
        }
    }
}

// SAFETY: a ticket is drawn by one caller, since that is a single operation on `next`; tickets repeat after 2^32 of them, which
// is more than there can be waiting at a time. So there is one holder of the ticket that is served, and the next one is served
// when that holder unlocks, not before.
unsafe impl RawMutex for FairSpin {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to construct a lock"
    )]
    const INIT: FairSpin = FairSpin {
        next: AtomicU32::new(0),
        serving: AtomicU32::new(0),
    };
    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock(&self) {
        self.wait(self.next.fetch_add(1, Ordering::Relaxed));
    }

    #[inline(always)]
    fn try_lock(&self) -> bool {
        let ticket = self.serving.load(Ordering::Relaxed);
        let drawn = ticket.wrapping_add(1);
        // A ticket that is served and not drawn: nobody holds the lock, nobody waits.
        let order = Ordering::Relaxed;
        if self.next.compare_exchange(ticket, drawn, order, order).is_err() {
            return false;
        }
        // Its turn is now, unless this thread slept above for as long as it takes to draw all tickets there are: then it waits.
        self.wait(ticket);
        true
    }

    #[inline(always)]
    unsafe fn unlock(&self) {
        // The caller is the holder, so nobody else writes.
        let next = self.serving.load(Ordering::Relaxed).wrapping_add(1);
        self.serving.store(next, Ordering::Release);
    }

    #[inline]
    fn is_locked(&self) -> bool {
        let serving = self.serving.load(Ordering::Relaxed);
        self.next.load(Ordering::Relaxed) != serving
    }
}

#[cfg(all(test, not(terrace_model)))]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::thread;
    use std::vec::Vec;

    #[test]
    fn c22_waiting_cores_are_served_in_the_order_of_arrival() {
        let (lock, served) = (FairSpin::INIT, Mutex::new(Vec::new()));
        lock.lock();
        thread::scope(|scope| {
            for number in 0..4_u32 {
                let (lock, served) = (&lock, &served);
                scope.spawn(move || {
                    lock.lock();
                    served.lock().unwrap().push(number);
                    assert!(!lock.try_lock(), "while it is held");
                    // SAFETY: locked above.
                    unsafe { lock.unlock() };
                });
                while lock.next.load(Ordering::Relaxed) != number + 2 {
                    thread::yield_now();
                }
                assert!(!lock.try_lock(), "while others wait");
            }
            assert!(lock.is_locked());
            // SAFETY: locked at the beginning.
            unsafe { lock.unlock() };
        });
        assert_eq!(served.into_inner().unwrap(), [0, 1, 2, 3]);
        assert!(!lock.is_locked());
    }

    #[test]
    fn c22_tickets_begin_anew_when_they_are_used_up() {
        let lock = FairSpin {
            next: AtomicU32::new(u32::MAX - 2),
            serving: AtomicU32::new(u32::MAX - 2),
        };
        for _ in 0..3 {
            lock.lock();
            assert!(!lock.try_lock());
            // SAFETY: locked above.
            unsafe { lock.unlock() };
            assert!(lock.try_lock());
            assert!(lock.is_locked());
            // SAFETY: locked above.
            unsafe { lock.unlock() };
            assert!(!lock.is_locked());
        }
        assert_eq!(lock.serving.load(Ordering::Relaxed), 3);
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
