//! The places that calls come from: interrupts, handlers, callbacks and so on, and what is called there.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use lock_api::RawMutex;
use terrace::*;

use crate::support::memory::{Memory, for_good};

/// Where a call comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Interrupt,
    Handler,
    Hook,
    Callback,
    Finaliser,
    Destructor,
    Window,
    SafePoint,
    Waker,
    Host,
    Veto,
}

impl Place {
    /// The columns of the table.
    pub const COLUMNS: [&str; 10] = [
        "interrupt",
        "GC handler, hook",
        "callback",
        "finaliser",
        "destructor",
        "window",
        "safe point",
        "waker",
        "host",
        "veto",
    ];

    pub fn column(self) -> usize {
        match self {
            Place::Interrupt => 0,
            Place::Handler | Place::Hook => 1,
            Place::Callback => 2,
            Place::Finaliser => 3,
            Place::Destructor => 4,
            Place::Window => 5,
            Place::SafePoint => 6,
            Place::Waker => 7,
            Place::Host => 8,
            Place::Veto => 9,
        }
    }
}

/// Says that an interrupt is being handled, if the thread wants that.
pub struct Interruptible;

thread_local! {
    /// Whether the next lock that is taken is held while an interrupt does what is pending.
    static INTERRUPTS: Cell<bool> = const { Cell::new(false) };
    static IN_INTERRUPT: Cell<bool> = const { Cell::new(false) };
    /// Whether the interrupt has interrupted who holds a lock.
    static IS_LOCKED: Cell<bool> = const { Cell::new(false) };
    /// What is to be done at the place, once.
    static PENDING: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    /// How often the veto was asked by what it does itself.
    static AGAIN: Cell<usize> = const { Cell::new(0) };
    /// The token of a finaliser, or of who is at a safe point.
    static TOKEN: Cell<*mut ()> = const { Cell::new(std::ptr::null_mut()) };
}

impl CoreId for Interruptible {
    fn core_id() -> usize {
        0
    }

    fn in_interrupt() -> bool {
        IN_INTERRUPT.get()
    }
}

pub type TestHeap = Heap<Caught, Interruptible>;

/// A spin lock that tells when an interrupt would wait for what it has interrupted.
pub struct Caught(Spin);

// SAFETY: it is the spin lock inside of it.
unsafe impl RawMutex for Caught {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to construct a lock"
    )]
    const INIT: Caught = Caught(Spin::INIT);
    type GuardMarker = <Spin as RawMutex>::GuardMarker;

    fn lock(&self) {
        if !RawMutex::try_lock(&self.0) {
            assert!(!IN_INTERRUPT.get(), "{WAITS}");
            RawMutex::lock(&self.0);
        }
        if INTERRUPTS.replace(false) {
            IN_INTERRUPT.set(true);
            IS_LOCKED.set(true);
            run_pending();
            IN_INTERRUPT.set(false);
            IS_LOCKED.set(false);
        }
    }

    fn try_lock(&self) -> bool {
        RawMutex::try_lock(&self.0)
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller's.
        unsafe { RawMutex::unlock(&self.0) };
    }
}

/// What an interrupt panics with that would wait for ever.
const WAITS: &str = "an interrupt waits for what it has interrupted";

/// A heap over as many bytes, for good.
pub fn heap_for_good(bytes: usize) -> &'static TestHeap {
    let (heap, memory) = (for_good(Heap::new()), for_good(Memory::new(bytes)));
    // SAFETY: the memory is this heap's for good.
    unsafe { heap.claim_raw(memory.start(), bytes).unwrap() };
    heap
}

/// Makes a call from an interrupt of `interrupted`, which takes a lock; tells whether it would wait for that for ever.
pub fn waits_for_what_it_interrupts<A: Brand>(
    bench: &'static Bench<A>,
    call: fn(&Bench<A>) -> crate::Outcome,
    interrupted: fn(&Bench<A>),
) -> bool {
    thread_local! {
        static RESULT: Cell<Option<bool>> = const { Cell::new(None) };
    }
    PENDING.set(Some(Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(|| call(bench)));
        let waits = result
            .as_ref()
            .is_err_and(|panic| panic.downcast_ref() == Some(&WAITS.to_owned()));
        assert!(waits || result.is_ok(), "it panics for another reason");
        RESULT.set(Some(waits));
    })));
    INTERRUPTS.set(true);
    interrupted(bench);
    RESULT.take().expect("it was interrupted")
}

/// The layout of [`Bench::block`].
pub const BLOCK: Layout = Layout::new::<[u64; 10]>();

/// A heap and what calls need.
pub struct Bench<A: Brand> {
    pub heap: &'static TestHeap,
    pub arena: RefCell<Option<Arena<A>>>,
    pub root: RefCell<Option<Root<u32, A>>>,
    /// Leads to what `root` keeps.
    pub weak: RefCell<Option<Weak<u32, A>>>,
    pub pinned: RefCell<Option<Pinned<u32, A>>>,
    pub private: RefCell<Option<PrivateHeap<'static, Caught>>>,
    pub block: Cell<*mut u8>,
}

impl<A: Brand> Bench<A> {
    pub fn new() -> &'static Bench<A> {
        let heap: &'static TestHeap = for_good(Heap::new());
        let host = for_good(Host(for_good(Memory::new(RESERVE))));
        heap.claim_from(host, Growth::new(RESERVE).with_initial(INITIAL))
            .unwrap();
        let mut arena = Arena::<A>::branded(heap).unwrap();
        let (root, pinned) = arena.enter(|cx| (cx.new::<u32>(|_| 1).unwrap(), cx.new_pinned::<u32>(|_| 9).unwrap()));
        let weak = arena.enter(|cx| cx.weak::<u32>(root.get(cx)).unwrap());
        let private = heap.private_heap(512).create().unwrap();
        // SAFETY: the layout is not empty.
        let block = unsafe { heap.alloc(BLOCK) };
        let _ = heap.poll();
        for_good(Bench {
            heap,
            arena: RefCell::new(Some(arena)),
            root: RefCell::new(Some(root)),
            weak: RefCell::new(Some(weak)),
            pinned: RefCell::new(Some(pinned)),
            private: RefCell::new(Some(private)),
            block: Cell::new(block),
        })
    }

    /// Ends the arena, so that there can be another one of its brand.
    pub fn end(&self) {
        drop((
            self.root.take(),
            self.weak.take(),
            self.pinned.take(),
            self.private.take(),
        ));
        drop(self.arena.take());
    }

    /// Calls `work` in a window of the place.
    pub fn with_window(&self, work: impl FnOnce(&Cx<A>) -> bool) -> crate::Outcome {
        let token = TOKEN.get().cast::<Cx<A>>();
        assert!(!token.is_null(), "there is a token");
        // SAFETY: the place has lent its token of this brand, at least for a window.
        crate::done_if(work(unsafe { &*token }))
    }

    /// Calls `work` with the token of the place.
    pub fn with_token(&self, work: impl FnOnce(&mut Cx<A>) -> bool) -> crate::Outcome {
        let token = TOKEN.get().cast::<Cx<A>>();
        assert!(!token.is_null(), "there is a token");
        // SAFETY: the place has lent its token of this brand, and does not use it meanwhile: the table lets no call do this in a
        // window.
        crate::done_if(work(unsafe { &mut *token }))
    }

    /// Bytes in use; nothing where the heap is locked, so that it is the call to be tried that meets the lock.
    pub fn used(&self) -> usize {
        if IS_LOCKED.get() { 0 } else { self.heap.load().used }
    }

    /// Whether nothing keeps the object of the root any more.
    pub fn is_root_gone(&self) -> bool {
        let mut arena = self.arena.borrow_mut();
        arena.as_mut().unwrap().enter(|cx| {
            cx.collect(Generation::Old);
            self.weak.borrow().as_ref().unwrap().get(cx).is_none()
        })
    }
}

const RESERVE: usize = 256 << 10;
const INITIAL: usize = 96 << 10;

/// A host that does what is pending when it commits.
struct Host(&'static Memory);

// SAFETY: the memory is shared with the heap only.
unsafe impl Sync for Host {}

// SAFETY: the memory is there, and lives for good.
unsafe impl HostMemory for Host {
    fn step(&self) -> usize {
        4096
    }

    fn reserve(&self, bytes: usize, _: Criticality) -> Result<NonNull<u8>, HostError> {
        assert!(bytes <= self.0.bytes());
        Ok(NonNull::new(self.0.start()).unwrap())
    }

    unsafe fn commit(&self, _: NonNull<[u8]>, _: Criticality) -> Result<Contents, HostError> {
        run_pending();
        Ok(Contents::Undefined)
    }

    unsafe fn decommit(&self, _: NonNull<[u8]>) -> Result<(), HostError> {
        Ok(())
    }

    unsafe fn release(&self, _: NonNull<[u8]>) -> Result<(), HostError> {
        Ok(())
    }
}

fn run_pending() {
    let pending = PENDING.take();
    if let Some(pending) = pending {
        pending();
    }
}

/// Runs `work` in a GC handler.
pub fn in_handler(heap: &'static TestHeap, work: impl FnOnce() + 'static) {
    fn handler(_: &GcEvent, _: &'static ()) {
        run_pending();
    }
    PENDING.set(Some(Box::new(work)));
    heap.add_gc_handler(Trigger::Before, GcType::ALL, handler, &()).unwrap();
    heap.collect(Generation::Young);
    heap.remove_gc_handler(Trigger::Before, handler, &()).unwrap();
}

struct Hooks;

impl GcHooks for Hooks {
    fn suspension_starting(&self) {
        run_pending();
    }
}

fn callback(_: &LowMemory, _: &'static ()) {
    run_pending();
}

fn veto(_: &MemoryRequest) -> Verdict {
    if PENDING.with_borrow(Option::is_none) {
        AGAIN.set(AGAIN.get() + 1);
    }
    run_pending();
    Verdict::Allow
}

struct RunWhenWoken;

impl Wake for RunWhenWoken {
    fn wake(self: Arc<Self>) {
        run_pending();
    }
}

#[derive(Trace)]
struct Final<A: Brand>(PhantomData<fn() -> A>);

impl<A: Brand> Finalize<A> for Final<A> {
    fn finalize(_: Root<Self, A>, cx: &mut Cx<A>) {
        with_lent_token(cx, run_pending);
    }
}

struct Runs;

impl Drop for Runs {
    fn drop(&mut self) {
        run_pending();
    }
}

/// Lets `work` have the token through [`TOKEN`].
fn with_lent_token<A: Brand>(cx: &mut Cx<A>, work: impl FnOnce()) {
    TOKEN.set(std::ptr::from_mut(cx).cast());
    work();
    TOKEN.set(std::ptr::null_mut());
}

/// Makes a call from a place; returns what came of it, and how often a veto was asked meanwhile.
pub fn call_from<A: Brand>(
    place: Place,
    bench: &'static Bench<A>,
    call: fn(&Bench<A>) -> crate::Outcome,
) -> (crate::Outcome, usize) {
    thread_local! {
        static OUTCOME: Cell<Option<crate::Outcome>> = const { Cell::new(None) };
    }
    AGAIN.set(0);
    let work = move || {
        if matches!(place, Place::Callback | Place::Waker)
            && let Some(arena) = bench.arena.borrow_mut().as_mut()
        {
            arena.enter(|_| ()); // so that there may be something to collect again
        }
        OUTCOME.set(Some(call(bench)));
    };
    let heap = bench.heap;
    match place {
        Place::Handler => in_handler(heap, work),
        _ => {
            PENDING.set(Some(Box::new(work)));
            visit(place, bench);
        }
    }
    (OUTCOME.take().expect("the place was visited"), AGAIN.get())
}

/// Has what is pending done at a place.
fn visit<A: Brand>(place: Place, bench: &'static Bench<A>) {
    let heap = bench.heap;
    match place {
        Place::Handler => unreachable!("see `in_handler`"),
        Place::Interrupt => {
            IN_INTERRUPT.set(true);
            run_pending();
            IN_INTERRUPT.set(false);
        }
        Place::Hook => {
            heap.set_gc_hooks(Some(&Hooks)).unwrap();
            heap.collect(Generation::Young);
        }
        Place::Callback => {
            heap.on_low_memory(callback, &()).unwrap();
            heap.post(Pressure::Critical);
            let _ = heap.poll();
        }
        Place::Finaliser | Place::Destructor => {
            let mut arena = bench.arena.borrow_mut();
            let arena = arena.as_mut().unwrap();
            arena.enter(|cx| {
                if place == Place::Finaliser {
                    cx.new_finalizable::<Final<A>>(|_| Final(PhantomData))
                        .map(drop)
                        .unwrap();
                } else {
                    cx.new::<Plain<Runs>>(|_| Plain(Runs)).map(drop).unwrap();
                }
                cx.collect(Generation::Old);
            });
            let _ = heap.poll_with(Budget::UNLIMITED, arena);
        }
        Place::Window => {
            let mut arena = bench.arena.borrow_mut();
            arena.as_mut().unwrap().enter(|cx| {
                let object = cx.try_new(5u32).unwrap();
                TOKEN.set(std::ptr::from_ref::<Cx<A>>(cx).cast_mut().cast());
                run_pending();
                TOKEN.set(std::ptr::null_mut());
                assert_eq!(*object, 5);
            });
        }
        Place::SafePoint => {
            let mut arena = bench.arena.borrow_mut();
            arena.as_mut().unwrap().enter(|cx| with_lent_token(cx, run_pending));
        }
        Place::Waker => {
            let mut waiting = pin!(heap.low_memory().unwrap());
            let waker = Waker::from(Arc::new(RunWhenWoken));
            assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            heap.post(Pressure::Critical);
            let _ = heap.poll();
        }
        Place::Host => {
            let layout = Layout::from_size_align(INITIAL, 8).unwrap();
            // SAFETY: the layout is not empty, and the block is given up.
            unsafe {
                let block = heap.alloc(layout);
                if !block.is_null() {
                    heap.dealloc(block, layout);
                }
            }
        }
        Place::Veto => {
            heap.set_veto(Some(veto)).unwrap();
            let block = heap.allocate_critical(BLOCK, Criticality::Task).unwrap();
            // SAFETY: the block is given up.
            unsafe { heap.dealloc(block.as_ptr(), BLOCK) };
        }
    }
}
