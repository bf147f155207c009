//! The same on a host: a thread is the timer, a child process may panic.

use std::{
    array,
    cell::Cell,
    env,
    ops::Range,
    panic,
    process::{self, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The board's name, which is that of its folder in `targets/`.
pub const NAME: &str = "host";
/// Bytes of a heap region that leave room for the program's own data and stack.
pub const REGION_BYTES: usize = 128 * 1024; // pointers are twice as long as on the boards, and std takes its share

/// The cores that [`on_all_cores`] runs work on.
pub const CORES: usize = 4;

thread_local! {
    static CORE: Cell<usize> = const { Cell::new(0) };
}

/// The number of the timer that runs; another number ends its thread.
static CURRENT: AtomicU32 = AtomicU32::new(0);
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// Runs the program. Called once, by the C library.
pub fn start(main: fn()) -> ! {
    // No unwinding and no backtrace, which would need more memory than there may be: the end, as on a board.
    panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        exit(101)
    }));
    main();
    exit(0)
}

pub fn every(micros: u32, handler: fn()) {
    stop();
    let number = CURRENT.load(Ordering::Relaxed);
    let thread = thread::spawn(move || {
        while CURRENT.load(Ordering::Relaxed) == number {
            thread::sleep(Duration::from_micros(micros.into()));
            critical_section::with(|_| {
                if CURRENT.load(Ordering::Relaxed) == number {
                    handler();
                }
            });
        }
    });
    *THREAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
}

pub fn stop() {
    CURRENT.fetch_add(1, Ordering::Relaxed);
    let thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner).take();
    let handler_is_caller = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
    if let Some(thread) = thread.filter(|thread| !handler_is_caller(thread)) {
        thread.join().expect("a panic of the handler ends the program");
    }
}

/// The running core, from 0. Allocates nothing.
pub fn core_id() -> usize {
    CORE.get()
}

pub fn on_all_cores(work: fn(usize)) {
    let spawn = |core| {
        thread::spawn(move || {
            CORE.set(core);
            work(core);
        })
    };
    let others: [_; CORES - 1] = array::from_fn(|index| spawn(index + 1));
    work(0);
    for other in others {
        other.join().expect("a panic ends the program");
    }
}

/// Sleeps until an interrupt has been served.
pub fn idle() {
    thread::sleep(Duration::from_micros(50));
}

/// Ends the program with this exit status.
pub fn exit(status: u8) -> ! {
    process::exit(status.into())
}

/// Instructions executed since the start of the program, or `None` on a host.
pub fn instructions() -> Option<u64> {
    None
}

/// From now on the program must end by an access to one of these addresses that the processor refuses: then its exit
/// status is 0. It is 102 after any other fault, and 1 when the program ends without one.
///
/// A host does not tell the address: there the program ends here, with status 1.
pub fn expect_fault(addresses: Range<usize>) {
    eprintln!("a host cannot tell whether a fault was in {addresses:#x?}");
    exit(1)
}

/// From now on the program must end by a panic with exactly this message: then its exit status is 0. It is 101 after any
/// other panic, and 1 when the program ends without one.
///
/// On a host the rest of the program runs in a child process, whose death this function awaits; there the message need
/// only be part of what the child says.
pub fn expect_panic(message: &'static str) {
    const CHILD: &str = "TERRACE_BOARD_MAY_PANIC";
    if env::var_os(CHILD).is_some() {
        return;
    }
    let child = env::current_exe()
        .and_then(|program| Command::new(program).env(CHILD, "1").stdout(Stdio::null()).output())
        .expect("the program can start itself");
    let said = String::from_utf8_lossy(&child.stderr);
    if child.status.success() {
        eprintln!("expected the panic {message:?}, which did not come");
        exit(1);
    }
    if !said.contains(message) {
        eprintln!("{said}");
        exit(101);
    }
    exit(0)
}
