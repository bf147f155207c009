//! GC handlers, hooks around collections, and pressure (rows B8, D1 to D5).

mod support;
#[path = "support/threads.rs"]
mod threads;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use support::memory::for_good;
use terrace::*;
use threads::spin_heap_for_good;

/// A heap that handlers can have in their data.
fn heap(bytes: usize) -> &'static SpinHeap {
    spin_heap_for_good(bytes)
}

type Log = Mutex<Vec<GcEvent>>;

fn log(event: &GcEvent, log: &'static Log) {
    log.lock().unwrap().push(*event);
}

fn log_too(event: &GcEvent, log: &'static Log) {
    log.lock().unwrap().push(*event);
}

fn new_log() -> &'static Log {
    for_good(Log::default())
}

fn triggers(log: &Log) -> Vec<(Trigger, Generation)> {
    std::mem::take(&mut *log.lock().unwrap())
        .iter()
        .map(|event| (event.trigger, event.generation))
        .collect()
}

#[test]
fn d1_handlers_run_before_and_after_collections_of_their_types_and_all_of_them() {
    brand!(Here);
    let heap = heap(64 << 10);
    let (before, after, full) = (new_log(), new_log(), new_log());
    heap.add_gc_handler(Trigger::Before, GcType::ALL, log, before).unwrap();
    heap.add_gc_handler(Trigger::After, GcType::ALL, log, after).unwrap();
    heap.add_gc_handler(Trigger::After, GcType::ALL, log_too, after)
        .unwrap();
    heap.add_gc_handler(Trigger::After, GcType::FULL | GcType::MIDDLE, log, full)
        .unwrap();
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    use Generation::*;
    for generation in [Young, Middle, Old] {
        arena.enter(|cx| cx.collect(generation));
        assert_eq!(triggers(before), [(Trigger::Before, generation)]);
        assert_eq!(triggers(after), [(Trigger::After, generation); 2]);
        let expected = if generation == Young { 0 } else { 1 };
        assert_eq!(triggers(full).len(), expected);
    }
    heap.collect(Old); // the arena is parked
    assert_eq!((triggers(before).len(), triggers(after).len()), (1, 2));
}

#[test]
fn d2_d3_function_and_data_are_the_key_and_misuse_changes_nothing() {
    brand!(Here);
    let heap = heap(64 << 10);
    let (one, two) = (new_log(), new_log());
    let add = |function, data| heap.add_gc_handler(Trigger::After, GcType::ALL, function, data);
    let remove = |function, data| heap.remove_gc_handler(Trigger::After, function, data);
    assert_eq!(remove(log, one), Err(HandlerError::Unknown));
    add(log, one).unwrap();
    assert_eq!(add(log, one), Err(HandlerError::Duplicate));
    add(log, two).unwrap();
    add(log_too, one).unwrap();
    remove(log, two).unwrap();
    assert_eq!(remove(log, two), Err(HandlerError::Unknown), "removed already");
    assert_eq!(remove(log_too, two), Err(HandlerError::Unknown), "never there");
    assert_eq!(
        heap.remove_gc_handler(Trigger::Before, log, one),
        Err(HandlerError::Unknown),
        "for another trigger"
    );
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| cx.collect(Generation::Young));
    assert_eq!((triggers(one).len(), triggers(two).len()), (2, 0));
    let capacity = GC_HANDLERS;
    for _ in 2..capacity {
        add(log, new_log()).unwrap();
    }
    assert_eq!(add(log, new_log()), Err(HandlerError::Full { capacity }));
}

#[test]
fn d4_a_handler_is_told_the_type_the_flags_and_has_its_data() {
    brand!(Here);
    let heap = heap(64 << 10);
    let events = new_log();
    heap.add_gc_handler(Trigger::After, GcType::ALL, log, events).unwrap();
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let roots: Vec<_> = (0..100u64).map(|i| cx.new::<u64>(|_| i).unwrap()).collect();
        let kept: Vec<_> = roots.into_iter().step_by(2).collect();
        cx.compact();
        assert!(kept.iter().map(|root| *root.get(cx)).eq((0..100).step_by(2)));
    });
    heap.pressure(Pressure::Critical);
    let events = std::mem::take(&mut *events.lock().unwrap());
    let [compacted, pressed] = events[..] else {
        panic!("{events:?}")
    };
    assert!(compacted.has_compacted && compacted.is_forced());
    assert_eq!(
        (compacted.gc_type(), compacted.cause),
        (GcType::FULL, CollectionCause::Asked)
    );
    assert_eq!((pressed.cause, pressed.is_forced()), (CollectionCause::Pressure, true));
    assert!(!GcType::YOUNG.contains(pressed.gc_type()));
}

/// A heap for a handler that tries to allocate.
fn greedy(_: &GcEvent, state: &'static (&'static SpinHeap, AtomicUsize)) {
    let layout = Layout::new::<[u64; 4]>();
    // SAFETY: the layout is not empty.
    let block = unsafe { state.0.alloc(layout) };
    state.1.fetch_add(usize::from(block.is_null()), Relaxed);
    // SAFETY: as above.
    assert!(unsafe { state.0.alloc_zeroed(Layout::new::<[u64; 100]>()) }.is_null());
    assert_eq!(
        state.0.collect(Generation::Old),
        Collected::default(),
        "nor can it collect"
    );
    state.0.post(Pressure::Critical);
    let polled = state.0.poll();
    assert_eq!(
        (polled.callbacks, polled.events, polled.more),
        (0, 0, true),
        "no callback inside a collection"
    );
}

#[test]
fn d5_a_handler_that_allocates_is_refused_and_nothing_stops() {
    brand!(Here);
    let heap = heap(64 << 10);
    let state: &(_, AtomicUsize) = for_good((heap, AtomicUsize::new(0)));
    heap.add_gc_handler(Trigger::Before, GcType::ALL, greedy, state)
        .unwrap();
    heap.add_gc_handler(Trigger::After, GcType::ALL, greedy, state).unwrap();
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let root = cx.new_str("kept").unwrap();
        cx.collect(Generation::Old);
        assert_eq!(&*root.get(cx), "kept");
    });
    assert_eq!(state.1.load(Relaxed), 2);
    assert_eq!(heap.gc_stats().refused, 4);
    // SAFETY: the layout is not empty; the block is given up.
    unsafe {
        let layout = Layout::new::<u64>();
        let block = heap.alloc(layout);
        assert!(!block.is_null(), "the heap serves again");
        heap.dealloc(block, layout);
    }
    heap.check().unwrap();
}

#[test]
fn d5_critical_pressure_collects_at_once_what_is_parked_and_the_rest_at_its_next_safe_point() {
    brand!(Parked);
    brand!(Entered);
    let heap = heap(64 << 10);
    let mut parked = Arena::<Parked>::branded(heap).unwrap();
    let mut entered = Arena::<Entered>::branded(heap).unwrap();
    let weak = parked.enter(|cx| {
        let root = cx.new::<u32>(|_| 1).unwrap();
        cx.weak::<u32>(root.get(cx)).unwrap()
    });
    entered.enter(|cx| {
        let garbage = cx.new::<u32>(|_| 2).unwrap();
        let gone = cx.weak::<u32>(garbage.get(cx)).unwrap();
        drop(garbage);
        assert_eq!(heap.pressure(Pressure::Moderate), Collected::default());
        assert!(!cx.is_due());
        let did = heap.pressure(Pressure::Critical);
        assert_eq!((did.collected, did.asked), (1, 1));
        assert!(gone.get(cx).is_some(), "a window may have been open");
        assert!(cx.is_due());
        cx.safe_point();
        assert!(gone.get(cx).is_none());
        assert!(!cx.is_due(), "once");
    });
    parked.enter(|cx| assert!(weak.get(cx).is_none()));
    assert_eq!(heap.poll().callbacks, 0);
}

struct Hooks {
    calls: Mutex<Vec<Option<Generation>>>,
}

impl GcHooks for Hooks {
    fn suspension_starting(&self) {
        self.calls.lock().unwrap().push(None);
    }

    fn suspension_ending(&self, generation: Generation) {
        self.calls.lock().unwrap().push(Some(generation));
    }
}

#[test]
fn b8_hooks_are_around_every_collection() {
    brand!(Here);
    let heap = heap(64 << 10);
    let hooks: &Hooks = for_good(Hooks {
        calls: Mutex::default(),
    });
    heap.set_gc_hooks(Some(hooks)).unwrap();
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        for _ in 0..2000 {
            cx.new::<[u64; 8]>(|_| [0; 8]).unwrap();
        }
    });
    heap.collect(Generation::Young);
    let calls = std::mem::take(&mut *hooks.calls.lock().unwrap());
    let collections: u32 = arena.stats().collections.iter().sum();
    assert!(collections > 5);
    assert_eq!(calls.len(), 2 * collections as usize);
    for pair in calls.chunks(2) {
        assert!(matches!(pair, [None, Some(_)]), "{pair:?}");
    }
    heap.set_gc_hooks(None).unwrap();
    heap.collect(Generation::Young);
    assert!(hooks.calls.lock().unwrap().is_empty());
}

#[test]
fn b9_each_part_that_a_host_takes_care_of_is_optional() {
    brand!(Here);
    struct Nothing;
    impl HostControl for Nothing {}

    struct Load;
    impl HostControl for Load {
        fn memory_load(&self) -> Option<LoadOverride> {
            Some(|_| HostLoad {
                percent: 97,
                available: 1,
            })
        }
    }

    struct All(&'static Hooks);
    impl HostControl for All {
        fn gc_hooks(&self) -> Option<&'static dyn GcHooks> {
            Some(self.0)
        }
        fn veto(&self) -> Option<Veto> {
            Some(|_| Verdict::Deny)
        }
    }

    let heap = heap(64 << 10);
    let hooks: &Hooks = for_good(Hooks {
        calls: Mutex::default(),
    });
    let layout = Layout::new::<u64>();
    let ask = || heap.allocate_critical(layout, Criticality::Task);
    heap.set_host_control(&Nothing).unwrap();
    assert!(heap.memory_load().percent < 97);
    let block = ask().unwrap();
    heap.set_host_control(&Load).unwrap();
    assert_eq!((heap.memory_load().percent, heap.memory_load().available), (97, 1));
    heap.set_host_control(&All(hooks)).unwrap();
    assert_eq!(heap.memory_load().percent, 97, "what it does not take care of stays");
    assert!(matches!(ask(), Err(RequestError::Denied { .. })));
    let _arena = Arena::<Here>::branded(heap).unwrap();
    heap.collect(Generation::Young);
    assert_eq!(hooks.calls.lock().unwrap().len(), 2);
    // SAFETY: the block was allocated with this layout and is given up.
    unsafe { heap.dealloc(block.as_ptr(), layout) };
    let error = support::empty_heap_for_good().set_host_control(&Load).unwrap_err();
    assert!(error.requested > 0, "there is no memory");
}
