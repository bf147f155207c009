//! The fixed memory that a heap is given.

/// A span of zeroed pages from the system, given back when dropped.
pub struct Region {
    start: *mut u8,
    len: usize,
    mapped: usize,
}

impl Region {
    /// Fresh memory of `len` bytes, at an address that is a multiple of 4096.
    pub fn new(len: usize) -> Region {
        let mapped = len.max(1);
        // SAFETY: an anonymous mapping at an address of the system's choice touches nothing that exists.
        let start = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        assert!(start != libc::MAP_FAILED, "no memory for a region of {len} bytes");
        Region {
            start: start.cast(),
            len,
            mapped,
        }
    }

    /// The first byte.
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// Bytes.
    #[allow(clippy::len_without_is_empty, reason = "a span of memory is no collection")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Uses only the first `len` bytes from now on.
    pub fn shrink_to(&mut self, len: usize) {
        assert!(len <= self.mapped);
        self.len = len;
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: our own mapping; whoever dropped the region uses no heap in it any more.
        unsafe { libc::munmap(self.start.cast(), self.mapped) };
    }
}
