//! Hash maps.
//!
//! Open addressing with linear probing, in a vector of a power of two of entries of which three quarters are used at most;
//! what follows a removed entry moves up ("backward shift deletion"). All of it is on top of a vector's safe operations, so
//! whatever a key's own code does to the map meanwhile, nothing worse comes of it than a key that is not found.
//!
//! **Identity.** The hash of a reference is the position of its object, which takes no memory in objects and works for all of
//! them; but it changes when objects move. So a map whose keys move remembers the number of compactions when it was last in
//! order, and puts its entries in order again, where they are, when it is used after another one.

use core::cell::Cell;

use super::super::brand::{Brand, Main};
use super::super::cx::Cx;
use super::super::error::{Full, OutOfMemory};
use super::super::handle::Root;
use super::super::trace::{Of, Rebind, Trace};
use super::buffer::reserve_collecting;
use super::element::Element;
use super::key::{Key, Query};
use super::vec::{GcVec, GcVecIter};
use crate::gc::visit::Visitor;

/// Entries of the smallest table.
const FIRST: usize = 4;

/// A hash map that grows, in an object or as one. 12 bytes, and a table of the arena's once there are entries.
///
/// Keys are found by value, by text or by identity, see [`Key`]. Keys and values are copied in and out, as those of
/// [`GcVec`] are. Operations take O(1) expected time, but for those that grow the table; where keys go by identity, the
/// first one after a collection that has moved anything takes O(capacity).
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// /// The variables of a scope, and the one around it.
/// #[derive(Trace)]
/// struct Scope<'g> {
///     variables: GcMap<'g, Symbol, i32>,
///     outer: Slot<'g, Scope<'g>>,
/// }
///
/// arena.enter(|cx| {
///     let x = cx.symbol("x")?;
///     let scope = cx.new::<Scope>(|_| Scope { variables: GcMap::new(), outer: Slot::null() })?;
///     scope.get(cx).variables.try_insert(cx, x, 7)?;
///     cx.compact();
///     assert_eq!(scope.get(cx).variables.get(cx, &x), Some(7));
///
///     // By identity, and by text.
///     let seen = cx.new::<GcMap<Slot<Scope>, ()>>(|_| GcMap::new())?;
///     seen.insert(cx, |g| (Slot::new(g, scope.get(g)), ()))?;
///     let ages = cx.new::<GcMap<Text, u32>>(|_| GcMap::new())?;
///     ages.insert(cx, |g| (Text::new(g, g.try_str("Ada").unwrap()), 36))?;
///     cx.compact();
///     assert!(seen.get(cx).get().contains(cx, &scope.get(cx)));
///     assert_eq!(ages.get(cx).get().get(cx, "Ada"), Some(36));
///     Ok::<(), OutOfMemory>(())
/// }).unwrap();
/// ```
pub struct GcMap<'g, K, V, A = Main> {
    table: GcVec<'g, Entry<K, V>, A>,
    count: Cell<u32>,
    /// Compactions, when the entries were last in order.
    epoch: Cell<u32>,
}

/// A place in the table.
enum Entry<K, V> {
    Empty,
    /// From the place that the key's hash says to this one, no place is empty.
    Settled(K, V),
    /// To be settled.
    Astray(K, V),
}

/// The place of a key with this hash in a table of `len` entries: the upper bits of a product ("Fibonacci hashing", Knuth).
fn home(hash: u32, len: usize) -> usize {
    (hash.wrapping_mul(0x9E37_79B9) >> (u32::BITS - len.trailing_zeros())) as usize
}

/// Entries of a table for `count` keys; nothing if there is none that large.
fn table_len(count: usize) -> Option<usize> {
    let len = count.checked_add(count.div_ceil(3))?.checked_next_power_of_two()?;
    (len < 1 << 31).then_some(len.max(FIRST))
}

impl<K, V, A> GcMap<'_, K, V, A> {
    /// A map without entries, and without a table.
    pub const fn new() -> Self
    where
        K: Element,
        V: Element,
    {
        GcMap {
            table: GcVec::new(),
            count: Cell::new(0),
            epoch: Cell::new(0),
        }
    }
}

impl<'g, K: Key<'g, A>, V: Element + Of<A>, A: Brand> GcMap<'g, K, V, A> {
    /// Entries in it.
    pub fn len(&self, _: &'g Cx<A>) -> usize {
        self.count.get() as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self, cx: &'g Cx<A>) -> bool {
        self.len(cx) == 0
    }

    /// The value of a key, if it has one.
    pub fn get<Q: Query<'g, K, A> + ?Sized>(&self, cx: &'g Cx<A>, key: &Q) -> Option<V> {
        self.table.get(cx, self.find(cx, key)?)?.pair().map(|(_, value)| value)
    }

    /// Whether a key has a value.
    pub fn contains<Q: Query<'g, K, A> + ?Sized>(&self, cx: &'g Cx<A>, key: &Q) -> bool {
        self.find(cx, key).is_some()
    }

    /// Gives a key a value; returns the one that it had. The key that was there stays.
    ///
    /// # Errors
    /// There is no room without a collection; key and value come back.
    pub fn try_insert(&self, cx: &'g Cx<A>, key: K, value: V) -> Result<Option<V>, Full<(K, V)>> {
        if let Some(at) = self.find(cx, &key)
            && let Some((first, old)) = self.table.get(cx, at).and_then(Entry::pair)
        {
            self.table.set(cx, at, Entry::Settled(first, value));
            return Ok(Some(old));
        }
        if let Err(Full { requested, .. }) = self.try_reserve(cx, 1) {
            let value = (key, value);
            return Err(Full { value, requested });
        }
        let hash = Key::hash(&key, cx);
        settle(cx, &self.table, hash, Entry::Settled(key, value));
        self.count.set(self.count.get() + 1);
        Ok(None)
    }

    /// Removes a key; returns its value.
    pub fn remove<Q: Query<'g, K, A> + ?Sized>(&self, cx: &'g Cx<A>, key: &Q) -> Option<V> {
        let mut hole = self.find(cx, key)?;
        let (_, removed) = self.table.get(cx, hole)?.pair()?;
        let len = self.table.len(cx);
        let ahead = |from: usize, to: usize| to.wrapping_sub(from) & (len - 1);
        let mut at = hole;
        for _ in 1..len {
            at = (at + 1) & (len - 1);
            let Some((key, value)) = self.table.get(cx, at).and_then(Entry::pair) else {
                break;
            };
            // It fills the hole, unless its home lies behind that.
            if ahead(home(Key::hash(&key, cx), len), at) >= ahead(hole, at) {
                self.table.set(cx, hole, Entry::Settled(key, value));
                hole = at;
            }
        }
        self.table.set(cx, hole, Entry::Empty);
        self.count.set(self.count.get().saturating_sub(1));
        Some(removed)
    }

    /// Removes all entries, and gives the table up.
    pub fn clear(&self, cx: &'g Cx<A>) {
        self.table.replace(cx, GcVec::new());
        self.count.set(0);
    }

    /// The entries, in no particular order. Ones that are added or removed meanwhile may be met or not, and if the table
    /// grows, others twice or not.
    pub fn iter<'a>(&'a self, cx: &'g Cx<A>) -> GcMapIter<'a, 'g, K, V, A> {
        GcMapIter {
            entries: self.table.iter(cx),
        }
    }

    /// Makes room for so many further entries.
    ///
    /// # Errors
    /// There is no room without a collection.
    pub fn try_reserve(&self, cx: &'g Cx<A>, additional: usize) -> Result<(), Full<()>> {
        let Some(len) = self.wanted(cx, additional) else {
            return Err(Full {
                value: (),
                requested: usize::MAX,
            });
        };
        if len == self.table.len(cx) {
            return Ok(());
        }
        let table = GcVec::new();
        table.try_resize_with(cx, len, || Entry::Empty)?;
        for (key, value) in self.table.iter(cx).filter_map(Entry::pair) {
            let hash = Key::hash(&key, cx);
            settle(cx, &table, hash, Entry::Settled(key, value));
        }
        self.table.replace(cx, table);
        self.epoch.set(compactions(cx));
        Ok(())
    }

    /// Bytes that adding so many entries takes, as [`GcVec::growth`].
    pub fn growth(&self, cx: &'g Cx<A>, additional: usize) -> usize {
        match self.wanted(cx, additional) {
            Some(len) if len == self.table.len(cx) => 0,
            Some(len) => GcVec::<Entry<K, V>, A>::new().growth_exact(cx, len),
            None => usize::MAX,
        }
    }

    /// Entries of a table with room for so many further ones; nothing if there is none that large.
    fn wanted(&self, cx: &'g Cx<A>, additional: usize) -> Option<usize> {
        let count = self.len(cx).checked_add(additional)?;
        table_len(count).map(|len| len.max(self.table.len(cx)))
    }

    /// The place of a key, if it is there.
    fn find<Q: Query<'g, K, A> + ?Sized>(&self, cx: &'g Cx<A>, key: &Q) -> Option<usize> {
        if K::MOVES && self.epoch.get() != compactions(cx) {
            self.put_in_order(cx);
        }
        let len = self.table.len(cx);
        if len == 0 {
            return None;
        }
        let mut at = home(key.hash(cx), len);
        for _ in 0..len {
            let (found, _) = self.table.get(cx, at)?.pair()?;
            if key.matches(&found, cx) {
                return Some(at);
            }
            at = (at + 1) & (len - 1);
        }
        None
    }

    /// Settles all entries anew, where they are: each takes the first place from its home on that no settled one has, and what
    /// was astray there is next.
    #[cold]
    fn put_in_order(&self, cx: &'g Cx<A>) {
        self.epoch.set(compactions(cx));
        let table = &self.table;
        for at in 0..table.len(cx) {
            if let Some((key, value)) = table.get(cx, at).and_then(Entry::pair) {
                table.set(cx, at, Entry::Astray(key, value));
            }
        }
        for at in 0..table.len(cx) {
            let mut next = table.get(cx, at);
            while let Some(Entry::Astray(key, value)) = next {
                table.set(cx, at, Entry::Empty);
                let hash = Key::hash(&key, cx);
                next = settle(cx, table, hash, Entry::Settled(key, value));
            }
        }
    }
}

/// How often objects have moved.
fn compactions<A: Brand>(cx: &Cx<A>) -> u32 {
    cx.collector().counters.compactions
}

/// Puts an entry into the first place from its home on that no settled one has; returns what was there.
fn settle<'g, K: Element + Of<A>, V: Element + Of<A>, A: Brand>(
    cx: &'g Cx<A>,
    table: &GcVec<'g, Entry<K, V>, A>,
    hash: u32,
    entry: Entry<K, V>,
) -> Option<Entry<K, V>> {
    let len = table.len(cx);
    let mut at = home(hash, len.max(FIRST));
    for _ in 0..len {
        if !matches!(table.get(cx, at), Some(Entry::Settled(..))) {
            return table.set(cx, at, entry);
        }
        at = (at + 1) & (len - 1);
    }
    None
}

impl<K, V> Entry<K, V> {
    /// Key and value, if there are any.
    fn pair(self) -> Option<(K, V)> {
        match self {
            Entry::Empty => None,
            Entry::Settled(key, value) | Entry::Astray(key, value) => Some((key, value)),
        }
    }
}

// SAFETY: the slots of key and value are shown.
unsafe impl<K: Trace, V: Trace> Trace for Entry<K, V> {
    const LEAF: bool = K::LEAF && V::LEAF;

    #[inline]
    fn trace(&self, visitor: &mut Visitor) {
        if let Entry::Settled(key, value) | Entry::Astray(key, value) = self {
            key.trace(visitor);
            value.trace(visitor);
        }
    }
}

// SAFETY: there are slots only in key and value.
unsafe impl<K: Of<A>, V: Of<A>, A> Of<A> for Entry<K, V> {}

// SAFETY: all of it are elements.
unsafe impl<K: Element, V: Element> Element for Entry<K, V> {}

impl<K: Element, V: Element, A> Default for GcMap<'_, K, V, A> {
    fn default() -> Self {
        GcMap::new()
    }
}

// SAFETY: its slot is that of the table.
unsafe impl<K, V, A> Trace for GcMap<'_, K, V, A> {
    const LEAF: bool = false;

    #[inline(always)]
    fn trace(&self, visitor: &mut Visitor) {
        self.table.trace(visitor);
    }
}

// SAFETY: its slot is of that brand; what keys and values are of is asked where they come in.
unsafe impl<K, V, A> Of<A> for GcMap<'_, K, V, A> {}

// SAFETY: the same type, rebound.
unsafe impl<K: Rebind, V: Rebind, A: 'static> Rebind for GcMap<'_, K, V, A>
where
    for<'g> K::At<'g>: Sized,
    for<'g> V::At<'g>: Sized,
{
    type At<'g> = GcMap<'g, K::At<'g>, V::At<'g>, A>;
}

/// The entries of a [`GcMap`].
pub struct GcMapIter<'a, 'g, K, V, A: Brand = Main> {
    entries: GcVecIter<'a, 'g, Entry<K, V>, A>,
}

impl<K: Element + Of<A>, V: Element + Of<A>, A: Brand> Iterator for GcMapIter<'_, '_, K, V, A> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        self.entries.by_ref().find_map(Entry::pair)
    }
}

/// Maps at safe points.
impl<K: Rebind, V: Rebind, A: Brand> Root<GcMap<'_, K, V, A>, A>
where
    for<'g> K::At<'g>: Key<'g, A> + Sized,
    for<'g> V::At<'g>: Element + Of<A> + Sized,
{
    /// Makes room for so many further entries, after a collection if one is due or there is none without.
    ///
    /// # Errors
    /// There is no room, even after a full collection.
    pub fn reserve(&self, cx: &mut Cx<A>, additional: usize) -> Result<(), OutOfMemory> {
        reserve_collecting(
            cx,
            |cx, _| self.get(cx).get().try_reserve(cx, additional).is_ok(),
            |cx, _| self.get(cx).get().growth(cx, additional),
        )
    }

    /// Gives a key a value. `init` makes the two when there is room, in a window that begins behind that.
    ///
    /// # Errors
    /// As for [`Root::reserve`]; `init` did not run then, unless it has filled this map itself.
    pub fn insert(
        &self,
        cx: &mut Cx<A>,
        init: impl for<'g> FnOnce(&'g Cx<A>) -> (K::At<'g>, V::At<'g>),
    ) -> Result<(), OutOfMemory> {
        self.reserve(cx, 1)?;
        let (key, value) = init(cx);
        let result = self.get(cx).get().try_insert(cx, key, value);
        result.map(|_| ()).map_err(OutOfMemory::from)
    }
}
