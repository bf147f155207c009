//! What there is of each type, as `dumpheap -stat` of .NET's debugger tells.

use core::fmt;

use super::brand::Brand;
use super::walk::{ObjectInfo, ObjectType};

/// The objects of one type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct TypeCount {
    /// The type.
    pub object_type: ObjectType,
    /// How many objects.
    pub count: usize,
    /// Bytes that they take, with headers.
    pub bytes: usize,
}

/// A table of the `N` types that were met first, and the sum of all others, which is collected from [`Cx::walk`](crate::Cx::walk).
/// It takes no memory of the heap.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// arena.enter(|cx| {
///     let numbers = cx.new_slice::<u64>(100, |_, index| index as u64).unwrap();
///     let kept: Vec<_> = (0..10).map(|i| cx.new::<u16>(|_| i).unwrap()).collect();
///     cx.collect(Generation::Old);
///     let types: TypeStats<8> = cx.walk().collect();
///     assert_eq!((types.rows()[0].count, types.rows()[1].count), (1, 10), "most bytes first");
///     println!("{types}");
/// });
/// ```
/// prints, with feature `names` on a host:
/// ```text
///    count      bytes  type
///        1        816  [u64]
///       10        160  u16
///       11        976  in all
/// ```
#[derive(Clone, Debug)]
pub struct TypeStats<const N: usize> {
    rows: heapless::Vec<TypeCount, N>,
    other_count: usize,
    other_bytes: usize,
}

impl<const N: usize> TypeStats<N> {
    /// An empty table.
    pub const fn new() -> TypeStats<N> {
        TypeStats {
            rows: heapless::Vec::new(),
            other_count: 0,
            other_bytes: 0,
        }
    }

    /// Counts an object. O(N).
    pub fn add<A: Brand>(&mut self, object: ObjectInfo<'_, A>) {
        let (object_type, bytes) = (object.object_type(), object.bytes());
        let found = self.rows.iter().position(|row| row.object_type == object_type);
        let Some(mut index) = found.or_else(|| self.add_row(object_type)) else {
            self.other_count += 1;
            self.other_bytes += bytes;
            return;
        };
        self.rows[index].count += 1;
        self.rows[index].bytes += bytes;
        while index > 0 && self.rows[index - 1].bytes < self.rows[index].bytes {
            self.rows.swap(index - 1, index);
            index -= 1;
        }
    }

    fn add_row(&mut self, object_type: ObjectType) -> Option<usize> {
        let row = TypeCount {
            object_type,
            count: 0,
            bytes: 0,
        };
        self.rows.push(row).ok()?;
        Some(self.rows.len() - 1)
    }

    /// The types, those with the most bytes first.
    pub fn rows(&self) -> &[TypeCount] {
        &self.rows
    }

    /// Objects whose types did not fit into the table, and their bytes.
    pub const fn others(&self) -> (usize, usize) {
        (self.other_count, self.other_bytes)
    }

    /// All objects, and their bytes.
    pub fn total(&self) -> (usize, usize) {
        self.rows.iter().fold(self.others(), |(count, bytes), row| {
            (count + row.count, bytes + row.bytes)
        })
    }
}

impl<const N: usize> Default for TypeStats<N> {
    fn default() -> Self {
        TypeStats::new()
    }
}

impl<'g, A: Brand, const N: usize> Extend<ObjectInfo<'g, A>> for TypeStats<N> {
    fn extend<I: IntoIterator<Item = ObjectInfo<'g, A>>>(&mut self, objects: I) {
        objects.into_iter().for_each(|object| self.add(object));
    }
}

impl<'g, A: Brand, const N: usize> FromIterator<ObjectInfo<'g, A>> for TypeStats<N> {
    fn from_iter<I: IntoIterator<Item = ObjectInfo<'g, A>>>(objects: I) -> TypeStats<N> {
        let mut types = TypeStats::new();
        types.extend(objects);
        types
    }
}

impl<const N: usize> fmt::Display for TypeStats<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>8} {:>10}  type", "count", "bytes")?;
        for row in &self.rows {
            writeln!(f, "{:>8} {:>10}  {}", row.count, row.bytes, row.object_type)?;
        }
        if self.other_count != 0 {
            writeln!(f, "{:>8} {:>10}  others", self.other_count, self.other_bytes)?;
        }
        let (count, bytes) = self.total();
        write!(f, "{count:>8} {bytes:>10}  in all")
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for TypeStats<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=[?]}, {=usize} others", self.rows(), self.other_count);
    }
}
