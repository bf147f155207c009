//! A heap of equal objects, some of them alive: mark bits, and memory for what a form keeps in the gaps.

use terrace_measure::random::Random;

/// Bytes of a granule.
pub const GRANULE: usize = 8;

/// Objects alive side by side, on average, where they come in runs.
const RUN: f64 = 16.0;

/// Which objects live.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Bytes of an object.
    pub object: usize,
    /// So many of 100.
    pub percent: usize,
    /// They come in runs, rather than one by one.
    pub in_runs: bool,
}

pub struct Heap {
    /// A bit for each granule: part of an object that lives.
    pub live: Vec<u64>,
    pub memory: Vec<u64>,
    /// Where objects that live start.
    pub objects: Vec<u32>,
}

impl Heap {
    pub fn new(bytes: usize, shape: Shape) -> Heap {
        let granules = bytes / GRANULE;
        let size = shape.object / GRANULE;
        let mut heap = Heap {
            live: vec![0; granules / 64],
            memory: vec![0; granules],
            objects: Vec::new(),
        };
        let mut random = Random::new(shape.object as u64);
        let part = shape.percent as f64 / 100.0;
        let mut lives = false;
        // The first granule is the gap before the first plug.
        for start in (1..granules - size).step_by(size) {
            lives = if !shape.in_runs {
                random.unit() < part
            } else if lives {
                random.unit() >= 1.0 / RUN
            } else {
                random.unit() < part / (RUN * (1.0 - part))
            };
            if lives {
                heap.objects.push(start as u32);
                (start..start + size).for_each(|granule| heap.live[granule / 64] |= 1 << (granule % 64));
            }
        }
        heap
    }

    /// Calls `visit` with start and end of each plug, in order.
    #[inline(always)]
    pub fn plugs(live: &[u64], mut visit: impl FnMut(u32, u32)) {
        let mut at = 0;
        while let Some(from) = find(live, at, 0) {
            at = find(live, from, u64::MAX).expect("the last object is followed by a gap");
            visit(from, at);
        }
    }

    /// How many plugs there are, and how many of them have less than `bytes` of gap before them.
    pub fn count_plugs(&self, bytes: usize) -> (usize, usize) {
        let (mut plugs, mut cramped, mut last) = (0, 0, 0);
        Heap::plugs(&self.live, |from, end| {
            plugs += 1;
            cramped += usize::from(((from - last) as usize) < bytes / GRANULE);
            last = end;
        });
        (plugs, cramped)
    }
}

/// The first granule from `from` on whose bit differs from those of `flip`.
#[inline(always)]
fn find(live: &[u64], from: u32, flip: u64) -> Option<u32> {
    let mut index = (from / 64) as usize;
    let mut word = (*live.get(index)? ^ flip) & (u64::MAX << (from % 64));
    while word == 0 {
        index += 1;
        word = *live.get(index)? ^ flip;
    }
    Some(index as u32 * 64 + word.trailing_zeros())
}
