//! References in a window.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use super::brand::{Brand, Main, Window};
use super::trace::Object;

/// A reference to an object, as long as its window: between two safe points nothing moves.
///
/// It is `Copy`, derefs to the object, and borrows the [`Cx`](crate::Cx), so that each safe point ends it. To keep an object
/// longer, store it in another one's [`Slot`](crate::Slot) or make a [`Root`](crate::Root).
pub struct Gc<'g, T: ?Sized, A = Main> {
    value: NonNull<T>,
    window: Window<'g, A>,
}

impl<'g, T: ?Sized, A: Brand> Gc<'g, T, A> {
    /// # Safety
    /// `value` is that of an object of the arena of this brand, and no safe point comes within `'g`.
    #[inline(always)]
    pub(super) unsafe fn new(value: *mut T) -> Gc<'g, T, A> {
        Gc {
            // SAFETY: the caller's: objects are not at address 0.
            value: unsafe { NonNull::new_unchecked(value) },
            window: PhantomData,
        }
    }

    /// The object, as a reference as long as the window.
    #[inline(always)]
    pub fn get(self) -> &'g T
    where
        T: 'g,
    {
        // SAFETY: the object is alive and does not move within `'g`.
        unsafe { &*self.value.as_ptr() }
    }

    /// Whether the two are the same object.
    #[inline(always)]
    pub fn is(self, other: Self) -> bool {
        core::ptr::addr_eq(self.value.as_ptr(), other.value.as_ptr())
    }

    #[inline(always)]
    pub(super) fn as_ptr(self) -> *mut T {
        self.value.as_ptr()
    }
}

impl<T: Object + ?Sized, A: Brand> Gc<'_, T, A> {
    /// The address of the object.
    #[inline(always)]
    pub(super) fn object(self) -> *mut u8 {
        T::to_object(self.value.as_ptr())
    }
}

impl<T: ?Sized, A> Clone for Gc<'_, T, A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized, A> Copy for Gc<'_, T, A> {}

impl<T: ?Sized, A> Deref for Gc<'_, T, A> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: as in `get`.
        unsafe { self.value.as_ref() }
    }
}

impl<T: fmt::Debug + ?Sized, A> fmt::Debug for Gc<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display + ?Sized, A> fmt::Display for Gc<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
