//! Hash maps in an arena, beside those of the standard library.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use support::{Random, heap_for_good as heap};
use terrace::*;

/// Objects to be keys, by number, and what keeps them.
type Pool<A> = Vec<Root<u32, A>>;

/// A key of the program's own: by value, by text or by identity.
#[derive(Trace)]
#[trace(element)]
enum Mixed<'g, A: Brand> {
    Number(u32),
    Text(Text<'g, A>),
    Object(Slot<'g, u32, A>),
}

impl<'g, A: Brand> Key<'g, A> for Mixed<'g, A> {
    const MOVES: bool = true;

    fn hash(&self, cx: &'g Cx<A>) -> u32 {
        match self {
            Mixed::Number(number) => Key::<A>::hash(number, cx),
            Mixed::Text(text) => Key::hash(text, cx),
            Mixed::Object(object) => Key::hash(object, cx),
        }
    }

    fn is_equal(&self, other: &Self, cx: &'g Cx<A>) -> bool {
        match (self, other) {
            (Mixed::Number(number), Mixed::Number(other)) => number == other,
            (Mixed::Text(text), Mixed::Text(other)) => text.is_equal(other, cx),
            (Mixed::Object(object), Mixed::Object(other)) => object.is_equal(other, cx),
            _ => false,
        }
    }
}

const KEYS: usize = 150;

/// A test with keys of one type, which are known by a number.
macro_rules! agrees {
    ($test:ident, $window:lifetime, $Key:ty, |$cx:ident, $pool:ident, $number:ident| $key:expr) => {
        #[test]
        fn $test() {
            brand!(Here);

            type Map<$window> = GcMap<$window, $Key, Slot<$window, u32, Here>, Here>;

            fn key<$window>($cx: &$window Cx<Here>, $pool: &Pool<Here>, $number: u32) -> Option<$Key> {
                $key
            }

            struct Model {
                random: Random,
                pool: Pool<Here>,
                map: Root<Map<'static>, Here>,
                known: HashMap<u32, u32>,
            }

            impl Model {
                /// Changes the map in a window.
                fn change(&mut self, cx: &Cx<Here>) {
                    let (map, number) = (self.map.get(cx).get(), self.random.below(KEYS) as u32);
                    let Some(key) = key(cx, &self.pool, number) else { return };
                    match self.random.below(8) {
                        0..=3 => {
                            let Ok(value) = cx.try_new(self.random.next() as u32) else { return };
                            match map.try_insert(cx, key, Slot::new(cx, value)) {
                                Ok(old) => {
                                    let old = old.map(|old| *old.get(cx).unwrap());
                                    assert_eq!(old, self.known.insert(number, *value));
                                }
                                Err(full) => {
                                    let (key, slot) = full.value;
                                    self.check(cx, &key, number);
                                    assert!(slot.get(cx).unwrap().is(value), "the value comes back");
                                }
                            }
                        }
                        4..=6 => {
                            let removed = map.remove(cx, &key).map(|value| *value.get(cx).unwrap());
                            assert_eq!(removed, self.known.remove(&number));
                        }
                        _ if self.random.one_in(100) => {
                            map.clear(cx);
                            self.known.clear();
                        }
                        _ => self.check(cx, &key, number),
                    }
                }

                /// Adds an entry at a safe point.
                fn insert(&mut self, cx: &mut Cx<Here>) {
                    let (number, value) = (self.random.below(KEYS) as u32, self.random.next() as u32);
                    if self.map.reserve(cx, 1).is_err() {
                        return;
                    }
                    let (Some(key), Ok(object)) = (key(cx, &self.pool, number), cx.try_new(value)) else {
                        return;
                    };
                    let result = self.map.get(cx).try_insert(cx, key, Slot::new(cx, object));
                    assert!(result.is_ok(), "there is room");
                    self.known.insert(number, value);
                }

                fn check<$window>(&self, cx: &$window Cx<Here>, key: &$Key, number: u32) {
                    let map = self.map.get(cx).get();
                    let found = map.get(cx, key).map(|value| *value.get(cx).unwrap());
                    assert_eq!(found, self.known.get(&number).copied());
                    assert_eq!(map.contains(cx, key), found.is_some());
                }

                fn check_all(&self, cx: &Cx<Here>) {
                    let map = self.map.get(cx).get();
                    assert_eq!(map.len(cx), self.known.len());
                    let values = map.iter(cx).map(|(_, value)| *value.get(cx).unwrap());
                    let (mut values, mut known): (Vec<u32>, Vec<u32>) =
                        (values.collect(), self.known.values().copied().collect());
                    values.sort_unstable();
                    known.sort_unstable();
                    assert_eq!(values, known);
                    for number in 0..KEYS as u32 {
                        let Some(key) = key(cx, &self.pool, number) else { return };
                        self.check(cx, &key, number);
                    }
                }
            }

            for seed in 0..support::scaled(24) as u64 {
                println!("seed {seed}");
                let heap = heap([20, 40, 200][seed as usize % 3] << 10);
                let mut arena = Arena::<Here>::branded(heap).unwrap();
                arena.enter(|cx| {
                    let number = |number: usize| cx.new::<u32>(|_| number as u32).unwrap();
                    let pool = (0..KEYS).map(number).collect();
                    let map = cx.new::<Map>(|_| GcMap::new()).unwrap();
                    let (random, known) = (Random::new(seed), HashMap::new());
                    let mut model = Model { random, pool, map, known };
                    cx.set_stress(seed.is_multiple_of(2));
                    for _ in 0..support::scaled(3000).max(150) {
                        match model.random.below(40) {
                            0 => model.check_all(cx),
                            1 => cx.collect([Generation::Young, Generation::Middle, Generation::Old][seed as usize % 3]),
                            2..=4 => cx.compact(),
                            5..=12 => model.insert(cx),
                            _ => model.change(cx),
                        }
                    }
                    model.check_all(cx);
                });
                drop(arena);
                heap.check().unwrap();
            }
        }
    };
}

agrees!(c20_maps_by_value_agree_with_those_of_the_standard_library, 'g, u32, |_cx, _pool, number| Some(number));

agrees!(c20_maps_by_text_agree_with_those_of_the_standard_library, 'g, Text<'g, Here>, |cx, _pool, number| {
    text(cx, number)
});

agrees!(c20_maps_by_identity_find_what_has_moved, 'g, Slot<'g, u32, Here>, |cx, pool, number| {
    Some(Slot::new(cx, pool[number as usize].get(cx)))
});

agrees!(c20_maps_by_keys_of_all_kinds_agree_with_those_of_the_standard_library, 'g, Mixed<'g, Here>, |cx, pool, number| {
    Some(match number % 3 {
        0 => Mixed::Number(number),
        1 => Mixed::Text(text(cx, number)?),
        _ => Mixed::Object(Slot::new(cx, pool[number as usize].get(cx))),
    })
});

fn text<'g, A: Brand>(cx: &'g Cx<A>, number: u32) -> Option<Text<'g, A>> {
    Some(Text::new(cx, cx.try_str(&format!("key {number}")).ok()?))
}

#[test]
fn c20_maps_are_looked_up_by_texts_and_objects() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(32 << 10)).unwrap();
    arena.enter(|cx| {
        let texts = cx.new::<GcMap<Text<Here>, u32, Here>>(|_| GcMap::new()).unwrap();
        let objects = cx.new::<GcMap<Slot<str, Here>, u32, Here>>(|_| GcMap::new()).unwrap();
        let one = cx.new_str("one").unwrap();
        let same = cx.new_str("one").unwrap();
        texts.insert(cx, |g| (Text::new(g, one.get(g)), 1)).unwrap();
        objects.insert(cx, |g| (Slot::new(g, one.get(g)), 1)).unwrap();
        cx.compact();
        assert_eq!(texts.get(cx).get().get(cx, "one"), Some(1));
        assert_eq!(texts.get(cx).get().get(cx, "two"), None);
        assert_eq!(texts.get(cx).get().get(cx, &Text::new(cx, same.get(cx))), Some(1));
        assert_eq!(objects.get(cx).get().get(cx, &one.get(cx)), Some(1));
        assert_eq!(objects.get(cx).get().get(cx, &same.get(cx)), None);
        assert_eq!(objects.get(cx).get().remove(cx, &one.get(cx)), Some(1));
        assert!(objects.get(cx).get().is_empty(cx));
    });
}

#[test]
fn c20_maps_at_safe_points_survive_the_end_of_memory() {
    brand!(Here);
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let map = cx.new::<GcMap<u32, u32, Here>>(|_| GcMap::new()).unwrap();
        let mut count = 0;
        while map.insert(cx, |_| (count, !count)).is_ok() {
            count += 1;
        }
        assert!(count > 1000, "{count}");
        assert_eq!(map.reserve(cx, usize::MAX).unwrap_err().requested, usize::MAX);
        for number in 0..count {
            assert_eq!(map.get(cx).get().get(cx, &number), Some(!number));
        }
        for number in 0..count {
            assert_eq!(map.get(cx).get().remove(cx, &number), Some(!number));
        }
        assert!(map.get(cx).get().is_empty(cx));
        assert_eq!(map.get(cx).get().iter(cx).count(), 0);
        // In a window, after a reserve of what it takes.
        map.get(cx).get().clear(cx);
        for number in 0..300 {
            while cx.try_str("garbage").is_ok() {}
            let bytes = map.get(cx).get().growth(cx, 1);
            cx.reserve(bytes).unwrap();
            map.get(cx).get().try_insert(cx, number, number).unwrap();
        }
        assert_eq!(map.get(cx).len(cx), 300);
    });
}

mod evil {
    //! Keys whose own code changes the map that they are in.

    use super::*;

    brand!(pub Here);

    pub type Map = GcMap<'static, Evil, Slot<'static, u32, Here>, Here>;

    thread_local! {
        pub static MAP: RefCell<Option<Root<Map, Here>>> = const { RefCell::new(None) };
        pub static RANDOM: RefCell<Random> = RefCell::new(Random::new(7));
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }

    #[derive(Trace, Clone, Copy)]
    #[trace(element)]
    pub struct Evil(pub u32);

    fn meddle(cx: &Cx<Here>) {
        if DEPTH.get() > 2 {
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        let (what, number) = RANDOM.with_borrow_mut(|random| (random.below(30), random.below(100) as u32));
        MAP.with_borrow(|map| {
            let map = map.as_ref().unwrap().get(cx).get();
            match what {
                0 => map.clear(cx),
                1 => drop(map.remove(cx, &Evil(number))),
                2..=4 => {
                    if let Ok(value) = cx.try_new(number) {
                        let _ = map.try_insert(cx, Evil(number), Slot::new(cx, value));
                    }
                }
                _ => {}
            }
        });
        DEPTH.set(DEPTH.get() - 1);
    }

    impl<'g> Key<'g, Here> for Evil {
        const MOVES: bool = true;

        fn hash(&self, cx: &'g Cx<Here>) -> u32 {
            meddle(cx);
            RANDOM.with_borrow_mut(|random| if random.one_in(4) { random.next() as u32 } else { self.0 })
        }

        fn is_equal(&self, other: &Self, cx: &'g Cx<Here>) -> bool {
            meddle(cx);
            self.0 == other.0
        }
    }
}

#[test]
fn e5_keys_that_lie_and_meddle_do_no_harm() {
    use evil::{Evil, Here, MAP};
    let heap = heap(64 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let map = cx.new::<evil::Map>(|_| GcMap::new()).unwrap();
        MAP.set(Some(map));
        for number in 0..support::scaled(20_000).max(500) as u32 {
            let root = |cx: &Cx<Here>| MAP.with_borrow(|map| cx.root(map.as_ref().unwrap().get(cx)).unwrap());
            let map: Root<evil::Map, Here> = root(cx);
            let Ok(value) = cx.try_new(number % 100) else {
                cx.compact();
                continue;
            };
            let _ = map
                .get(cx)
                .get()
                .try_insert(cx, Evil(number % 100), Slot::new(cx, value));
            let _ = map.get(cx).get().remove(cx, &Evil(number % 37));
            for (_, value) in map.get(cx).get().iter(cx) {
                assert!(*value.get(cx).unwrap() < 100);
            }
            if number % 50 == 0 {
                cx.compact();
            }
        }
        MAP.set(None);
    });
    drop(arena);
    heap.check().unwrap();
}

#[test]
fn c20_identities_of_large_objects_are_found_after_they_have_moved() {
    brand!(Here);
    let heap = heap(256 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let map = cx.new::<GcMap<Slot<[u64], Here>, u32, Here>>(|_| GcMap::new()).unwrap();
        let objects: Vec<_> = (0..8).map(|_| cx.new_slice::<u64>(2000, |_, _| 0).unwrap()).collect();
        for (number, object) in objects.iter().enumerate() {
            map.insert(cx, |g| (Slot::new(g, object.get(g)), number as u32))
                .unwrap();
        }
        cx.compact();
        let before = cx.stats().moved;
        let kept = objects.into_iter().enumerate().skip(3).step_by(2).collect::<Vec<_>>();
        for number in [0, 1, 2, 4, 6] {
            let all: Vec<_> = map.get(cx).get().iter(cx).collect();
            let (slot, _) = all.into_iter().find(|(_, value)| *value == number).unwrap();
            let found = slot.get(cx).unwrap();
            assert_eq!(map.get(cx).get().remove(cx, &found), Some(number));
        }
        cx.compact();
        assert!(cx.stats().moved > before, "large objects slide");
        for (number, object) in &kept {
            assert_eq!(map.get(cx).get().get(cx, &object.get(cx)), Some(*number as u32));
        }
    });
}
