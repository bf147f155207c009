//! A private heap: a session has a heap of its own, whose leaks are found by file and line, and which goes at once with all
//! that was forgotten in it.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

use core::alloc::Layout;
use core::ptr::NonNull;

use terrace::{CriticalSection, CriticalSectionHeap, PrivateError, PrivateHeap};
use terrace_board::{NAME, println};

static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// Bytes of the region, and of the session's heap.
const REGION: usize = 6 * 1024;
const SESSION: usize = 2 * 1024;

type Session = PrivateHeap<'static, CriticalSection>;

/// A message that is read, answered and freed.
fn answer(session: &Session, text: &str) -> Result<usize, PrivateError> {
    let message = session.debug_alloc(Layout::for_value(text))?;
    // SAFETY: the block is ours, and as long as the text, which is written to it first.
    let message_bytes = unsafe {
        message.copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
        NonNull::slice_from_raw_parts(message, text.len()).as_ref()
    };
    let sum = message_bytes.iter().map(|byte| usize::from(*byte)).sum();
    // SAFETY: nobody uses the block any more.
    unsafe { session.free(message)? };
    Ok(sum)
}

/// A name that someone looks up and forgets.
fn look_up(session: &Session, bytes: usize) -> Result<NonNull<u8>, PrivateError> {
    session.debug_alloc(Layout::array::<u8>(bytes).expect("a small array"))
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION).expect("the heap is claimed once");
    let before = HEAP.load();
    let session = HEAP.private_heap(SESSION).create().expect("there is room");
    println!("on {NAME}, a session of {SESSION} bytes makes the load {}", HEAP.load());

    // What is freed is no leak.
    for text in ["hello", "how are you?", "goodbye"] {
        answer(&session, text).expect("there is room");
    }
    assert_eq!(session.leaks().count(), 0);

    // What is not is one, listed by the line that asked for it.
    for bytes in [10, 20, 30] {
        look_up(&session, bytes).expect("there is room");
    }
    let table = session.debug_alloc(Layout::new::<[u32; 64]>()).expect("there is room");
    println!("in use: {}\n{}", session.stats(), session.leaks());
    let mut leaks = session.leaks().map(|leak| (leak.blocks, leak.bytes));
    assert_eq!(
        (leaks.next(), leaks.next(), leaks.next()),
        (Some((3, 60)), Some((1, 256)), None)
    );

    // Mistakes are errors.
    // SAFETY: nobody uses the block any more.
    unsafe { session.free(table) }.expect("the first time");
    // SAFETY: no block starts there.
    let mistakes = unsafe { [session.free(table), session.free(NonNull::dangling())] };
    for error in mistakes.into_iter().filter_map(Result::err) {
        println!("refused: {error}");
    }
    assert!(matches!(mistakes[0], Err(PrivateError::FreedTwice { .. })));
    assert!(matches!(mistakes[1], Err(PrivateError::Foreign { .. })));

    // A session that wants too much is told so, and disturbs nobody.
    let error = (0..)
        .find_map(|_| look_up(&session, 100).err())
        .expect("it is full some time");
    println!("refused: {error}");
    assert_eq!(HEAP.stats().failures, 0);

    // All of it goes at once.
    let end = session.destroy();
    println!(
        "destroyed with {} blocks and {} bytes in use; the load is {}",
        end.blocks,
        end.asked,
        HEAP.load()
    );
    assert!(end.blocks > 3);
    assert_eq!(HEAP.load(), before);
    HEAP.check().expect("the heap is sound");
}
