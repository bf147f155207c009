//! What may be called from where (rows A3, B1, B2, B8, D4, E5): each cell of `docs/guide/allowed-calls.md` is tried.

#[path = "support/places.rs"]
mod places;
mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{fs, thread};

use places::{Bench, Place};
use support::memory::{Memory, for_good};
use terrace::*;

/// What came of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// What it does anywhere.
    Done,
    /// Null or an error.
    Refused,
    /// Nothing at all.
    Nothing,
    /// Nothing, and it says `more`.
    More,
    /// It asks for what it does elsewhere.
    Asked,
    /// The handle stays.
    Kept,
    /// A handle was dropped; what has come of it is to be found out.
    Dropped,
}

use Outcome::*;

/// A row of the table: the call as the table has it, its cells, how it is made, and what shows that it can't be written
/// where the table says so (files of `tests/compile_fail/`).
type Row<A> = (
    &'static str,
    [&'static str; 10],
    fn(&Bench<A>) -> Outcome,
    &'static [&'static str],
);

const SMALL: Layout = Layout::new::<[u64; 4]>();

fn done_if(is_done: bool) -> Outcome {
    if is_done { Done } else { Refused }
}

fn of_collected(did: Collected) -> Outcome {
    match did {
        Collected { collected: 1.., .. } => Done,
        Collected { asked: 1.., .. } => Asked,
        _ => Nothing,
    }
}

fn on_low(_: &LowMemory, _: &'static ()) {}

fn on_gc(_: &GcEvent, _: &'static ()) {}

/// The table. Columns as [`Place::COLUMNS`].
#[rustfmt::skip]
fn rows<A: Brand>() -> Vec<Row<A>> {
    vec![
        ("`alloc`, `alloc_zeroed`, `realloc`", ["lock", "null", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], allocate, &[]),
        ("`dealloc`", ["lock", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], free, &[]),
        ("`allocate_critical`, `Heap::at`", ["lock", "null", "yes", "yes", "yes", "yes", "yes", "yes", "never", "again"], |bench| {
            let critical = bench.heap.allocate_critical(SMALL, Criticality::Task);
            // SAFETY: the layout is not empty.
            let at = unsafe { bench.heap.at(Criticality::Domain).alloc(SMALL) };
            assert_eq!(critical.is_ok(), !at.is_null());
            done_if(critical.is_ok())
        }, &[]),
        ("`post`, `notify`, `Notifier::notify`", ["yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes"], |bench| {
            bench.heap.post(Pressure::None);
            bench.heap.notify(Available::Neutral);
            Done
        }, &[]),
        ("`load`, `gc_stats`", ["lock", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            done_if(bench.heap.load().capacity > 0 && bench.heap.gc_stats().arenas > 0)
        }, &[]),
        ("`stats`, `memory_load`, `watermarks`, `limits`", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            let heap = bench.heap;
            let _ = (heap.watermarks(), heap.limits());
            done_if(heap.stats().capacity > 0 && heap.memory_load().capacity > 0)
        }, &[]),
        ("`check`, `map`", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            let _ = bench.heap.map::<8>();
            done_if(bench.heap.check().is_ok())
        }, &[]),
        ("`collect`", ["nothing", "nothing", "yes", "asks", "asks", "asks", "asks", "yes", "never", "don't"], |bench| {
            of_collected(bench.heap.collect(Generation::Old))
        }, &[]),
        ("`pressure`, critical", ["nothing", "nothing", "yes", "asks", "asks", "asks", "asks", "yes", "never", "don't"], |bench| {
            of_collected(bench.heap.pressure(Pressure::Critical))
        }, &[]),
        ("`poll`, `poll_with`", ["don't", "more", "more", "more", "more", "yes", "yes", "more", "never", "don't"], |bench| {
            bench.heap.post(Pressure::Moderate);
            let polled = bench.heap.poll_with(Budget::UNLIMITED, &mut ());
            if polled == Polled::default() { Nothing } else if polled.events == 0 && polled.more { More } else { Done }
        }, &[]),
        ("`needs`", ["don't", "don't", "yes", "yes", "yes", "yes", "yes", "yes", "never", "don't"], |bench| {
            let before = bench.heap.stats().low_memory;
            let _ = bench.heap.needs(100);
            done_if(bench.heap.stats().low_memory > before)
        }, &[]),
        ("`trim`", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            bench.heap.trim();
            done_if(bench.heap.stats().idle == 0)
        }, &[]),
        ("`on_low_memory`, `on_low_memory_at`, `remove_low_memory`", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            let is_added = bench.heap.on_low_memory(on_low, &()).is_ok();
            done_if(is_added && bench.heap.remove_low_memory(on_low, &()).is_ok())
        }, &[]),
        ("`low_memory`, dropping the future", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            done_if(bench.heap.low_memory().is_ok())
        }, &[]),
        ("`add_gc_handler`, `remove_gc_handler`, `set_gc_hooks`", ["don't", "don't", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            let is_added = bench.heap.add_gc_handler(Trigger::After, GcType::ALL, on_gc, &()).is_ok();
            let is_removed = bench.heap.remove_gc_handler(Trigger::After, on_gc, &()).is_ok();
            done_if(is_added && is_removed && bench.heap.set_gc_hooks(None).is_ok())
        }, &[]),
        ("`set_watermarks` and the other `set_...`", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            struct Control;
            impl HostControl for Control {}
            let heap = bench.heap;
            heap.set_sink(None);
            let is_set = heap.set_watermarks(Watermarks::DEFAULT).is_ok() && heap.set_limits(Limits::NONE).is_ok();
            let is_set = is_set && heap.set_reserve(Criticality::Process, 0).is_ok() && heap.set_veto(None).is_ok();
            let is_set = is_set && heap.set_needs_hook(None).is_ok() && heap.set_load_override(None).is_ok();
            let is_set = is_set && heap.set_default_criticality(Criticality::Process).is_ok();
            let is_set = is_set && heap.set_external_allowance(0).is_ok() && heap.set_host_control(&Control).is_ok();
            done_if(is_set && heap.set_startup_limits(4096, 8192).is_ok())
        }, &[]),
        ("`acquired`, `released`", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            done_if(bench.heap.acquired(8, 100).is_ok() && bench.heap.released(8) == Ok(100))
        }, &[]),
        ("`extend`", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            let memory = for_good(Memory::new(4096));
            // SAFETY: the memory is the heap's for good.
            done_if(unsafe { bench.heap.extend_raw(memory.start(), 4096, 0) }.is_ok())
        }, &[]),
        ("`private_heap`, `create`", ["lock", "null", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            done_if(bench.heap.private_heap(256).create().is_ok())
        }, &[]),
        ("`PrivateHeap::alloc`, `free`", ["lock", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            let private = bench.private.borrow();
            let private = private.as_ref().unwrap();
            let block = private.alloc(SMALL).unwrap();
            // SAFETY: nobody uses the block.
            done_if(unsafe { private.free(block) }.is_ok())
        }, &[]),
        ("`PrivateHeap::destroy`, dropping it", ["lock", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            let used = bench.used();
            bench.private.borrow_mut().take().unwrap().destroy();
            done_if(bench.used() < used)
        }, &[]),
        ("`PrivateHeap::leaks`, `check`", ["don't", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            let private = bench.private.borrow();
            let private = private.as_ref().unwrap();
            done_if(private.leaks().count() == 0 && private.check().is_ok())
        }, &[]),
        ("`Arena::branded`, dropping the arena", ["don't", "don't", "yes", "yes", "yes", "yes", "yes", "yes", "never", "don't"], |bench| {
            brand!(Another);
            static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
            let _guard = ONE_AT_A_TIME.lock();
            done_if(Arena::<Another>::branded(bench.heap).is_ok_and(|mut arena| arena.enter(|cx| cx.new::<u32>(|_| 1).is_ok())))
        }, &[]),
        ("`Arena::enter` of a parked arena", ["type", "waits", "yes", "type", "type", "type", "type", "yes", "never", "don't"], |bench| {
            let mut arena = bench.arena.borrow_mut();
            done_if(arena.as_mut().unwrap().enter(|cx| cx.new::<u32>(|_| 1).is_ok()))
        }, &["arena_two_tokens", "arena_token_to_thread"]),
        ("`Cx::try_new`, `Gc`, `Slot`", ["type", "type", "type", "yes", "type", "yes", "yes", "type", "type", "type"], |bench| {
            bench.with_window(|cx| *cx.try_new(7u32).unwrap() == 7)
        }, &["arena_token_to_thread", "arena_in_callbacks"]),
        ("`Cx::new`, `Cx::collect`, `Cx::compact`", ["type", "type", "type", "yes", "type", "type", "yes", "type", "type", "type"], |bench| {
            bench.with_token(|cx| {
                cx.compact();
                cx.new::<u32>(|_| 1).is_ok()
            })
        }, &["arena_gc_over_collection", "arena_reference_over_allocation", "arena_in_callbacks"]),
        ("`Cx::poll`", ["type", "type", "type", "yes", "type", "type", "yes", "type", "type", "type"], |bench| {
            bench.with_token(|cx| {
                cx.poll();
                true
            })
        }, &["arena_gc_over_collection", "arena_reference_over_allocation", "arena_in_callbacks"]),
        ("reading through a `Pinned`", ["type", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            done_if(**bench.pinned.borrow().as_ref().unwrap() == 9)
        }, &["arena_token_to_thread", "arena_in_callbacks"]),
        ("dropping a `Root`, a `Weak`, a `Pinned`", ["type", "kept", "yes", "yes", "yes", "yes", "yes", "yes", "never", "yes"], |bench| {
            drop(bench.root.borrow_mut().take().unwrap());
            Dropped
        }, &["arena_token_to_thread", "arena_in_callbacks"]),
    ]
}

fn allocate<A: Brand>(bench: &Bench<A>) -> Outcome {
    // SAFETY: the layouts are not empty; blocks are given up once.
    unsafe {
        let heap = bench.heap;
        let blocks = [heap.alloc(SMALL), heap.alloc_zeroed(SMALL)];
        if blocks.iter().any(|block| block.is_null()) {
            assert_eq!(blocks, [std::ptr::null_mut(); 2]);
            return Refused;
        }
        let grown = heap.realloc(blocks[0], SMALL, 4 * SMALL.size());
        assert!(!grown.is_null());
        heap.dealloc(grown, Layout::new::<[u64; 16]>());
        heap.dealloc(blocks[1], SMALL);
        Done
    }
}

fn free<A: Brand>(bench: &Bench<A>) -> Outcome {
    let (used, block) = (bench.used(), bench.block.take());
    // SAFETY: it is a block of this layout, and given up.
    unsafe { bench.heap.dealloc(block, places::BLOCK) };
    done_if(bench.used() < used)
}

/// Whether a cell tells what came of the call.
fn agrees(cell: &str, outcome: Outcome, asked_again: usize) -> bool {
    match cell {
        _ if (asked_again > 0) != (cell == "again") => false,
        "yes" | "lock" | "don't" => outcome == Done,
        "null" => outcome == Refused,
        "nothing" => outcome == Nothing,
        "more" => outcome == More,
        "asks" => outcome == Asked,
        "kept" => outcome == Kept,
        "again" => outcome == Done,
        "never" => true, // nothing is promised, but that it comes back, and the heap is sound
        _ => panic!("what does {cell:?} mean?"),
    }
}

/// Tries the cells of all places that the test is for.
fn try_cells<A: Brand>(places: &[Place]) {
    for (name, cells, call, files) in rows::<A>() {
        for place in places {
            let cell = cells[place.column()];
            match cell {
                "type" => {
                    assert!(!files.is_empty(), "{name} from {place:?}");
                    for file in files {
                        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
                        assert!(folder.join(file).with_extension("rs").exists(), "{name}: {file}");
                    }
                }
                "waits" => {} // d4_a_handler_that_enters_the_arena_waits_for_ever
                _ => {
                    let bench = Bench::<A>::new();
                    let (mut outcome, again) = places::call_from(*place, bench, call);
                    if outcome == Dropped {
                        outcome = if bench.is_root_gone() { Done } else { Kept };
                    }
                    assert!(
                        agrees(cell, outcome, again),
                        "{name} from {place:?}: {outcome:?}, not {cell}"
                    );
                    assert_eq!(
                        bench.heap.gc_stats().refused > 0,
                        cell == "null",
                        "{name} from {place:?}"
                    );
                    bench.heap.check().unwrap();
                    bench.end();
                }
            }
        }
    }
}

#[test]
fn e5_from_interrupts_calls_do_what_the_table_says() {
    brand!(Here);
    try_cells::<Here>(&[Place::Interrupt]);
}

#[test]
fn e5_in_an_interrupt_only_calls_without_a_lock_do_not_wait_for_a_spin_lock() {
    brand!(Here);
    for (name, cells, call, _) in rows::<Here>() {
        let cell = cells[Place::Interrupt.column()];
        if cell == "type" || name.contains("Arena::branded") {
            continue; // a brand that is taken stays taken if this unwinds
        }
        let interrupted: fn(&Bench<Here>) =
            match name.contains("PrivateHeap::alloc") || name.contains("PrivateHeap::leaks") {
                true => |bench| _ = bench.private.borrow().as_ref().unwrap().stats(),
                false => |bench| _ = bench.heap.load(),
            };
        let bench = Bench::<Here>::new();
        let waits = places::waits_for_what_it_interrupts(bench, call, interrupted);
        assert_eq!(waits, matches!(cell, "lock" | "don't"), "{name}");
        bench.heap.check().unwrap();
        bench.end();
    }
}

#[test]
fn d4_from_gc_handlers_and_hooks_calls_do_what_the_table_says() {
    brand!(InHandler);
    brand!(InHook);
    try_cells::<InHandler>(&[Place::Handler]);
    try_cells::<InHook>(&[Place::Hook]);
}

#[test]
fn a3_from_callbacks_finalisers_destructors_and_wakers_calls_do_what_the_table_says() {
    brand!(Here);
    try_cells::<Here>(&[Place::Callback, Place::Finaliser, Place::Destructor, Place::Waker]);
}

#[test]
fn c19_in_windows_and_at_safe_points_calls_do_what_the_table_says() {
    brand!(Here);
    try_cells::<Here>(&[Place::Window, Place::SafePoint]);
}

#[test]
fn b1_b2_from_hosts_and_vetoes_calls_do_what_the_table_says() {
    brand!(Here);
    try_cells::<Here>(&[Place::Host, Place::Veto]);
}

/// The thread waits until the program ends.
#[test]
#[cfg_attr(miri, ignore = "the thread does not end")]
fn d4_a_handler_that_enters_the_arena_waits_for_ever() {
    brand!(Here);
    static WAITS: AtomicUsize = AtomicUsize::new(0);
    struct Hooks;
    impl GcHooks for Hooks {
        fn thread_is_blocking(&self) {
            WAITS.fetch_add(1, Relaxed);
            thread::sleep(Duration::from_millis(1));
        }
    }
    let waiting = thread::spawn(|| {
        let heap = places::heap_for_good(64 << 10);
        heap.set_gc_hooks(Some(&Hooks)).unwrap();
        let arena: &'static mut Arena<Here> = for_good(Arena::branded(heap).unwrap());
        let arena = std::ptr::from_mut(arena);
        places::in_handler(heap, move || {
            // SAFETY: the arena is there for good, and `collect` does not have it: it is parked.
            unsafe { (*arena).enter(|_| ()) };
        });
    });
    let start = Instant::now();
    while WAITS.load(Relaxed) < 20 {
        assert!(!waiting.is_finished(), "it does not wait");
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::yield_now();
    }
    assert!(!waiting.is_finished());
}

/// The columns and the rows of a table in the guide, whose head begins with a word.
fn table(word: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/allowed-calls.md");
    let text = fs::read_to_string(path).unwrap();
    let split = |line: &str| -> Vec<String> {
        let line = line.trim().trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = text.lines().map(split).skip_while(|cells| cells[0] != word);
    let head = lines.next().unwrap();
    let rows = lines.skip(1).take_while(|cells| cells.len() == head.len()).collect();
    (head, rows)
}

#[test]
fn e5_the_table_in_the_guide_is_the_one_that_is_tested() {
    let (head, written) = table("call");
    assert_eq!(head[1..], Place::COLUMNS);
    let tested: Vec<Vec<String>> = rows::<Main>()
        .into_iter()
        .map(|(name, cells, ..)| std::iter::once(name).chain(cells).map(str::to_owned).collect())
        .collect();
    for (written, tested) in written.iter().zip(&tested) {
        assert_eq!(written, tested);
    }
    assert_eq!(written.len(), tested.len());

    let explained =
        |table: Vec<Vec<String>>| -> BTreeSet<String> { table.into_iter().map(|row| row[0].clone()).collect() };
    let cells = explained(table("cell").1);
    let used: BTreeSet<String> = tested.iter().flat_map(|row| row[1..].iter().cloned()).collect();
    assert_eq!(used, cells, "each word is explained");
    let columns: BTreeSet<String> = head[1..].iter().cloned().collect();
    assert_eq!(columns, explained(table("column").1), "each place is explained");
}
