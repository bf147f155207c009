//! Objects that stay where they are: for the time of a call, and from birth.

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

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

#[test]
fn e4_buffers_pinned_from_birth_lie_at_the_far_end_and_part_nothing() {
    brand!(Here);
    let heap = heap(256 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let mut kept = Vec::new();
        let mut pinned: Vec<Pinned<[Byte], Here>> = Vec::new();
        let mut addresses = Vec::new();
        for i in 0..40usize {
            churn(cx, &mut kept);
            let buffer = cx.new_pinned_buffer(1 + 37 * i % 600).unwrap();
            buffer
                .iter()
                .for_each(|byte| byte.set(std::mem::MaybeUninit::new(i as u8)));
            addresses.push(buffer.as_ptr());
            pinned.push(buffer);
        }
        cx.compact();
        for (i, buffer) in pinned.iter().enumerate() {
            assert_eq!((buffer.as_ptr(), buffer.len()), (addresses[i], 1 + 37 * i % 600));
            // SAFETY: all bytes were written.
            assert!(buffer.iter().all(|byte| unsafe { byte.get().assume_init() } == i as u8));
        }
        assert_eq!(cx.stats().pinned, 0, "no collection has to go around one");
        let highest = kept.iter().map(|root| root.get(cx).as_ptr().addr()).max().unwrap();
        assert!(addresses.iter().all(|address| address.addr() > highest));
        let segments: Vec<_> = cx.segments().filter(|segment| segment.is_pinned).collect();
        let bytes: usize = segments.iter().map(|segment| segment.bytes).sum();
        let wanted: usize = pinned.iter().map(|buffer| buffer.len() + 24).sum();
        assert!(bytes < wanted * 2, "{bytes} bytes for {wanted}");
        // What lies between is in one piece.
        kept.clear();
        cx.compact();
        let stats = heap.stats();
        assert!(stats.largest_free > stats.free / 100 * 96, "{stats}");
        // The last handle gone, they go.
        drop(pinned);
        cx.collect(Generation::Middle);
        assert!(cx.segments().any(|segment| segment.is_pinned));
        cx.collect(Generation::Old);
        assert!(!cx.segments().any(|segment| segment.is_pinned));
    });
}

#[test]
fn e4_gaps_between_objects_pinned_from_birth_are_for_their_like() {
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let before = heap.stats().used;
        let mut pinned: Vec<_> = (0..30u32)
            .map(|i| cx.new_pinned::<[u32; 16]>(|_| [i; 16]).unwrap())
            .collect();
        let held = |cx: &mut Cx<Here>| -> usize {
            let segments = cx.segments().filter(|segment| segment.is_pinned);
            segments.map(|segment| segment.bytes).sum()
        };
        let full = held(cx);
        // Every other one goes, and comes again where there was one.
        let places: Vec<_> = pinned.iter().map(|object| std::ptr::from_ref(&**object)).collect();
        for round in 1..5u32 {
            let mut index = 0;
            pinned.retain(|_| {
                index += 1;
                index % 2 == round % 2
            });
            let kept: Vec<_> = pinned.iter().map(|object| std::ptr::from_ref(&**object)).collect();
            // Before the full collection they are in nobody's way, but not reused either.
            cx.collect(Generation::Young);
            let mut moving = Vec::new();
            churn(cx, &mut moving);
            let is_apart = |root: &Root<Bytes, Here>| {
                let address = root.get(cx).as_ptr().addr();
                places.iter().all(|place| address < place.addr())
            };
            assert!(moving.iter().all(is_apart), "what moves keeps out");
            while pinned.len() < 30 {
                let made = cx.new_pinned::<[u32; 16]>(|_| [round; 16]).unwrap();
                assert!(!kept.contains(&std::ptr::from_ref(&*made)));
                pinned.push(made);
            }
            assert_eq!(held(cx), full, "there was room");
            cx.set_stress(round % 2 == 0);
        }
        drop(pinned);
        cx.compact();
        assert_eq!((held(cx), cx.stats().held), (0, 0));
        assert!(heap.stats().used < before + 4096, "tables have grown");
    });
}

#[test]
fn e4_large_and_short_lived_objects_pinned_from_birth_go_back_to_the_heap() {
    brand!(Here);
    let heap = heap(256 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        for round in 0..support::scaled(50) {
            let large = cx.new_pinned_buffer(100 << 10).unwrap();
            let small = cx.new_pinned::<u64>(|_| round as u64).unwrap();
            let address = large.as_ptr();
            let ordinary = cx.root::<[Byte]>(large.get(cx)).unwrap();
            let number = cx.root::<u64>(small.get(cx)).unwrap();
            let place = std::ptr::from_ref(&*small);
            let weak = cx.weak::<[Byte]>(large.get(cx)).unwrap();
            cx.compact();
            drop((large, small));
            cx.compact();
            assert_eq!(ordinary.get(cx).as_ptr(), address, "it never moves");
            assert_eq!(std::ptr::from_ref(number.get(cx).get()), place, "nor does this");
            assert_eq!(*number.get(cx), round as u64);
            drop((ordinary, number));
            cx.compact();
            assert!(weak.get(cx).is_none());
            assert_eq!(cx.stats().held, 0);
        }
    });
    drop(arena);
    heap.check().unwrap();
}

#[test]
fn e4_an_object_pinned_from_birth_is_dropped_from_poll_and_read_until_then() {
    brand!(Here);
    struct Flag(Rc<Cell<u32>>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let count = Rc::new(Cell::new(0));
    let mut arena = Arena::<Here>::branded(heap(64 << 10)).unwrap();
    let kept = arena.enter(|cx| {
        let make = |cx: &mut Cx<Here>| cx.new_pinned::<Plain<Flag>>(|_| Plain(Flag(count.clone()))).unwrap();
        let kept = make(cx);
        for _ in 0..9 {
            make(cx);
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            cx.new_pinned::<Plain<Flag>>(|_| panic!("on purpose")).map(|_| ())
        }));
        assert!(result.is_err());
        assert_eq!((cx.stats().handles, cx.stats().droppable), (1, 10));
        cx.collect(Generation::Old);
        assert_eq!((count.get(), cx.poll(), count.get()), (0, 9, 9));
        cx.compact();
        assert_eq!(cx.stats().droppable, 1);
        kept
    });
    drop(arena);
    assert_eq!(kept.0.0.get(), 9);
    drop(kept);
    assert_eq!(count.get(), 10);
}

#[test]
fn e4_an_object_pinned_from_birth_without_memory_is_an_error() {
    brand!(Here);
    let heap = heap(32 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        assert!(cx.new_pinned_buffer(1 << 20).is_err());
        assert!(cx.new_pinned_buffer(usize::MAX).is_err());
        let mut pinned = Vec::new();
        // As many as there are; garbage is collected to make room.
        while let Ok(buffer) = cx.new_pinned_buffer(700) {
            cx.new_buffer(300).ok();
            pinned.push(buffer);
        }
        assert!(pinned.len() > 20, "{}", pinned.len());
        assert!(cx.new_pinned::<[u64; 100]>(|_| unreachable!()).is_err());
        drop(pinned);
        let hog = support::Hog::new(heap);
        assert!(cx.new_pinned_buffer(8 << 10).is_ok(), "what is left of those");
        drop(hog);
    });
    drop(arena);
    heap.check().unwrap();
}

#[test]
fn c16_what_is_leaked_is_pinned_for_good_and_anyone_may_have_it() {
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let shared: &'static [Plain<AtomicU8>] = arena.enter(|cx| {
        let mut kept = Vec::new();
        churn(cx, &mut kept);
        let buffer = cx
            .new_slice::<Plain<AtomicU8>>(100, |_, _| Plain(AtomicU8::new(0)))
            .unwrap();
        let pinned = cx.pin(buffer.get(cx)).unwrap();
        let address = pinned.as_ptr();
        drop((buffer, kept));
        let shared = pinned.leak();
        assert_eq!(shared.as_ptr(), address);
        shared
    });
    // Another thread writes while everything else moves.
    let writer = std::thread::spawn(move || {
        (0..=255).for_each(|value| shared.iter().for_each(|byte| byte.store(value, Relaxed)))
    });
    arena.enter(|cx| {
        let mut kept = Vec::new();
        for _ in 0..20 {
            churn(cx, &mut kept);
            kept.clear();
        }
        assert_eq!(cx.stats().handles, 1);
    });
    writer.join().unwrap();
    drop(arena);
    assert!(
        shared.iter().all(|byte| byte.load(Relaxed) == 255),
        "it outlives the arena"
    );
    assert_eq!(Arena::<Here>::branded(heap).err(), Some(ArenaError::BrandTaken));
    heap.check().unwrap();
}
