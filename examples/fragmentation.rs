//! Fragmentation, and what compaction makes of it: the same load on the native heap and on an arena, in 64 KiB.
//!
//! The memory is filled with blocks of mixed sizes, nine of ten are dropped at random, and then large blocks are asked for.
//! On the native heap what is left stays where it is, so most of the memory is free and none of it is large enough. In an arena
//! it moves together. Pinned objects stay where they are: a little is lost for each.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::NonNull;

use heapless::Vec;
use terrace::{Arena, CriticalSectionHeap, Cx, OutOfMemory, Pinned, Root, Slot};
use terrace_board::{NAME, println};

/// The region, the same on all boards.
const REGION: usize = 64 << 10;
/// More than there are blocks.
const MOST: usize = 240;
/// No object's number.
const NONE: usize = MOST;
/// Cells of a map.
const CELLS: usize = 256;

/// The heap, which nobody else uses: not even the standard library of a host.
static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
static mut MEMORY: [u64; REGION / 8] = [0; REGION / 8];

/// Sizes, and what is dropped: the same series for everyone.
struct Load(u32);

impl Load {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) % end
    }

    fn bytes(&mut self) -> usize {
        16 + self.below(497) as usize
    }

    fn keeps(&mut self) -> bool {
        self.below(10) == 0
    }
}

/// A native block.
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

impl Block {
    fn new(bytes: usize) -> Option<Block> {
        let layout = Layout::from_size_align(bytes, 8).ok().filter(|_| bytes != 0)?;
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { HEAP.alloc(layout) })?;
        Some(Block { start, layout })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the heap handed the block out with this layout, and this value alone has it.
        unsafe { HEAP.dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// How much of the free memory can be had in blocks of 4 and of 16 KiB, in percent.
#[derive(Clone, Copy)]
struct Usable {
    free: usize,
    small: usize,
    large: usize,
}

impl Usable {
    /// Tries it out.
    fn of(free: usize) -> Usable {
        let percent = |bytes: usize| {
            let blocks: Vec<Block, { REGION >> 12 }> = core::iter::from_fn(|| Block::new(bytes)).collect();
            blocks.len() * bytes * 100 / free
        };
        Usable {
            free,
            small: percent(4 << 10),
            large: percent(16 << 10),
        }
    }

    fn print(&self, who: &str) {
        let Usable { free, small, large } = self;
        println!("  {who:<26}{free:>8} B {small:>8} % {large:>8} %");
    }
}

/// Where objects lie, drawn as the heap draws its map.
struct Picture([usize; CELLS]);

impl Picture {
    const CELL: usize = REGION / CELLS;

    fn new() -> Picture {
        Picture([0; CELLS])
    }

    fn add(&mut self, object: &[u8]) {
        let start = object.as_ptr() as usize - (&raw const MEMORY) as usize;
        (start..start + object.len()).for_each(|byte| self.0[byte / Picture::CELL] += 1);
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.0.chunks(64).enumerate() {
            write!(f, "{:>8} |", at * 64 * Picture::CELL)?;
            for used in line {
                let tenths = b'0' + (used * 10 / Picture::CELL).clamp(1, 9) as u8;
                let cell = if *used == 0 { '.' } else { tenths as char };
                write!(f, "{cell}")?;
            }
            writeln!(f, "|")?;
        }
        Ok(())
    }
}

/// The load on the native heap.
fn native() -> Usable {
    let mut load = Load(1);
    let mut blocks: Vec<Block, MOST> = core::iter::from_fn(|| Block::new(load.bytes())).collect();
    let count = blocks.len();
    blocks.retain(|_| load.keeps());
    HEAP.trim();
    println!(
        "\n  native heap: {} of {count} blocks are left\n{}",
        blocks.len(),
        HEAP.map::<CELLS>()
    );
    Usable::of(HEAP.stats().free)
}

/// The table of the objects.
type Objects = Root<[Slot<'static, [u8]>]>;
/// And which of them is pinned.
type Filled = (Objects, Option<Pinned<[u8]>>);

/// The byte at `index` of object `number`.
fn content(number: usize, index: usize) -> u8 {
    (number * 31 + index) as u8
}

/// Fills the arena, and pins object `pinned`. The slots of a table keep the objects.
fn fill(cx: &mut Cx, load: &mut Load, pinned: usize) -> Result<Filled, OutOfMemory> {
    let objects: Objects = cx.new_slice::<Slot<[u8]>>(MOST, |_, _| Slot::null())?;
    let mut pin = None;
    for number in 0..MOST {
        let Ok(object) = cx.new_slice::<u8>(load.bytes(), |_, index| content(number, index)) else {
            break;
        };
        objects.get(cx)[number].set(cx, Some(object.get(cx)));
        if number == pinned {
            pin = Some(cx.pin(object.get(cx))?);
        }
    }
    Ok((objects, pin))
}

/// How many objects there are; each is as it was made, and drawn.
fn verify(cx: &Cx, objects: &Objects, picture: &mut Picture) -> usize {
    let slots = objects.get(cx).get();
    let objects = slots.iter().enumerate();
    let found = objects.filter_map(|(number, slot)| Some((number, slot.get(cx)?)));
    found
        .inspect(|(number, object)| {
            picture.add(object);
            let bytes = object.iter().enumerate();
            assert!(
                { bytes }.all(|(index, byte)| *byte == content(*number, index)),
                "an object is whole"
            );
        })
        .count()
}

/// The load on an arena, in which object `pinned` is.
fn managed(pinned: usize) -> Result<Usable, OutOfMemory> {
    let mut arena = Arena::new(&HEAP).expect("there is room for an arena");
    arena.enter(|cx| {
        let mut load = Load(1);
        let (objects, pin) = fill(cx, &mut load, pinned)?;
        let count = verify(cx, &objects, &mut Picture::new());
        let slots = objects.get(cx).get().iter().enumerate();
        slots
            .filter(|(number, _)| !load.keeps() && *number != pinned)
            .for_each(|(_, slot)| slot.set(cx, None));

        let address = pin.as_ref().map(|pin| pin.as_ptr());
        let mut picture = Picture::new();
        let left = verify(cx, &objects, &mut picture);
        let is_pinned = if pin.is_some() { ", one is pinned" } else { "" };
        println!("\n  arena: {left} of {count} objects are left{is_pinned}\n{picture}");
        cx.compact();
        println!("  the heap after compaction\n{}", HEAP.map::<CELLS>());
        assert_eq!(verify(cx, &objects, &mut Picture::new()), left, "nothing is lost");
        assert_eq!(pin.as_ref().map(|pin| pin.as_ptr()), address, "what is pinned stays");

        let stats = cx.stats();
        let usable = Usable::of(HEAP.stats().free + stats.held - stats.live);
        // It goes on: what the native heap has just had and given back, the arena can have.
        let large = cx.new_slice::<u8>(16 << 10, |_, index| content(0, index))?;
        assert_eq!(large.get(cx)[100], content(0, 100));
        assert_eq!(verify(cx, &objects, &mut Picture::new()), left);
        Ok(usable)
    })
}

/// Everything is the heap's again, in one piece.
fn empty() {
    HEAP.trim();
    let stats = HEAP.stats();
    assert_eq!((stats.used, stats.largest_free), (0, stats.capacity));
}

terrace_board::entry!(main);

fn main() {
    // SAFETY: the static is the heap's alone, which is claimed once; its address is all that is used besides.
    unsafe { HEAP.claim_zeroed((&raw mut MEMORY).cast(), REGION) }.expect("the heap is claimed once");
    println!("  fragmentation on {NAME}, in {} bytes", HEAP.stats().capacity);

    let native = native();
    empty();
    let arena = managed(NONE).expect("the arena goes on");
    empty();
    let pinned = managed(100).expect("the arena goes on beside the pinned object");
    empty();
    HEAP.check().expect("the heap is sound");

    println!("\n  what can be had of the memory that is free    4 KiB     16 KiB");
    native.print("native heap");
    arena.print("arena");
    pinned.print("arena, one in 100 pinned");
    assert!(
        native.free * 4 > REGION * 3 && native.large == 0,
        "the native heap fails with most of it free"
    );
    assert!(
        arena.small >= 90 && arena.large >= 90,
        "compaction makes one piece of it"
    );
    assert!(
        pinned.small >= 80 && pinned.large >= 50,
        "little is lost for the pinned object"
    );
}
