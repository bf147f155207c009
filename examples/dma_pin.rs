//! A receiver with two buffers that lie in an arena: an interrupt, which stands for a DMA controller, writes to one of them while
//! the main loop turns the other one into managed strings, and everything around the two is collected and moved.
//!
//! What is shared with an interrupt must stay where it is, be there for good, and bear being written to at any time. A pinned
//! slice of atomics that is leaked is all of that, without a line of unsafe code: pinned, it stays; leaked, it is a `'static`
//! reference, which a static can hold; and atomics are `Sync`.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

use core::cell::Cell;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use critical_section::Mutex;
use terrace::{Arena, CriticalSectionHeap, Cx, OutOfMemory, Plain, Root, Slot, Trace};
use terrace_board::{NAME, REGION_BYTES, every, idle, println, stop};

static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// Messages in all, their bytes on the wire, and how many of these come with an interrupt.
const MESSAGES: u32 = 200;
const LENGTH: u32 = 64;
const BURST: u32 = 16;
/// Messages that are kept as strings.
const KEPT: usize = 8;

type Buffer = [Plain<AtomicU8>];

/// The registers of the controller.
struct Receiver {
    buffers: Mutex<Cell<[&'static Buffer; 2]>>,
    /// Bytes that have been written, of all messages. Changed by the interrupt only.
    written: AtomicU32,
    /// Messages that have been read. Changed by the main loop only.
    read: AtomicU32,
}

static RECEIVER: Receiver = Receiver {
    buffers: Mutex::new(Cell::new([&[], &[]])),
    written: AtomicU32::new(0),
    read: AtomicU32::new(0),
};

/// What comes over the wire: how many letters there are, and the letters.
fn wire(message: u32, index: u32) -> u8 {
    if index == 0 {
        1 + (message % (LENGTH - 1)) as u8
    } else {
        b'a' + ((message * 7 + index) % 26) as u8
    }
}

/// The interrupt: the next burst of bytes, if there is a buffer to write to.
fn receive() {
    let written = RECEIVER.written.load(Ordering::Relaxed);
    let (message, from) = (written / LENGTH, written % LENGTH);
    if message == MESSAGES || message >= RECEIVER.read.load(Ordering::Acquire) + 2 {
        return;
    }
    let buffer = critical_section::with(|cs| RECEIVER.buffers.borrow(cs).get())[message as usize % 2];
    for index in from..from + BURST {
        buffer[index as usize].store(wire(message, index), Ordering::Relaxed);
    }
    RECEIVER.written.store(written + BURST, Ordering::Release);
}

/// A message, and those before it.
#[derive(Trace)]
struct Line<'g> {
    number: u32,
    text: Slot<'g, str>,
    before: Slot<'g, Line<'g>>,
}

/// A buffer for the interrupt, for good. It lies wherever it was made: amid objects that come, go and move.
fn buffer(cx: &mut Cx) -> Result<&'static Buffer, OutOfMemory> {
    let garbage = cx.new_slice::<u8>(100, |_, _| 0)?;
    let buffer = cx.new_slice::<Plain<AtomicU8>>(LENGTH as usize, |_, _| Plain(AtomicU8::new(0)))?;
    drop(garbage);
    Ok(cx.pin(buffer.get(cx))?.leak())
}

/// Makes a string of a message that is there as a whole, and hands the buffer back to the interrupt.
fn read(cx: &mut Cx, message: u32, buffer: &Buffer) -> Result<Root<str>, OutOfMemory> {
    let mut bytes = [0; LENGTH as usize];
    for (byte, shared) in bytes.iter_mut().zip(buffer) {
        *byte = shared.load(Ordering::Relaxed);
    }
    RECEIVER.read.store(message + 1, Ordering::Release);
    let text = bytes.get(1..usize::from(bytes[0])).unwrap_or_default();
    cx.new_str(core::str::from_utf8(text).expect("letters come over the wire"))
}

/// Puts a line before the others and cuts off the oldest.
fn push(
    cx: &mut Cx,
    number: u32,
    text: &Root<str>,
    lines: Option<&Root<Line<'static>>>,
) -> Result<Root<Line<'static>>, OutOfMemory> {
    let line = cx.new::<Line>(|g| Line {
        number,
        text: Slot::new(g, text.get(g)),
        before: lines.map_or(Slot::null(), |lines| Slot::new(g, lines.get(g))),
    })?;
    let mut oldest = line.get(cx);
    for _ in 1..KEPT {
        match oldest.before.get(cx) {
            Some(before) => oldest = before,
            None => break,
        }
    }
    oldest.before.set(cx, None);
    Ok(line)
}

/// Verifies the lines; returns how many there are, and the sum of the addresses of their texts.
fn verify(cx: &Cx, lines: &Root<Line<'static>>) -> (usize, usize) {
    let newest = lines.get(cx).number;
    let (mut at, mut count, mut addresses) = (Some(lines.get(cx)), 0, 0usize);
    while let Some(line) = at {
        let text = line.text.get(cx).expect("each line has a text");
        assert_eq!(line.number + count as u32, newest, "lines are in order");
        let letters = (1..).map(|index| wire(line.number, index));
        assert!(
            text.bytes().eq(letters.take(text.len())),
            "message {} is as it was sent",
            line.number
        );
        assert_eq!(text.len() + 1, usize::from(wire(line.number, 0)));
        addresses = addresses.wrapping_add(text.as_ptr() as usize);
        count += 1;
        at = line.before.get(cx);
    }
    (count, addresses)
}

/// What compactions met.
#[derive(Default)]
struct Seen {
    /// Those in the middle of a transfer.
    amid: u32,
    /// Those that moved the texts.
    moved: u32,
}

/// Compacts, and verifies that everything is as before, but elsewhere.
fn compact(cx: &mut Cx, lines: &Root<Line<'static>>, seen: &mut Seen) {
    let before = verify(cx, lines);
    seen.amid += u32::from(!RECEIVER.written.load(Ordering::Relaxed).is_multiple_of(LENGTH));
    cx.compact();
    let after = verify(cx, lines);
    assert_eq!(after.0, before.0, "nothing is lost");
    seen.moved += u32::from(after.1 != before.1);
}

fn run(cx: &mut Cx) -> Result<Seen, OutOfMemory> {
    let buffers = [buffer(cx)?, buffer(cx)?];
    let addresses = buffers.map(|buffer| buffer.as_ptr());
    critical_section::with(|cs| RECEIVER.buffers.borrow(cs).set(buffers));
    every(500, receive);

    let (mut lines, mut seen) = (None, Seen::default());
    for message in 0..MESSAGES {
        // The next transfer has begun when this message is taken care of.
        let begun = ((message + 1) * LENGTH + BURST).min(MESSAGES * LENGTH);
        while RECEIVER.written.load(Ordering::Acquire) < begun {
            idle();
        }
        let text = read(cx, message, buffers[message as usize % 2])?;
        let newest = push(cx, message, &text, lines.as_ref())?;
        drop(text);
        compact(cx, &newest, &mut seen);
        lines = Some(newest);
    }
    stop();
    assert_eq!(lines.map(|lines| verify(cx, &lines).0), Some(KEPT));
    let shared = critical_section::with(|cs| RECEIVER.buffers.borrow(cs).get());
    assert_eq!(shared.map(|buffer| buffer.as_ptr()), addresses, "what is pinned stays");
    Ok(seen)
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    let mut arena = Arena::new(&HEAP).expect("there is room for an arena");
    let seen = arena.enter(run).expect("there is room for the lines");
    println!(
        "{NAME}: {MESSAGES} messages; {} compactions in the middle of a transfer, {} that moved what was received",
        seen.amid, seen.moved
    );
    println!("{}", arena.stats());
    assert!(seen.amid > 0 && seen.moved > MESSAGES / 10);
    assert_eq!(arena.stats().handles, 2, "the buffers are there for good");
    HEAP.check().expect("the heap is sound");
}
