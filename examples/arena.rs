//! Objects that refer to each other as they like, in the memory of the heap: made, linked, moved, pinned and collected.
//!
//! A shop keeps orders in a tree that is rebuilt again and again: far more is allocated than there is memory, and what lives
//! moves together, so that the rest is in one piece for everyone.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

use core::cell::Cell;

use terrace::{Arena, CriticalSectionHeap, Cx, Gc, Generation, OutOfMemory, Pinned, Plain, Root, Slot, Trace, Weak};
use terrace_board::{NAME, REGION_BYTES, println};

static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// How often the orders are replaced.
const ROUNDS: u32 = 60;
/// Orders at a time.
const ORDERS: u32 = 40;

/// An order, in a tree by number.
#[derive(Trace)]
struct Order<'g> {
    number: u32,
    item: Slot<'g, str>,
    lower: Slot<'g, Order<'g>>,
    higher: Slot<'g, Order<'g>>,
}

/// Puts an order into the tree. All references live within the window `'g`, so nothing moves meanwhile.
fn insert<'g>(cx: &'g Cx, tree: Gc<'g, Order<'g>>, order: Gc<'g, Order<'g>>) {
    let mut at = tree;
    loop {
        let side = if order.number < at.number {
            &at.lower
        } else {
            &at.higher
        };
        match side.get(cx) {
            Some(next) => at = next,
            None => return side.set(cx, Some(order)),
        }
    }
}

/// Orders in the tree, and the sum of their numbers.
fn count<'g>(cx: &'g Cx, tree: Option<Gc<'g, Order<'g>>>) -> (u32, u32) {
    let Some(tree) = tree else { return (0, 0) };
    let (lower, higher) = (count(cx, tree.lower.get(cx)), count(cx, tree.higher.get(cx)));
    (lower.0 + higher.0 + 1, lower.1 + higher.1 + tree.number)
}

/// An order for an item. Each allocation is a safe point, at which anything may move: what must live meanwhile is held by
/// handles, `Root`s.
fn order(cx: &mut Cx, number: u32, item: &Root<str>) -> Result<Root<Order<'static>>, OutOfMemory> {
    cx.new::<Order>(|g| Order {
        number,
        item: Slot::new(g, item.get(g)),
        lower: Slot::null(),
        higher: Slot::null(),
    })
}

/// Builds a tree of orders and drops the one before it, which nobody frees.
fn rounds(cx: &mut Cx) -> Result<Root<Order<'static>>, OutOfMemory> {
    let item = cx.new_str("a reel of copper wire")?;
    let mut tree = order(cx, ORDERS / 2, &item)?;
    for round in 0..ROUNDS {
        tree = order(cx, ORDERS / 2, &item)?;
        for i in 1..ORDERS {
            let number = (i * 17 + round) % ORDERS;
            let next = order(cx, number, &item)?;
            insert(cx, tree.get(cx), next.get(cx));
        }
        let (orders, sum) = count(cx, Some(tree.get(cx)));
        assert_eq!(orders, ORDERS);
        assert!(sum > 0);
    }
    Ok(tree)
}

/// A buffer that stays where it is while everything else moves: for a DMA controller, or an interrupt.
fn pinned(cx: &mut Cx) -> Result<Pinned<[Cell<u8>]>, OutOfMemory> {
    let buffer = cx.new_slice::<Cell<u8>>(64, |_, index| Cell::new(index as u8))?;
    cx.pin(buffer.get(cx))
}

fn tour(cx: &mut Cx) -> Result<(), OutOfMemory> {
    let tree = rounds(cx)?;
    let buffer = pinned(cx)?;
    let address = buffer.as_ptr();

    // A weak handle does not keep its object.
    let lowest: Weak<Order> = {
        let mut at = tree.get(cx);
        while let Some(lower) = at.lower.get(cx) {
            at = lower;
        }
        cx.weak::<Order>(at)?
    };
    assert_eq!(lowest.get(cx).map(|order| order.number), Some(0));

    // Nothing is lost when everything moves, and what is pinned stays.
    cx.compact();
    assert_eq!(count(cx, Some(tree.get(cx))).0, ORDERS);
    assert_eq!(tree.get(cx).item.get(cx).as_deref(), Some("a reel of copper wire"));
    assert_eq!(buffer.as_ptr(), address);
    buffer[0].set(7);

    drop(tree);
    cx.collect(Generation::Old);
    assert!(lowest.get(cx).is_none());
    assert_eq!(buffer[0].get(), 7);
    Ok(())
}

/// Destructors run from `poll`, where user code belongs, and not in a collection.
fn destructors(cx: &mut Cx) -> Result<(), OutOfMemory> {
    static DROPPED: critical_section::Mutex<Cell<u32>> = critical_section::Mutex::new(Cell::new(0));

    /// Counts its drops.
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            critical_section::with(|cs| DROPPED.borrow(cs).set(DROPPED.borrow(cs).get() + 1));
        }
    }
    for _ in 0..10 {
        cx.new::<Plain<Counted>>(|_| Plain(Counted))?;
    }
    cx.collect(Generation::Young);
    let dropped = || critical_section::with(|cs| DROPPED.borrow(cs).get());
    assert_eq!(dropped(), 0);
    assert_eq!((cx.poll(), dropped()), (10, 10));
    Ok(())
}

/// Asks for more than there is: an error, and all is as before.
fn exhaustion(cx: &mut Cx) -> Result<(), OutOfMemory> {
    let item = cx.new_str("a crate of valves")?;
    let mut last = order(cx, 0, &item)?;
    let mut made = 1;
    let error = loop {
        let next = cx.new::<Order>(|g| Order {
            number: made,
            item: Slot::null(),
            lower: Slot::new(g, last.get(g)),
            higher: Slot::null(),
        });
        match next {
            Ok(next) => last = next,
            Err(error) => break error,
        }
        made += 1;
    };
    println!(
        "{error}, after {made} orders that live; {} % of the heap in use",
        HEAP.load().percent()
    );
    assert_eq!(last.get(cx).number, made - 1);
    Ok(())
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, REGION_BYTES).expect("the heap is claimed once");
    let before = HEAP.stats().used;
    let mut arena = Arena::new(&HEAP).expect("there is room for an arena");
    arena.enter(|cx| {
        tour(cx).expect("there is room for the tour");
        destructors(cx).expect("there is room for a few");
        exhaustion(cx).expect("there is room for one");
        cx.compact();
        cx.poll();
    });
    println!("{NAME}: {}", arena.stats());
    assert!(
        arena.stats().collections.iter().sum::<u32>() > 3,
        "more was allocated than there is"
    );
    drop(arena);
    assert_eq!(HEAP.stats().used, before, "everything is the heap's again");
    HEAP.check().expect("the heap is sound");
}
