//! Time of the processor, which other programs do not take part in.

use std::time::Duration;

/// What this thread has taken of the processor, in the kernel as well.
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid; the clock exists since Linux 2.6.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(status, 0, "there is a clock for threads");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The most memory that this process had at any time, in bytes.
pub fn peak_memory() -> u64 {
    // SAFETY: all zeros is a valid value of this structure of integers, and it is filled by the call.
    unsafe {
        let mut usage: libc::rusage = core::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage.ru_maxrss as u64 * 1024
    }
}

/// How long each step took, if that is asked for: looking at the clock takes a quarter of a microsecond.
#[derive(Default)]
pub struct Steps {
    wanted: bool,
    last: Duration,
    nanoseconds: Vec<u64>,
}

impl Steps {
    pub fn unmeasured() -> Steps {
        Steps::default()
    }

    pub fn measured() -> Steps {
        Steps {
            wanted: true,
            last: Duration::ZERO,
            nanoseconds: Vec::with_capacity(1 << 17),
        }
    }

    /// The first step begins.
    pub fn start(&mut self) {
        if self.wanted {
            self.last = cpu_time();
        }
    }

    /// A step ends, and the next one begins.
    #[inline]
    pub fn end(&mut self) {
        if self.wanted {
            let now = cpu_time();
            self.nanoseconds.push((now - self.last).as_nanos() as u64);
            self.last = now;
        }
    }

    /// The times below which lie half of the steps, 99 %, 99.99 % and all, in nanoseconds.
    pub fn distribution(mut self) -> Option<[u64; 4]> {
        self.nanoseconds.sort_unstable();
        let last = self.nanoseconds.len().checked_sub(1)?;
        Some([0.5, 0.99, 0.9999, 1.0].map(|part| self.nanoseconds[(last as f64 * part) as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distribution_is_by_rank() {
        let steps = Steps {
            nanoseconds: (0..=10_000).rev().collect(),
            ..Steps::measured()
        };
        assert_eq!(steps.distribution(), Some([5_000, 9_900, 9_999, 10_000]));
        assert_eq!(Steps::unmeasured().distribution(), None);
    }
}
