//! Slots that hold references or bits, and slices of slots that are made in a window.

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use support::{Random, heap_for_good as heap};
use terrace::*;

/// The number that a slot holds, in bits or in an object; `None` if nothing.
fn read<'g, A: Brand>(cx: &'g Cx<A>, slot: &TaggedSlot<'g, u32, A>) -> Option<(bool, u32)> {
    match slot.get(cx) {
        Tagged::Null => None,
        Tagged::Bits(bits) => Some((false, bits)),
        Tagged::Object(object) => Some((true, *object)),
    }
}

#[test]
fn c11_tagged_slots_hold_bits_or_references_over_collections() {
    brand!(Here);
    const SLOTS: usize = 300;
    let seed = 0x7A66ED;
    let mut random = Random::new(seed);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let slots = cx
            .new_slice::<TaggedSlot<u32, Here>>(SLOTS, |_, _| TaggedSlot::null())
            .unwrap();
        let mut model = [None; SLOTS];
        for step in 0..support::scaled(20_000) {
            cx.set_stress(step % 50 == 0);
            if step % 100 == 0 {
                cx.collect([Generation::Young, Generation::Middle, Generation::Old][step / 100 % 3]);
            }
            cx.reserve(size_of_object::<u32>()).unwrap();
            let (index, bits) = (random.below(SLOTS), random.below(1 << 31) as u32);
            let slot = &slots.get(cx)[index];
            model[index] = match random.below(4) {
                0 => {
                    slot.clear();
                    None
                }
                1 => {
                    slot.set(cx, Tagged::Bits(bits | 1 << 31)); // the highest bit is lost
                    Some((false, bits))
                }
                _ => {
                    slot.set(cx, Tagged::Object(cx.try_new(bits).unwrap()));
                    Some((true, bits))
                }
            };
            let index = random.below(SLOTS);
            assert_eq!(
                read(cx, &slots.get(cx)[index]),
                model[index],
                "seed {seed}, step {step}"
            );
        }
        for (slot, expected) in slots.get(cx).get().iter().zip(model) {
            assert_eq!(read(cx, slot), expected, "seed {seed}");
        }
        assert!(cx.stats().moved > 0);
    });
}

#[test]
fn c4_slices_of_slots_are_made_in_a_window() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(32 << 10)).unwrap();
    arena.enter(|cx| {
        let kept = {
            let numbers: Vec<_> = (0..20).map(|number| cx.try_new(number).unwrap()).collect();
            let slots = cx.try_slice_with(20, |index| Slot::new(cx, numbers[index])).unwrap();
            cx.root::<[Slot<u32, Here>]>(slots).unwrap()
        };
        cx.compact();
        for (index, slot) in kept.get(cx).iter().enumerate() {
            assert_eq!(slot.get(cx).as_deref(), Some(&(index as u32)));
        }
        assert!(cx.try_slice_with(0, |_| 0u8).unwrap().is_empty());
        let calls = Cell::new(0);
        let full = cx.try_slice_with(1 << 20, |_| calls.set(calls.get() + 1));
        assert!(full.is_ok(), "elements of no bytes need no room");
        assert!(cx.try_slice_with(1 << 20, |_| calls.replace(0)).is_err());
        assert_eq!(calls.get(), 1 << 20, "nothing is made for which there is no room");
        assert!(cx.try_slice_with(usize::MAX, |_| 0u64).is_err());
    });
}

/// Counts those that live.
struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn new(count: &Rc<Cell<usize>>) -> Counted {
        count.set(count.get() + 1);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[test]
fn c9_elements_of_slices_made_in_a_window_are_dropped_once() {
    brand!(Here);
    let count = Rc::new(Cell::new(0));
    let mut arena = Arena::<Here>::branded(heap(32 << 10)).unwrap();
    arena.enter(|cx| {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let made = cx.try_slice_with(8, |index| {
                assert!(index < 5, "no sixth element");
                Plain(Counted::new(&count))
            });
            made.map(|_| ()).unwrap();
        }));
        assert!(unwound.is_err());
        assert_eq!(count.get(), 0, "what was made is dropped at once");
        cx.collect(Generation::Young);
        assert_eq!(cx.poll(), 0);

        // Elements that make objects with destructors themselves.
        let slice = cx.try_slice_with(8, |_| {
            cx.try_new(Plain(Counted::new(&count))).unwrap();
            Plain(Counted::new(&count))
        });
        assert_eq!(slice.unwrap().len(), 8);
        assert_eq!(count.get(), 16);
        cx.compact();
        assert_eq!((cx.poll(), count.get()), (9, 0));
    });
}
