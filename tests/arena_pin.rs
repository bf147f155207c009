//! Objects that stay where they are: for the time of a call, and from birth.

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use support::heap_for_good as heap;
use terrace::*;

type Bytes = [Cell<u8>];

fn bytes<A: Brand>(cx: &mut Cx<A>, len: usize, fill: u8) -> Root<Bytes, A> {
    cx.new_slice::<Cell<u8>>(len, |_, _| Cell::new(fill)).unwrap()
}

/// Makes garbage, and a few things that live, so that what is free to move does.
fn churn<A: Brand>(cx: &mut Cx<A>, kept: &mut Vec<Root<Bytes, A>>) {
    for i in 0..60 {
        let made = bytes(cx, 40, i);
        if i % 6 == 0 {
            kept.push(made);
        }
    }
    cx.compact();
}

#[test]
fn c16_an_object_is_pinned_for_the_time_of_a_call() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let mut kept = Vec::new();
        churn(cx, &mut kept);
        let target = bytes(cx, 100, 7);
        let handles = cx.stats().handles;
        let address = cx
            .with_pinned(&target, |cx, place| {
                assert_eq!(cx.stats().handles, handles, "the handle is the pin");
                let address = place.as_ptr();
                for round in 0..5 {
                    kept.clear();
                    churn(cx, &mut kept);
                    assert_eq!(target.get(cx).as_ptr(), address);
                    assert_eq!(cx.stats().pinned, 1);
                    assert!(place.iter().all(|byte| byte.get() == 7 + round));
                    place.iter().for_each(|byte| byte.set(8 + round));
                }
                address
            })
            .unwrap();
        kept.clear();
        cx.compact();
        assert_ne!(target.get(cx).as_ptr(), address, "free to move again");
        assert_eq!((cx.stats().pinned, target.get(cx)[99].get()), (0, 12));
    });
}

#[test]
fn c16_scoped_pins_nest() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let mut kept = Vec::new();
        churn(cx, &mut kept);
        let (one, other) = (bytes(cx, 50, 1), bytes(cx, 60, 2));
        cx.with_pinned(&one, |cx, first| {
            let address = first.as_ptr();
            cx.with_pinned(&other, |cx, second| {
                let result = cx.with_pinned(&one, |cx, again| {
                    assert_eq!(again.as_ptr(), address);
                    churn(cx, &mut kept);
                    assert_eq!(cx.stats().pinned, 2);
                });
                result.unwrap();
                churn(cx, &mut kept);
                assert_eq!(cx.stats().pinned, 2, "the inner call has not ended the outer one");
                assert_eq!((first.as_ptr(), second[59].get()), (address, 2));
            })
            .unwrap();
            kept.clear();
            churn(cx, &mut kept);
            assert_eq!((cx.stats().pinned, one.get(cx).as_ptr()), (1, address));
        })
        .unwrap();
        cx.compact();
        assert_eq!(cx.stats().pinned, 0);
    });
}

#[test]
fn c16_a_scoped_pin_ends_with_a_panic_as_well() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    arena.enter(|cx| {
        let target = cx.new::<u32>(|_| 5).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| {
            cx.with_pinned(&target, |cx, _| {
                cx.with_pinned(&target, |_, place| assert_ne!(*place, 5, "on purpose"))
            })
        }));
        assert!(result.is_err());
        cx.compact();
        assert_eq!((cx.stats().pinned, cx.stats().handles, *target.get(cx)), (0, 1, 5));
        let pinned = cx.pin(target.get(cx)).unwrap();
        cx.with_pinned(&target, |cx, _| cx.compact()).unwrap();
        cx.compact();
        assert_eq!(cx.stats().pinned, 1, "what else pins it does so still");
        drop(pinned);
        cx.compact();
        assert_eq!(cx.stats().pinned, 0);
    });
}

#[test]
fn c16_a_scoped_pin_without_memory_is_an_error() {
    brand!(Here);
    let heap = heap(128 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let roots: Vec<_> = (0..400).map(|i| cx.new::<u32>(|_| i).unwrap()).collect();
        let hog = support::Hog::new(heap);
        /// Pins all that it can, one call in the other.
        fn pin_all(cx: &mut Cx<Here>, roots: &[Root<u32, Here>]) -> usize {
            let Some((first, rest)) = roots.split_first() else {
                return 0;
            };
            cx.with_pinned(first, |cx, _| pin_all(cx, rest) + 1).unwrap_or(0)
        }
        let pinned = pin_all(cx, &roots);
        assert!(pinned < roots.len(), "there was no memory for {pinned}");
        drop(hog);
        assert_eq!(pin_all(cx, &roots), roots.len());
        cx.compact();
        assert!(roots.iter().enumerate().all(|(i, root)| *root.get(cx) == i as u32));
    });
    drop(arena);
    heap.check().unwrap();
}
