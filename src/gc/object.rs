//! What an object looks like, and what the collector knows of its type.
//!
//! ```text
//!   sized   | descriptor | value ............ |
//!   slice   | descriptor | length u32 | elements ... |
//!   buffer  | descriptor | capacity u32 | length u32 | elements ... | unused ... |
//! ```
//!
//! A buffer is a slice of as many elements as its capacity says, of which the collector moves all and traces the first ones.
//!
//! The descriptor is one pointer: 8 bytes on 64-bit targets, 4 on 32-bit ones. Objects start at granules.
//!
//! **Invariant `OBJECT`**: at the position of an object lies the pointer to the descriptor of its type, for a slice
//! followed by its length; the object has as many granules as [`size`] says, and from `offset` on holds a value of that type,
//! or as many as the length says. A dropped value's descriptor is its type's `dead` one, which is not traced.

use super::name::Name;
use super::visit::Visitor;
use crate::base::granule::{GRANULE, granules};

/// Bytes of an object's header.
pub(crate) const HEADER: usize = size_of::<*const Descriptor>();

/// Visits the slots in the elements `from..to` of the value.
pub(crate) type TraceFn = unsafe fn(value: *const u8, from: usize, to: usize, visitor: &mut Visitor);

/// Drops the `len` elements of the value.
pub(crate) type DropFn = unsafe fn(value: *mut u8, len: usize);

/// What the collector knows of a type.
pub struct Descriptor {
    /// Granules of an object; 0 for slices.
    granules: u32,
    /// Bytes of an element; for a sized type, of the value.
    element: u32,
    /// Bytes from the object's start to the value.
    offset: u32,
    /// Nothing if there are no slots.
    pub(crate) trace: Option<TraceFn>,
    /// Nothing if there is nothing to drop.
    pub(crate) drop: Option<DropFn>,
    /// The descriptor of a dropped value.
    pub(crate) dead: Option<&'static Descriptor>,
    pub(crate) name: Name,
}

impl Descriptor {
    /// The descriptor of a sized type.
    pub(crate) const fn of<T>(trace: Option<TraceFn>, drop: Option<DropFn>, dead: Option<&'static Descriptor>) -> Self {
        const { assert!(size_of::<T>() < 1 << 30, "an object has less than 1 GiB") };
        Descriptor {
            granules: granules(offset_of_value::<T>() + size_of::<T>()) as u32,
            element: size_of::<T>() as u32,
            offset: offset_of_value::<T>() as u32,
            trace,
            drop,
            dead,
            name: Name::of::<T>(),
        }
    }

    /// The descriptor of buffers of a type, which need not be dropped.
    pub(crate) const fn of_buffer<T>(trace: Option<TraceFn>) -> Self {
        Descriptor {
            offset: offset_of_buffered::<T>() as u32,
            ..Descriptor::of_slice::<T>(trace, None, None)
        }
    }

    /// The descriptor of slices of a type.
    pub(crate) const fn of_slice<T>(
        trace: Option<TraceFn>,
        drop: Option<DropFn>,
        dead: Option<&'static Descriptor>,
    ) -> Self {
        const { assert!(size_of::<T>() < 1 << 30, "an element has less than 1 GiB") };
        Descriptor {
            granules: 0,
            element: size_of::<T>() as u32,
            offset: offset_of_elements::<T>() as u32,
            trace,
            drop,
            dead,
            name: Name::of::<[T]>(),
        }
    }

    /// Whether the figures agree with each other, as those of every descriptor do.
    pub(crate) const fn is_sound(&self) -> bool {
        let (offset, element) = (self.offset as usize, self.element as usize);
        let is_sized = self.granules as usize == granules(offset + element);
        HEADER <= offset && offset <= HEADER + GRANULE && element < 1 << 30 && (self.is_slice() || is_sized)
    }

    /// Whether the objects are slices.
    pub(crate) const fn is_slice(&self) -> bool {
        self.granules == 0
    }

    /// Bytes of an element; for a sized type, of the value.
    pub(crate) const fn element(&self) -> usize {
        self.element as usize
    }
}

/// Bytes from an object's start to a value of this type.
pub(crate) const fn offset_of_value<T>() -> usize {
    const {
        assert!(
            align_of::<T>() <= GRANULE,
            "types of managed objects are aligned to 8 bytes at most"
        )
    };
    HEADER.next_multiple_of(align_of::<T>())
}

/// Bytes from an object's start to the elements of a slice of this type.
pub(crate) const fn offset_of_elements<T>() -> usize {
    const {
        assert!(
            align_of::<T>() <= GRANULE,
            "types of managed objects are aligned to 8 bytes at most"
        )
    };
    (HEADER + size_of::<u32>()).next_multiple_of(align_of::<T>())
}

/// Bytes from a buffer's start to its elements.
pub(crate) const fn offset_of_buffered<T>() -> usize {
    const {
        assert!(
            align_of::<T>() <= GRANULE,
            "types of managed objects are aligned to 8 bytes at most"
        )
    };
    (HEADER + 2 * size_of::<u32>()).next_multiple_of(align_of::<T>())
}

/// The descriptor of an object.
///
/// # Safety
/// OBJECT holds there. So for all functions below.
#[inline(always)]
pub(crate) unsafe fn descriptor(object: *const u8) -> &'static Descriptor {
    // SAFETY: OBJECT: the header is the pointer to a descriptor.
    unsafe { *object.cast::<&'static Descriptor>() }
}

/// The length word behind the header, which only slices have.
#[inline(always)]
pub(crate) fn length_of(object: *mut u8) -> *mut u32 {
    object.wrapping_add(HEADER).cast()
}

/// The length of a buffer.
#[inline(always)]
pub(crate) fn buffered_of(object: *mut u8) -> *mut u32 {
    object.wrapping_add(HEADER + size_of::<u32>()).cast()
}

/// Whether the object is a slice.
///
/// # Safety
/// OBJECT.
#[inline(always)]
pub(crate) unsafe fn is_slice(object: *const u8) -> bool {
    // SAFETY: OBJECT.
    unsafe { descriptor(object).is_slice() }
}

/// Elements in the object; 1 for a sized type.
///
/// # Safety
/// OBJECT.
#[inline(always)]
pub(crate) unsafe fn len(object: *mut u8) -> usize {
    // SAFETY: OBJECT: a descriptor of no granules is one of slices, which have a length.
    unsafe {
        if descriptor(object).granules != 0 {
            1
        } else {
            *length_of(object) as usize
        }
    }
}

/// Granules of the object.
///
/// # Safety
/// OBJECT.
#[cfg_attr(not(terrace_small), inline(always))]
#[cfg_attr(terrace_small, inline(never))]
pub(crate) unsafe fn size(object: *mut u8) -> u32 {
    // SAFETY: OBJECT: as in `len`.
    unsafe {
        let descriptor = descriptor(object);
        if descriptor.granules != 0 {
            return descriptor.granules;
        }
        let elements = descriptor.element as usize * *length_of(object) as usize;
        granules(descriptor.offset as usize + elements) as u32
    }
}

/// Visits all slots of the object.
///
/// # Safety
/// OBJECT.
#[cfg_attr(not(terrace_small), inline(always))]
#[cfg_attr(terrace_small, inline(never))]
pub(crate) unsafe fn trace(object: *mut u8, visitor: &mut Visitor) {
    // SAFETY: the object has as many elements.
    unsafe { trace_elements(object, 0, len(object), visitor) };
}

/// Visits all slots in the elements `from..to` of the object.
///
/// # Safety
/// OBJECT; it has as many elements.
#[inline(always)]
pub(crate) unsafe fn trace_elements(object: *mut u8, from: usize, to: usize, visitor: &mut Visitor) {
    // SAFETY: OBJECT: the value has as many elements, of the type that `trace` was made for.
    unsafe {
        let descriptor = descriptor(object);
        if let Some(trace) = descriptor.trace {
            trace(object.add(descriptor.offset as usize), from, to, visitor);
        }
    }
}

/// Visits the slots of the elements that lie, in part, in the bytes `from..to` of the object, but for those before the element
/// `visited`; returns the element behind the last one.
///
/// # Safety
/// OBJECT.
pub(crate) unsafe fn trace_part(
    object: *mut u8,
    from: usize,
    to: usize,
    visited: usize,
    visitor: &mut Visitor,
) -> usize {
    // SAFETY: OBJECT: as in `trace`; no element behind the last one is asked for.
    unsafe {
        let descriptor = descriptor(object);
        let Some(trace) = descriptor.trace else { return 0 };
        let (offset, element) = (descriptor.offset as usize, (descriptor.element as usize).max(1));
        let first = (from.saturating_sub(offset) / element).max(visited);
        let last = to.saturating_sub(offset).div_ceil(element).min(len(object));
        if first < last {
            trace(object.add(offset), first, last, visitor);
        }
        last.max(visited)
    }
}

/// The value of the object.
///
/// # Safety
/// OBJECT.
#[inline(always)]
pub(crate) unsafe fn value(object: *mut u8) -> *mut u8 {
    // SAFETY: OBJECT: the value begins at the offset.
    unsafe { object.add(descriptor(object).offset as usize) }
}
