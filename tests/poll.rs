//! The poll: order, budget, what goes on where it stopped, and tasks that wait (rows A1, A3, A4, A6, E6).

mod support;
#[path = "support/threads.rs"]
mod threads;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use support::heap_for_good as heap;
use support::{Random, scaled};
use terrace::*;

thread_local! {
    static STEPS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn note(step: &'static str) {
    STEPS.with_borrow_mut(|steps| steps.push(step));
}

fn steps() -> Vec<&'static str> {
    STEPS.take()
}

fn on_low(_: &LowMemory, name: &'static &'static str) {
    note(name);
}

fn sink(event: &Event) {
    note(match event {
        Event::Claimed { .. } => "claimed",
        Event::Posted(_) => "posted",
        Event::Plenty => "plenty",
        Event::LowMemory(_) => "low",
        Event::Failed { .. } => "failed",
        Event::Recovered(_) => "recovered",
        _ => "?",
    });
}

struct Noisy;

impl Drop for Noisy {
    fn drop(&mut self) {
        note("destructor");
    }
}

#[derive(Trace)]
struct Final<A: Brand>(std::marker::PhantomData<fn() -> A>);

impl<A: Brand> Finalize<A> for Final<A> {
    fn finalize(_: Root<Self, A>, _: &mut Cx<A>) {
        note("finaliser");
    }
}

/// An arena in which two destructors and a finaliser become due by a collection, and a heap for which everything is due.
fn prepare<A: Brand>(heap: &'static LocalHeap) -> Arena<A> {
    let mut arena = Arena::<A>::branded(heap).unwrap();
    heap.set_sink(Some(sink));
    heap.on_low_memory(on_low, &"another").unwrap();
    heap.on_low_memory_at(Priority::First, on_low, &"callback").unwrap();
    // SAFETY: the layout is not empty.
    assert!(unsafe { heap.alloc(Layout::new::<[u8; 1 << 20]>()) }.is_null());
    arena.enter(|cx| {
        for _ in 0..2 {
            cx.new::<Plain<Noisy>>(|_| Plain(Noisy)).unwrap();
        }
        cx.new_finalizable::<Final<A>>(|_| Final(std::marker::PhantomData))
            .unwrap();
    });
    heap.post(Pressure::Moderate);
    arena
}

const ORDER: [&str; 9] = [
    "posted",
    "finaliser",
    "destructor",
    "destructor",
    "low",
    "callback",
    "another",
    "claimed",
    "failed",
];

#[test]
fn e6_a_poll_does_what_is_due_in_order() {
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = prepare::<Here>(heap);
    let polled = heap.poll_with(Budget::UNLIMITED, &mut arena);
    assert_eq!(steps(), ORDER);
    assert_eq!(
        (polled.collections, polled.finalizers, polled.callbacks, polled.events),
        (1, 3, 2, 4)
    );
    assert!(!polled.more);
    assert_eq!(heap.poll_with(Budget::UNLIMITED, &mut arena), Polled::default());
}

#[test]
fn e6_a_poll_stops_at_its_budget_and_the_next_one_goes_on() {
    for budget in 1..12 {
        brand!(Here);
        let heap = heap(64 << 10);
        let mut arena = prepare::<Here>(heap);
        let mut polls = 0;
        let mut done = 0;
        loop {
            let polled = heap.poll_with(Budget::steps(budget), &mut arena);
            let count = polled.collections + polled.finalizers + polled.callbacks + polled.events;
            assert!(count <= budget, "{polled:?} within {budget}");
            done += count;
            polls += 1;
            if !polled.more {
                break;
            }
            assert!(polls < 100);
        }
        assert_eq!(steps(), ORDER, "in steps of {budget}");
        assert_eq!(done, 10);
    }
}

#[test]
fn e6_a_clock_ends_a_poll_between_two_steps() {
    thread_local! {
        static LEFT: std::cell::Cell<u32> = const { std::cell::Cell::new(3) };
    }
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = prepare::<Here>(heap);
    let is_late = || LEFT.replace(LEFT.get().saturating_sub(1)) == 0;
    let polled = heap.poll_with(Budget::UNLIMITED.or_until(is_late), &mut arena);
    assert!(polled.more);
    let count = polled.collections + polled.finalizers + polled.events;
    assert!((1..=3).contains(&count), "{polled:?}");
    assert!(!heap.poll_with(Budget::UNLIMITED, &mut arena).more);
    assert_eq!(steps(), ORDER);
}

#[test]
fn a3_callbacks_finalisers_and_destructors_run_from_polls_only() {
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = prepare::<Here>(heap);
    heap.collect(Generation::Old);
    heap.pressure(Pressure::Critical);
    arena.enter(|cx| cx.compact());
    heap.trim();
    let _ = heap.stats();
    assert_eq!(steps(), [""; 0]);
    let _ = heap.poll();
    let told = steps();
    assert!(
        !told.contains(&"destructor") && !told.contains(&"finaliser"),
        "they need their arena"
    );
    assert!(told.contains(&"callback"));
    let _ = heap.poll_with(Budget::UNLIMITED, &mut [&mut arena]);
    assert_eq!(steps(), ["finaliser", "destructor", "destructor"]);
}

#[test]
fn c23_a_poll_collects_what_is_due_in_an_arena_that_is_parked() {
    brand!(Here);
    let heap = heap(256 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    let _ = heap.poll();
    arena.enter(|cx| {
        cx.set_budget(4 << 10);
        while !cx.is_due() {
            cx.try_new([0u64; 7]).unwrap();
        }
    });
    assert_eq!(heap.poll().collections, 1);
    assert_eq!(heap.poll(), Polled::default());
    assert_eq!(arena.stats().collections, [1, 0, 0]);
}

#[test]
fn a4_a6_no_callback_below_the_watermark_and_none_lost() {
    fn count(event: &LowMemory, counter: &'static AtomicUsize) {
        assert!(event.load.percent() >= 85 || event.cause != Cause::Watermark);
        counter.fetch_add(1, Relaxed);
    }
    let heap = heap(64 << 10);
    let counter: &AtomicUsize = support::memory::for_good(AtomicUsize::new(0));
    heap.on_low_memory(count, counter).unwrap();
    let (mut random, seed) = (Random::new(42), 42);
    let capacity = heap.load().capacity;
    let (high, low) = support::watch::limits(Watermarks::DEFAULT, capacity).unwrap();
    let mut blocks: Vec<(*mut u8, Layout)> = Vec::new();
    let (mut is_armed, mut edges) = (true, 0);
    let mut target = 50;
    for step in 0..scaled(10_000_000) {
        if step % 4096 == 0 {
            target = random.below(84) + 10;
        }
        let used = heap.load().used;
        if used * 100 < capacity * target || blocks.is_empty() {
            let layout = Layout::from_size_align(8 * (1 + random.below(32)), 8).unwrap();
            // SAFETY: the layout is not empty.
            let block = unsafe { heap.alloc(layout) };
            if block.is_null() {
                let _ = heap.poll();
                // A failure makes them due as well; this test is not about that.
                (edges, is_armed) = (counter.load(Relaxed), false);
                target = 50;
                continue;
            }
            blocks.push((block, layout));
        } else {
            let (block, layout) = blocks.swap_remove(random.below(blocks.len()));
            // SAFETY: the block was allocated with this layout and is given up.
            unsafe { heap.dealloc(block, layout) };
        }
        let used = heap.load().used;
        if is_armed && used >= high {
            (is_armed, edges) = (false, edges + 1);
        } else if used <= low {
            is_armed = true;
        }
        let _ = heap.poll();
        let called = counter.load(Relaxed);
        assert_eq!(
            called, edges,
            "step {step} of seed {seed}: {used} of {capacity} bytes in use"
        );
    }
    assert!(edges > 0);
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a1_a_task_waits_for_low_memory_and_a_poll_wakes_it() {
    let heap = heap(64 << 10);
    let _ = heap.poll();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut wait = pin!(heap.low_memory().unwrap());
    assert!(wait.as_mut().poll(&mut context).is_pending());
    assert!(wait.as_mut().poll(&mut context).is_pending());
    heap.post(Pressure::Critical);
    assert_eq!(woken.0.load(Relaxed), 0, "from polls only");
    assert!(
        wait.as_mut().poll(&mut context).is_pending(),
        "callbacks have not run yet"
    );
    assert_eq!(heap.poll().callbacks, 1);
    assert_eq!(woken.0.load(Relaxed), 1);
    let Poll::Ready(event) = wait.as_mut().poll(&mut context) else {
        panic!("it was woken")
    };
    assert_eq!((event.level, event.cause), (Pressure::Critical, Cause::Posted));
    let mut next = pin!(heap.low_memory().unwrap());
    assert!(next.as_mut().poll(&mut context).is_pending(), "that was before");
}

#[test]
fn a1_as_many_tasks_wait_as_there_are_places_and_each_is_given_back() {
    let heap = heap(64 << 10);
    for _ in 0..3 {
        let waits: Vec<_> = (0..WAITERS).map(|_| heap.low_memory().unwrap()).collect();
        assert_eq!(heap.low_memory().err(), Some(WaitError::Full { capacity: WAITERS }));
        drop(waits);
    }
    let none = support::empty_heap_for_good();
    assert_eq!(none.low_memory().err(), Some(WaitError::OutOfMemory));
}

#[test]
fn a1_a_waker_that_uses_the_heap_does_no_harm() {
    struct Busy(&'static SpinHeap, AtomicBool);
    impl Wake for Busy {
        fn wake(self: Arc<Self>) {
            self.1.store(self.0.low_memory().is_ok(), Relaxed);
        }
    }
    impl Drop for Busy {
        fn drop(&mut self) {
            let _ = self.0.load();
        }
    }
    let heap: &'static SpinHeap = threads::spin_heap_for_good(64 << 10);
    let busy = Arc::new(Busy(heap, AtomicBool::new(false)));
    let mut wait = pin!(heap.low_memory().unwrap());
    let waker = Waker::from(busy.clone());
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    heap.post(Pressure::Moderate);
    assert_eq!(heap.poll().callbacks, 1);
    assert!(busy.1.load(Relaxed));
    let mut dropped = pin!(heap.low_memory().unwrap());
    let waker = Waker::from(Arc::new(Busy(heap, AtomicBool::new(false))));
    assert!(dropped.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
}
