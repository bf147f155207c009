//! Native memory that managed objects own.

use super::arena::let_go;
use super::brand::{Brand, Branded, Main, Phase};
use super::cx::Cx;
use super::trace::{Leaf, Of, Rebind, Trace};
use crate::gc::visit::Visitor;
use core::marker::PhantomData;

/// Says that its owner, a managed object, keeps so many bytes of native memory alive: a buffer, a string, a texture. The
/// arena counts them as if they were its own, and collects the sooner. Dropped with the object, it takes them back. Kept
/// elsewhere, it is as a handle: the brand remains taken, and the arena's memory stays, until it is dropped.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// #[derive(Trace)]
/// struct Image {
///     pixels: Plain<Box<[u8]>>,
///     charge: NativeBytes,
/// }
///
/// arena.enter(|cx| {
///     for _ in 0..1000 {
///         let image = cx.new::<Image>(|g| Image {
///             pixels: Plain(vec![0; 1000].into()),
///             charge: g.charge(1000),
///         });
///         assert_eq!(image.unwrap().get(cx).pixels.len(), 1000);
///         cx.safe_point(); // collects before there are many
///         cx.poll();
///     }
///     assert!(cx.stats().native < 20_000);
/// });
/// ```
#[derive(Debug)]
#[must_use = "the bytes are taken back when it is dropped"]
pub struct NativeBytes<A: Brand = Main> {
    bytes: usize,
    brand: Branded<A>,
}

impl<A: Brand> NativeBytes<A> {
    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<A: Brand> Drop for NativeBytes<A> {
    fn drop(&mut self) {
        let state = A::state();
        // SAFETY: BRAND: the charge keeps the collector, also when the arena is dropped, and is of its thread of control. If a
        // collection is calling user code, which this is, it counts for good.
        let is_done = unsafe { state.with(|collector| collector.discharge(self.bytes)) }.is_some();
        if is_done && state.is(Phase::Orphaned) {
            let_go(state);
        }
    }
}

// SAFETY: there are no slots in it.
unsafe impl<A: Brand> Trace for NativeBytes<A> {
    const LEAF: bool = true;

    fn trace(&self, _: &mut Visitor) {}
}

// SAFETY: there are no slots in it.
unsafe impl<A: Brand, B> Of<B> for NativeBytes<A> {}

// SAFETY: there are no lifetimes in it.
unsafe impl<A: Brand> Rebind for NativeBytes<A> {
    type At<'g> = NativeBytes<A>;
}

// SAFETY: there are no slots in it.
unsafe impl<A: Brand> Leaf for NativeBytes<A> {}

impl<A: Brand> Cx<A> {
    /// Counts native memory that an object is about to own. O(1).
    pub fn charge(&self, bytes: usize) -> NativeBytes<A> {
        self.collector_mut().charge(bytes);
        NativeBytes {
            bytes,
            brand: PhantomData,
        }
    }
}
