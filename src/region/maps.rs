//! The kernel's list of a process's mappings, line by line: `7f2000-7f8000 rw-p 00000000 00:00 0`. Feature `std`, on Linux.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read};

use super::host::{MemoryInfo, MemoryState, Protection};

/// The mapping that `address` lies in, or the hole between two; nothing if the list cannot be read. O(mappings).
pub(super) fn find(address: usize) -> Option<MemoryInfo> {
    let file = open("/proc/self/maps", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut search = Search::new(address);
    let mut buffer = [0u8; 1024];
    loop {
        let count = match read(&file, &mut buffer) {
            Ok(0) => return Some(search.hole(usize::MAX)),
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        };
        if let Some(found) = buffer[..count].iter().find_map(|byte| search.take(*byte)) {
            return Some(found);
        }
    }
}

/// What of a line is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Start,
    End,
    Access,
    Rest,
}

/// Reads the list byte by byte, until it has found the address.
struct Search {
    address: usize,
    field: Field,
    start: usize,
    end: usize,
    /// The end of the last mapping before the address.
    hole: usize,
    protection: Protection,
}

impl Search {
    fn new(address: usize) -> Search {
        Search {
            address,
            field: Field::Start,
            start: 0,
            end: 0,
            hole: 0,
            protection: Protection::NoAccess,
        }
    }

    /// The next byte; the answer, if that is known now.
    fn take(&mut self, byte: u8) -> Option<MemoryInfo> {
        let digit = |number: usize| number << 4 | (byte as char).to_digit(16).unwrap_or(0) as usize;
        match (self.field, byte) {
            (_, b'\n') => {
                *self = Search {
                    hole: self.end,
                    ..Search::new(self.address)
                }
            }
            (Field::Start, b'-') => {
                self.field = Field::End;
                if self.address < self.start {
                    return Some(self.hole(self.start));
                }
            }
            (Field::Start, _) => self.start = digit(self.start),
            (Field::End, b' ') => self.field = Field::Access,
            (Field::End, _) => self.end = digit(self.end),
            (Field::Access, b'r') => self.protection = Protection::ReadOnly,
            (Field::Access, b'w') => self.protection = Protection::ReadWrite,
            (Field::Access, b' ') => {
                self.field = Field::Rest;
                if self.address < self.end {
                    return Some(self.mapping());
                }
            }
            (Field::Access | Field::Rest, _) => {}
        }
        None
    }

    fn mapping(&self) -> MemoryInfo {
        let state = match self.protection {
            Protection::NoAccess => MemoryState::Reserved,
            _ => MemoryState::Committed,
        };
        MemoryInfo {
            start: self.start,
            bytes: self.end - self.start,
            state,
            protection: self.protection,
        }
    }

    /// What lies before `end`, where the next mapping starts.
    fn hole(&self, end: usize) -> MemoryInfo {
        MemoryInfo {
            start: self.hole,
            bytes: end - self.hole,
            state: MemoryState::Free,
            protection: Protection::NoAccess,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "1000-3000 r--p 00000000 08:01 12  /bin/a-b 1\n3000-9000 ---p 00000000 00:00 0\nff000-ff800 rw-p 0 0 0 [heap]\n";

    fn find(address: usize) -> (usize, usize, MemoryState, Protection) {
        let mut search = Search::new(address);
        let found = LIST.bytes().find_map(|byte| search.take(byte));
        let info = found.unwrap_or_else(|| search.hole(usize::MAX));
        (info.start, info.start + info.bytes, info.state, info.protection)
    }

    #[test]
    fn b1_the_list_of_mappings_is_understood() {
        use MemoryState::*;
        use Protection::*;
        assert_eq!(find(0), (0, 0x1000, Free, NoAccess));
        assert_eq!(find(0x1000), (0x1000, 0x3000, Committed, ReadOnly));
        assert_eq!(find(0x2fff), (0x1000, 0x3000, Committed, ReadOnly));
        assert_eq!(find(0x3000), (0x3000, 0x9000, Reserved, NoAccess));
        assert_eq!(find(0x9000), (0x9000, 0xff000, Free, NoAccess));
        assert_eq!(find(0xff123), (0xff000, 0xff800, Committed, ReadWrite));
        assert_eq!(find(0xff800), (0xff800, usize::MAX, Free, NoAccess));
    }
}
