//! Collections on top of objects, beside those of the standard library.

mod support;

use std::cell::Cell;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use support::{Random, heap_for_good as heap};
use terrace::*;

brand!(Here);

/// Enters an arena in a heap of so many bytes, when the other tests of this brand are done.
fn enter(bytes: usize, work: impl FnOnce(&mut Cx<Here>, &'static LocalHeap)) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let heap = heap(bytes);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| work(cx, heap));
    drop(arena);
    heap.check().unwrap();
}

/// What a small language computes with: elements with and without slots, of a size that is not a power of two.
#[derive(Trace)]
#[trace(element)]
enum Value<'g> {
    Number(u32),
    Text(Slot<'g, str, Here>),
    Pair(Slot<'g, str, Here>, Slot<'g, str, Here>),
}

/// What the model knows of it.
#[derive(Clone, PartialEq, Debug)]
enum Known {
    Number(u32),
    Text(String),
    Pair(String, String),
}

impl<'g> Value<'g> {
    fn known(&self, cx: &'g Cx<Here>) -> Known {
        let text = |slot: &Slot<'g, str, Here>| slot.get(cx).unwrap().to_string();
        match self {
            Value::Number(number) => Known::Number(*number),
            Value::Text(slot) => Known::Text(text(slot)),
            Value::Pair(first, second) => Known::Pair(text(first), text(second)),
        }
    }
}

#[derive(Trace)]
struct Holder<'g> {
    before: Cell<u32>,
    values: GcVec<'g, Value<'g>, Here>,
    text: GcString<'g, Here>,
}

type HolderRoot = Root<Holder<'static>, Here>;

/// A vector and a string in an object, and what should be in them.
struct Model {
    random: Random,
    holder: HolderRoot,
    values: Vec<Known>,
    text: String,
}

impl Model {
    fn value<'g>(&mut self, cx: &'g Cx<Here>) -> Option<(Value<'g>, Known)> {
        let number = self.random.next() as u32;
        let (one, two) = (format!("{number}"), "x".repeat(number as usize % 40));
        let text = |text: &str| Some(Slot::new(cx, cx.try_str(text).ok()?));
        Some(match number % 3 {
            0 => (Value::Number(number), Known::Number(number)),
            1 => (Value::Text(text(&one)?), Known::Text(one)),
            _ => (Value::Pair(text(&one)?, text(&two)?), Known::Pair(one, two)),
        })
    }

    /// Changes the vector in a window.
    fn change<'g>(&mut self, cx: &'g Cx<Here>) {
        let vec = &self.holder.get(cx).get().values;
        let index = self.random.below(self.values.len() + 2);
        let known = |value: Option<Value<'g>>| value.map(|value| value.known(cx));
        match self.random.below(9) {
            0..=3 => {
                let Some((value, known)) = self.value(cx) else { return };
                match vec.try_push(cx, value) {
                    Ok(()) => self.values.push(known),
                    Err(full) => assert_eq!(full.value.known(cx), known, "the element comes back"),
                }
            }
            4 => {
                let Some((value, new)) = self.value(cx) else { return };
                let old = self.values.get_mut(index).map(|old| std::mem::replace(old, new));
                assert_eq!(known(vec.set(cx, index, value)), old);
            }
            5 => assert_eq!(known(vec.pop(cx)), self.values.pop()),
            6 => {
                let removed = (index < self.values.len()).then(|| self.values.swap_remove(index));
                assert_eq!(known(vec.swap_remove(cx, index)), removed);
            }
            7 => {
                let other = self.random.below(self.values.len() + 1);
                let are_there = index.max(other) < self.values.len();
                assert_eq!(vec.swap(cx, index, other), are_there);
                if are_there {
                    self.values.swap(index, other);
                }
            }
            _ if self.random.one_in(10) => {
                vec.truncate(cx, index);
                self.values.truncate(index);
            }
            _ => assert_eq!(known(vec.get(cx, index)), self.values.get(index).cloned()),
        }
    }

    /// Changes the string in a window.
    fn write(&mut self, cx: &Cx<Here>) {
        let text = &self.holder.get(cx).get().text;
        let (before, expected) = (text.as_str(cx), self.text.clone());
        let number = self.random.next() as u32;
        match self.random.below(8) {
            0..=2 if write!(text.writer(cx), "{number} äöü").is_ok() => write!(self.text, "{number} äöü").unwrap(),
            3..=4 if text.try_push(cx, 'ß').is_ok() => self.text.push('ß'),
            5 => assert_eq!(text.pop(cx), self.text.pop()),
            6 => {
                let len = self.random.below(self.text.len() + 3);
                let is_boundary = self.text.is_char_boundary(len);
                assert_eq!(text.truncate(cx, len), is_boundary);
                if is_boundary {
                    self.text.truncate(len);
                }
            }
            7 if self.random.one_in(10) => {
                text.clear(cx);
                self.text.clear();
            }
            _ => self.text = text.as_str(cx).to_owned(), // some of what was to be written may be there
        }
        assert_eq!(before, expected, "what was lent stays");
        assert_eq!(text.as_str(cx), self.text);
    }

    fn check(&self, cx: &Cx<Here>) {
        let holder = self.holder.get(cx);
        assert_eq!(holder.before.get(), 7);
        let values: Vec<Known> = holder.values.iter(cx).map(|value| value.known(cx)).collect();
        assert_eq!(values, self.values);
        assert_eq!(holder.text.as_str(cx), self.text);
    }
}

fn run(seed: u64, bytes: usize, steps: usize) {
    enter(bytes, |cx, _| {
        cx.set_stress(seed.is_multiple_of(2));
        let holder = cx.new::<Holder>(|_| Holder {
            before: Cell::new(7),
            values: GcVec::new(),
            text: GcString::new(),
        });
        let mut model = Model {
            random: Random::new(seed),
            holder: holder.unwrap(),
            values: Vec::new(),
            text: String::new(),
        };
        for _ in 0..steps {
            match model.random.below(20) {
                0 => cx.safe_point(),
                1 => cx.collect([Generation::Young, Generation::Middle, Generation::Old][model.random.below(3)]),
                2 => model.check(cx),
                3..=6 => model.write(cx),
                _ => model.change(cx),
            }
        }
        model.check(cx);
    });
}

#[test]
fn c20_vectors_and_strings_agree_with_those_of_the_standard_library() {
    for seed in 0..support::scaled(40) as u64 {
        println!("seed {seed}");
        run(
            seed,
            [16, 24, 48, 200][seed as usize % 4] << 10,
            support::scaled(4000).max(200),
        );
    }
}

#[test]
fn c20_vectors_at_safe_points_use_all_memory_and_survive_its_end() {
    enter(64 << 10, |cx, heap| {
        let used = heap.stats().used;
        let vec = cx.new::<GcVec<u32, Here>>(|_| GcVec::new()).unwrap();
        let mut count = 0;
        while vec.push(cx, |_| count).is_ok() {
            count += 1;
        }
        // At the end the old and the new buffer exist at once.
        assert!(count as usize * 4 > (heap.load().capacity - used) / 5 * 2, "{count}");
        assert!(vec.get(cx).iter(cx).eq(0..count));
        let error = vec.reserve(cx, usize::MAX).unwrap_err();
        assert_eq!(error.requested, usize::MAX);
        vec.get(cx).clear(cx);
        assert_eq!(vec.get(cx).pop(cx), None);
        vec.extend_from_slice(cx, &[3, 1, 2]).unwrap();
        vec.as_mut_slice(cx).sort_unstable();
        assert!(vec.get(cx).iter(cx).eq(1..=3));
        let line = cx.new::<GcString<Here>>(|_| GcString::new()).unwrap();
        drop(vec);
        let mut bytes = 0;
        while line.push_str(cx, "0123456789").is_ok() {
            bytes += 10;
        }
        assert!(bytes > (heap.load().capacity - used) / 5 * 2, "{bytes}");
        assert_eq!(line.get(cx).as_str(cx), "0123456789".repeat(bytes / 10));
        line.clear(cx);
        let capacity = line.get(cx).capacity(cx);
        line.push_str(cx, "anew").unwrap();
        assert_eq!(line.get(cx).capacity(cx), capacity, "the buffer is used again");
    });
}

#[test]
fn c20_a_reserve_makes_a_push_infallible() {
    enter(32 << 10, |cx, _| {
        let holder = cx
            .new::<Holder>(|_| Holder {
                before: Cell::new(7),
                values: GcVec::new(),
                text: GcString::new(),
            })
            .unwrap();
        for number in 0..400 {
            // Garbage, so that windows find no room by themselves.
            while cx.try_str("garbage").is_ok() {}
            let bytes = holder.get(cx).values.growth(cx, 1);
            cx.reserve(bytes).unwrap();
            holder.get(cx).values.try_push(cx, Value::Number(number)).unwrap();
            while cx.try_str("garbage").is_ok() {}
            let bytes = holder.get(cx).text.growth(cx, 1);
            cx.reserve(bytes).unwrap();
            holder.get(cx).text.try_push(cx, '.').unwrap();
        }
        assert_eq!(holder.get(cx).values.len(cx), 400);
        assert_eq!(holder.get(cx).text.len(cx), 400);
    });
}

#[test]
fn c20_a_vector_grows_where_it_is_while_it_was_allocated_last() {
    enter(64 << 10, |cx, _| {
        let vec = cx.new::<GcVec<u32, Here>>(|_| GcVec::new()).unwrap();
        let vec = vec.get(cx).get();
        vec.try_push(cx, 0).unwrap();
        let first = vec.as_cells(cx).as_ptr();
        (1..200).for_each(|number| vec.try_push(cx, number).unwrap());
        assert_eq!(vec.as_cells(cx).as_ptr(), first, "in place");
        cx.try_new(0u32).unwrap();
        (200..500).for_each(|number| vec.try_push(cx, number).unwrap());
        assert_ne!(vec.as_cells(cx).as_ptr(), first, "something lies behind it");
        vec.as_cells(cx)[499].set(7);
        assert_eq!(vec.last(cx), Some(7));
        assert!(vec.iter(cx).take(499).eq(0..499));
    });
}

#[test]
fn c20_old_buffers_keep_young_elements() {
    enter(64 << 10, |cx, _| {
        type Elements = [Slot<'static, u32, Here>; 150];
        // Elements larger than a brick, so that a store is of several cards.
        let vec = cx.new::<GcVec<Elements, Here>>(|_| GcVec::new()).unwrap();
        for _ in 0..4 {
            vec.push(cx, |_| std::array::from_fn(|_| Slot::null())).unwrap();
        }
        cx.collect(Generation::Young);
        cx.collect(Generation::Middle);
        let numbers = |g, value: u32| {
            let slot = |index| Slot::new(g, Cx::try_new(g, value + index as u32).unwrap());
            std::array::from_fn(slot)
        };
        vec.get(cx).set(cx, 1, numbers(cx, 1000)).unwrap();
        vec.get(cx).pop(cx).unwrap();
        vec.get(cx).try_push(cx, numbers(cx, 3000)).unwrap();
        for generation in [
            Generation::Young,
            Generation::Young,
            Generation::Middle,
            Generation::Old,
        ] {
            cx.collect(generation);
            for (index, first) in [(1, 1000), (3, 3000)] {
                let element = vec.get(cx).get().get(cx, index).unwrap();
                let found = element.iter().map(|slot| *slot.get(cx).unwrap());
                assert!(found.eq(first..first + 150));
            }
        }
    });
}

#[test]
fn c20_elements_without_bytes_are_counted() {
    enter(32 << 10, |cx, _| {
        let vec = cx.new::<GcVec<(), Here>>(|_| GcVec::new()).unwrap();
        (0..1000).for_each(|_| vec.push(cx, |_| ()).unwrap());
        cx.compact();
        assert_eq!(vec.get(cx).iter(cx).count(), 1000);
        let none = cx.new::<GcVec<[Slot<u32, Here>; 0], Here>>(|_| GcVec::new()).unwrap();
        none.push(cx, |_| []).unwrap();
        cx.compact();
        assert!(none.get(cx).pop(cx).is_some() && none.get(cx).pop(cx).is_none());
    });
}

#[test]
fn e5_who_looks_at_references_may_change_what_they_are_in() {
    #[derive(Trace)]
    #[trace(element)]
    enum Pair<'g> {
        Texts(Slot<'g, str, Here>, Slot<'g, str, Here>),
        Numbers(u32, u32),
    }

    enter(32 << 10, |cx, _| {
        let vec = cx.new::<GcVec<Pair, Here>>(|_| GcVec::new()).unwrap();
        for text in ["one", "two", "three"] {
            vec.push(cx, |g| {
                let slot = || Slot::new(g, g.try_str(text).unwrap());
                Pair::Texts(slot(), slot())
            })
            .unwrap();
        }
        cx.collect(Generation::Old);
        let cx = &*cx;
        let buffer = cx
            .walk()
            .find(|object| object.len() > 1 && object.bytes() > 40)
            .unwrap();
        let mut count = 0;
        buffer.references(|text| {
            assert!(text.bytes() <= 24);
            count += 1;
            // Where the other slot of the pair was, there is none any more.
            vec.get(cx).set(cx, (count - 1) / 2, Pair::Numbers(0, 0));
        });
        assert_eq!(count, 6);
        assert!(vec.get(cx).iter(cx).all(|pair| matches!(pair, Pair::Numbers(0, 0))));
    });
}
