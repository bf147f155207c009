//! What survives safe points: strong, weak and pinned handles.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;

use super::brand::{Brand, Branded, Main};
use super::cx::Cx;
use super::error::OutOfMemory;
use super::gc::Gc;
use super::trace::{Leaf, Object, Rebind};
use crate::gc::handle::Kind;

/// The handle's entry in the collector's table, given up when dropped.
///
/// **Invariant `OWNED`**: the index was added to the table of the brand's arena, and is this value's. The arena's memory stays
/// as long as there are handles.
pub(super) struct Entry<A: Brand> {
    pub(super) index: u32,
    brand: Branded<A>,
}

impl<A: Brand> Entry<A> {
    #[inline(always)]
    pub(super) fn new(cx: &Cx<A>, position: u32, kind: Kind) -> Result<Entry<A>, OutOfMemory> {
        let collector = cx.collector_mut();
        let source = collector.source;
        if kind == Kind::Pinned && !collector.reserve_pin() {
            return Err(OutOfMemory { requested: 0 });
        }
        match collector.handles.add(position, kind, source) {
            Some(index) => Ok(Entry {
                index,
                brand: PhantomData,
            }),
            None => Err(OutOfMemory { requested: 0 }),
        }
    }

    /// A handle.
    ///
    /// # Safety
    /// There is room for it.
    #[inline(always)]
    pub(super) unsafe fn reserved(cx: &Cx<A>, position: u32, kind: Kind) -> Entry<A> {
        Entry {
            // SAFETY: the caller's.
            index: unsafe { cx.collector_mut().handles.add_reserved(position, kind) },
            brand: PhantomData,
        }
    }

    /// The handle at an index.
    ///
    /// # Safety
    /// OWNED: it is one of the brand's arena, and the caller's to give away.
    pub(super) unsafe fn adopt(index: u32) -> Entry<A> {
        Entry {
            index,
            brand: PhantomData,
        }
    }

    /// The position that the handle holds.
    #[inline(always)]
    fn position(&self, cx: &Cx<A>) -> u32 {
        // SAFETY: OWNED.
        unsafe { cx.collector().handles.get(self.index) }
    }
}

impl<A: Brand> Drop for Entry<A> {
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    fn drop(&mut self) {
        // SAFETY: OWNED: the handle is there, and is this value's, which is no more; handles are not `Send`.
        unsafe { super::arena::drop_handle(A::state(), self.index, false) };
    }
}

/// A strong handle: keeps an object over safe points. 4 bytes.
///
/// `T` is the object's type with any lifetime, such as `Node<'static>`. A handle outlives its [`Arena`](crate::Arena): what
/// it keeps stays, and so does the arena's memory, until the last handle is gone.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// let name: Root<str> = arena.enter(|cx| cx.new_str("kept")).unwrap();
/// arena.enter(|cx| {
///     cx.compact();
///     assert_eq!(&*name.get(cx), "kept");
/// });
/// ```
pub struct Root<T: ?Sized, A: Brand = Main> {
    pub(super) entry: Entry<A>,
    target: PhantomData<*mut T>,
}

impl<T: Rebind + ?Sized, A: Brand> Root<T, A> {
    /// A handle of an object in the window; see also [`Cx::root`].
    ///
    /// # Errors
    /// There is no room for a handle.
    pub fn new<'g>(cx: &'g Cx<A>, target: Gc<'g, T::At<'g>, A>) -> Result<Root<T, A>, OutOfMemory>
    where
        T::At<'g>: Object,
    {
        let entry = Entry::new(cx, cx.position(target), Kind::Strong)?;
        Ok(Root::from_entry(entry))
    }

    #[inline(always)]
    pub(in crate::arena) fn from_entry(entry: Entry<A>) -> Root<T, A> {
        Root {
            entry,
            target: PhantomData,
        }
    }

    /// The object, in a window.
    #[inline(always)]
    pub fn get<'g>(&self, cx: &'g Cx<A>) -> Gc<'g, T::At<'g>, A>
    where
        T::At<'g>: Object,
    {
        // SAFETY: HANDLE: the object is alive and of this type; its slots are those of the window now.
        unsafe { cx.object_at(self.entry.position(cx)) }
    }

    /// Makes the handle keep another object.
    #[inline(always)]
    pub fn set<'g>(&mut self, cx: &'g Cx<A>, target: Gc<'g, T::At<'g>, A>)
    where
        T::At<'g>: Object,
    {
        let position = cx.position(target);
        cx.collector_mut().handles.set(self.entry.index, position);
    }
}

/// A weak handle: does not keep its object, and knows when that is dead. A dead object with a finaliser or a destructor is gone
/// for a *short* one as soon as the collection has found it dead; a *long* one ([`Weak::long`]) follows it while it waits for
/// its finaliser, or is reached from one that does, and if it lives again, until it is found dead for good. (The terms are
/// those of .NET.)
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// arena.enter(|cx| {
///     let number = cx.new::<u32>(|_| 1).unwrap();
///     let weak = cx.weak::<u32>(number.get(cx)).unwrap();
///     assert!(weak.get(cx).is_some());
///     drop(number);
///     cx.collect(Generation::Young);
///     assert!(weak.get(cx).is_none());
/// });
/// ```
pub struct Weak<T: ?Sized, A: Brand = Main> {
    entry: Entry<A>,
    target: PhantomData<*mut T>,
}

impl<T: Rebind + ?Sized, A: Brand> Weak<T, A> {
    /// A weak handle of an object in the window.
    ///
    /// # Errors
    /// There is no room for a handle.
    pub fn new<'g>(cx: &'g Cx<A>, target: Gc<'g, T::At<'g>, A>) -> Result<Weak<T, A>, OutOfMemory>
    where
        T::At<'g>: Object,
    {
        Weak::of_kind(cx, target, Kind::Weak)
    }

    /// A long weak handle of an object in the window.
    ///
    /// # Errors
    /// There is no room for a handle.
    pub fn long<'g>(cx: &'g Cx<A>, target: Gc<'g, T::At<'g>, A>) -> Result<Weak<T, A>, OutOfMemory>
    where
        T::At<'g>: Object,
    {
        Weak::of_kind(cx, target, Kind::Long)
    }

    fn of_kind<'g>(cx: &'g Cx<A>, target: Gc<'g, T::At<'g>, A>, kind: Kind) -> Result<Weak<T, A>, OutOfMemory>
    where
        T::At<'g>: Object,
    {
        let entry = Entry::new(cx, cx.position(target), kind)?;
        Ok(Weak {
            entry,
            target: PhantomData,
        })
    }

    /// The object, in a window, if it was not found dead.
    #[inline(always)]
    pub fn get<'g>(&self, cx: &'g Cx<A>) -> Option<Gc<'g, T::At<'g>, A>>
    where
        T::At<'g>: Object,
    {
        let position = self.entry.position(cx);
        // SAFETY: HANDLE: as for `Root`, if it is not 0.
        (position != 0).then(|| unsafe { cx.object_at(position) })
    }
}

/// A handle that keeps an object where it is. It can be read without the token, in interrupts as well, and its address can be
/// given to a DMA controller.
///
/// Pinned objects have no slots, and are changed by interior mutability: by atomics, where an interrupt shares them, see
/// [`Pinned::leak`]. `Cell`s, such as those of [`Cx::new_buffer`], are for one thread of control and for hardware: while a DMA
/// controller has the address, nobody else may touch them, and whoever hands it out must keep the handle until the transfer is
/// over. A handle that is forgotten pins for good, so a driver that owns it while the transfer runs keeps that promise
/// whatever its user does.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// use std::mem::MaybeUninit;
///
/// let buffer = arena.enter(|cx| {
///     let buffer = cx.new_buffer(32)?;
///     cx.pin(buffer.get(cx))
/// }).unwrap();
/// let address = buffer.as_ptr();
/// arena.enter(|cx| cx.compact());
/// assert_eq!(buffer.as_ptr(), address);
/// buffer[0].set(MaybeUninit::new(1)); // outside of the arena
/// ```
pub struct Pinned<T: ?Sized, A: Brand = Main> {
    entry: ManuallyDrop<Entry<A>>,
    value: NonNull<T>,
}

// SAFETY: all that a shared reference gives is one to the value.
unsafe impl<T: Sync + ?Sized, A: Brand> Sync for Pinned<T, A> {}

impl<T: Object + Leaf + ?Sized, A: Brand> Pinned<T, A> {
    /// Pins an object where it is now.
    ///
    /// # Errors
    /// There is no room for a handle.
    pub fn new<'g>(cx: &'g Cx<A>, target: Gc<'g, T, A>) -> Result<Pinned<T, A>, OutOfMemory> {
        let entry = Entry::new(cx, cx.position(target), Kind::Pinned)?;
        // SAFETY: that is how the entry was made; a `Leaf` has no slots.
        Ok(unsafe { Pinned::from_entry(entry, target.as_ptr()) })
    }

    /// # Safety
    /// The entry is one that pins an object without slots, whose value that is.
    pub(super) unsafe fn from_entry(entry: Entry<A>, value: *mut T) -> Pinned<T, A> {
        // SAFETY: objects are not at address 0.
        let value = unsafe { NonNull::new_unchecked(value) };
        Pinned {
            entry: ManuallyDrop::new(entry),
            value,
        }
    }

    /// The object, in a window.
    pub fn get<'g>(&self, cx: &'g Cx<A>) -> Gc<'g, T, A> {
        // SAFETY: HANDLE, as for `Root`.
        unsafe { cx.object_at(self.entry.position(cx)) }
    }

    /// Pins the object for good: a static can hold the reference, so an interrupt has it, if the type is `Sync`. As with any
    /// handle that is never dropped, the arena's memory stays, and its brand remains taken. O(1).
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// use std::sync::OnceLock; // on bare metal, a `critical_section::Mutex`
    /// use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
    ///
    /// static RECEIVED: OnceLock<&'static [Plain<AtomicU8>]> = OnceLock::new();
    ///
    /// arena.enter(|cx| {
    ///     let buffer = cx.new_slice::<Plain<AtomicU8>>(16, |_, _| Plain(AtomicU8::new(0)))?;
    ///     RECEIVED.set(cx.pin(buffer.get(cx))?.leak()).unwrap();
    ///     Ok::<_, OutOfMemory>(())
    /// }).unwrap();
    /// // An interrupt, a thread or another core:
    /// RECEIVED.get().unwrap()[0].store(1, Relaxed);
    /// ```
    pub fn leak(self) -> &'static T {
        let value = self.value;
        core::mem::forget(self);
        // SAFETY: as in `deref`, and the handle's entry, which is never given up, keeps the object and the arena's memory.
        unsafe { value.as_ref() }
    }
}

impl<T: ?Sized, A: Brand> Drop for Pinned<T, A> {
    fn drop(&mut self) {
        // SAFETY: OWNED: the handle is there, and is this value's; the entry is not dropped once more.
        unsafe { super::arena::drop_handle(A::state(), self.entry.index, true) };
    }
}

impl<T: ?Sized, A: Brand> Deref for Pinned<T, A> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the object lives and does not move as long as the handle does, nor does the collector write to it: it has
        // no slots.
        unsafe { self.value.as_ref() }
    }
}

impl<A: Brand> Cx<A> {
    /// A strong handle of an object in the window.
    ///
    /// # Errors
    /// There is no room for a handle.
    #[inline(always)]
    pub fn root<'g, T: Rebind + ?Sized>(&'g self, target: Gc<'g, T::At<'g>, A>) -> Result<Root<T, A>, OutOfMemory>
    where
        T::At<'g>: Object,
    {
        Root::new(self, target)
    }

    /// A weak handle of an object in the window.
    ///
    /// # Errors
    /// There is no room for a handle.
    pub fn weak<'g, T: Rebind + ?Sized>(&'g self, target: Gc<'g, T::At<'g>, A>) -> Result<Weak<T, A>, OutOfMemory>
    where
        T::At<'g>: Object,
    {
        Weak::new(self, target)
    }

    /// A long weak handle of an object in the window, see [`Weak::long`].
    ///
    /// # Errors
    /// There is no room for a handle.
    pub fn weak_long<'g, T: Rebind + ?Sized>(&'g self, target: Gc<'g, T::At<'g>, A>) -> Result<Weak<T, A>, OutOfMemory>
    where
        T::At<'g>: Object,
    {
        Weak::long(self, target)
    }

    /// Pins an object without slots.
    ///
    /// # Errors
    /// There is no room for a handle.
    pub fn pin<'g, T: Object + Leaf + ?Sized>(&'g self, target: Gc<'g, T, A>) -> Result<Pinned<T, A>, OutOfMemory> {
        Pinned::new(self, target)
    }
}
