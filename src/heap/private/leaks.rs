//! What is in use in a private heap, by the sites that asked for it.

use core::fmt;
use core::panic::Location;

use lock_api::RawMutex;

use super::PrivateHeap;
use crate::native::private::Site;

/// What one site has in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LeakSite {
    /// Where it was asked for; nothing for blocks that were asked for without saying where, and for those whose headers were
    /// overwritten.
    pub site: Option<&'static Location<'static>>,
    /// Blocks in use.
    pub blocks: usize,
    /// Bytes that were asked for in them; none in those whose headers were overwritten.
    pub bytes: usize,
}

impl fmt::Display for LeakSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.site {
            Some(site) => write!(f, "{}:{}", site.file(), site.line())?,
            None => f.write_str("no site")?,
        }
        let plural = if self.blocks == 1 { "" } else { "s" };
        write!(f, ": {} block{plural}, {} bytes", self.blocks, self.bytes)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for LeakSite {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (file, line) = self.site.map_or(("no site", 0), |site| (site.file(), site.line()));
        defmt::write!(
            f,
            "{=str}:{=u32}: {=usize} blocks, {=usize} bytes",
            file,
            line,
            self.blocks,
            self.bytes
        );
    }
}

/// The sites that have blocks in use in a private heap: an iterator in the order of files and lines, what has no site first; and,
/// displayed, one line for each of them.
///
/// It takes no memory. Each step looks at all blocks: O(bytes / 256 + blocks), under the lock, so O(sites * blocks) for all. What
/// is allocated or freed between two steps may be listed or not. Not for interrupts.
pub struct Leaks<'p, 'h, M> {
    heap: &'p PrivateHeap<'h, M>,
    /// The last site that was listed, if any was.
    after: Option<Site>,
}

impl<'p, 'h, M> Leaks<'p, 'h, M> {
    pub(super) fn new(heap: &'p PrivateHeap<'h, M>) -> Self {
        Leaks { heap, after: None }
    }
}

/// What sites are told apart by, and ordered by.
fn key(site: Site) -> Option<(&'static str, u32)> {
    site.map(|site| (site.file(), site.line()))
}

impl<M: RawMutex> Iterator for Leaks<'_, '_, M> {
    type Item = LeakSite;

    fn next(&mut self) -> Option<LeakSite> {
        let mut least: Option<LeakSite> = None;
        self.heap.heap.lock().each(|_, live| {
            let (site, bytes) = live.map_or((None, 0), |live| (live.site, live.size));
            let this = key(site);
            if self.after.is_some_and(|after| this <= key(after)) {
                return;
            }
            match &mut least {
                Some(least) if key(least.site) < this => {}
                Some(least) if key(least.site) == this => {
                    least.blocks += 1;
                    least.bytes += bytes;
                }
                _ => least = Some(LeakSite { site, blocks: 1, bytes }),
            }
        });
        self.after = least.map(|least| least.site).or(self.after);
        least
    }
}

impl<M> Clone for Leaks<'_, '_, M> {
    fn clone(&self) -> Self {
        Leaks {
            heap: self.heap,
            after: self.after,
        }
    }
}

impl<M: RawMutex> fmt::Display for Leaks<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sites = self.clone();
        let Some(first) = sites.next() else {
            return f.write_str("no blocks");
        };
        write!(f, "{first}")?;
        sites.try_for_each(|site| write!(f, "\n{site}"))
    }
}

impl<M> fmt::Debug for Leaks<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaks")
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}
