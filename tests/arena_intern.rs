//! Interned strings and symbols.

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;

use support::{Random, heap_for_good as heap};
use terrace::*;

#[test]
fn c20_there_is_one_string_of_each_text() {
    brand!(Here);
    for seed in 0..support::scaled(20) as u64 {
        println!("seed {seed}");
        let heap = heap([24, 64, 300][seed as usize % 3] << 10);
        let before = heap.load().used;
        let mut arena = Arena::<Here>::branded(heap).unwrap();
        arena.enter(|cx| {
            cx.set_stress(seed.is_multiple_of(2));
            let mut random = Random::new(seed);
            let mut roots: HashMap<String, Root<str, Here>> = HashMap::new();
            let mut symbols: HashMap<String, Symbol<Here>> = HashMap::new();
            for _ in 0..support::scaled(3000).max(200) {
                let text = format!("{:.*}", random.below(30), random.below(400) as f64 / 7.0);
                match random.below(10) {
                    0..=4 => {
                        let Ok(root) = cx.intern(&text) else {
                            roots.clear();
                            continue;
                        };
                        assert_eq!(&*root.get(cx), text);
                        if let Some(known) = roots.get(&text) {
                            assert!(known.get(cx).is(root.get(cx)));
                        } else if random.one_in(2) {
                            roots.insert(text, root);
                        }
                    }
                    5 if symbols.len() < 60 => {
                        let Ok(symbol) = cx.symbol(&text) else { continue };
                        assert_eq!(*symbols.entry(text).or_insert(symbol), symbol);
                    }
                    6 => {
                        let Ok(one) = cx.try_intern(&text) else { continue };
                        assert!(one.is(cx.try_intern(&text).unwrap()));
                        let other = cx.try_str(&text);
                        assert!(other.is_ok_and(|other| !other.is(one)) || other.is_err());
                    }
                    7 => drop(roots.remove(&text)),
                    8 => cx.collect([Generation::Young, Generation::Middle, Generation::Old][random.below(3)]),
                    _ => cx.compact(),
                }
            }
            for (text, root) in &roots {
                assert_eq!(&*root.get(cx), text.as_str());
                assert!(cx.try_intern(text).unwrap().is(root.get(cx)));
            }
            for (text, symbol) in &symbols {
                assert_eq!(
                    (symbol.text(cx), cx.try_symbol(text).unwrap()),
                    (text.as_str(), *symbol)
                );
                assert!(cx.try_intern(text).unwrap().is(symbol.get(cx)));
            }
            assert_eq!(
                cx.stats().handles,
                roots.len(),
                "those of interned strings are not counted"
            );
        });
        drop(arena);
        assert_eq!(heap.load().used, before, "interned strings do not keep the arena");
        heap.check().unwrap();
    }
}

#[test]
fn c20_interned_strings_go_and_symbols_stay() {
    brand!(Here);
    let heap = heap(32 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let kept = cx.symbol("kept").unwrap();
        let weak = cx.weak::<str>(kept.get(cx)).unwrap();
        cx.intern("at first weak").unwrap();
        let later = cx.symbol("at first weak").unwrap();
        let bookkeeping = cx.stats().bookkeeping;
        // Far more than there is memory for.
        for number in 0..support::scaled(20_000).max(2000) {
            cx.intern(&format!("text number {number}")).unwrap();
        }
        cx.compact();
        assert!(weak.get(cx).unwrap().is(kept.get(cx)));
        assert_eq!((kept.text(cx), later.text(cx)), ("kept", "at first weak"));
        assert!(cx.stats().bookkeeping < bookkeeping + (8 << 10), "{}", cx.stats());
    });
}

#[test]
fn c20_a_string_that_a_finaliser_will_find_is_still_the_one() {
    brand!(Here);
    #[derive(Trace)]
    struct Holder<'g> {
        name: Slot<'g, str, Here>,
    }
    thread_local!(static FOUND: std::cell::RefCell<Option<Root<Holder<'static>, Here>>> = const { std::cell::RefCell::new(None) });
    impl Finalize<Here> for Holder<'static> {
        fn finalize(holder: Root<Self, Here>, _: &mut Cx<Here>) {
            FOUND.set(Some(holder));
        }
    }
    let mut arena = Arena::<Here>::branded(heap(32 << 10)).unwrap();
    arena.enter(|cx| {
        let name = cx.intern("name").unwrap();
        cx.new_finalizable::<Holder<'static>>(|g| Holder {
            name: Slot::new(g, name.get(g)),
        })
        .unwrap();
        drop(name);
        cx.collect(Generation::Old);
        let again = cx.intern("name").unwrap();
        cx.poll();
        let holder = FOUND.take().unwrap();
        let found = holder.get(cx).name.get(cx).unwrap();
        assert!(found.is(again.get(cx)));
    });
}

#[test]
fn c20_without_memory_there_is_an_error_and_everything_stays() {
    brand!(Here);
    let heap = heap(32 << 10);
    let mut arena = Arena::<Here>::branded(heap).unwrap();
    arena.enter(|cx| {
        let symbol = cx.symbol("first").unwrap();
        let mut texts = vec!["first".to_owned()];
        let mut failures = 0;
        for round in 0..40 {
            let layout = Layout::new::<[u64; 8]>();
            let mut blocks = Vec::new();
            loop {
                // SAFETY: the layout's size is not 0.
                let block = unsafe { heap.alloc(layout) };
                if block.is_null() {
                    break;
                }
                blocks.push(block);
            }
            for number in 0..100 {
                let text = format!("{round} and {number}");
                match cx.symbol(&text) {
                    Ok(_) => texts.push(text),
                    Err(error) => {
                        assert!(error.requested > 0);
                        failures += 1;
                        break;
                    }
                }
            }
            for block in blocks {
                // SAFETY: it is this heap's, of this layout.
                unsafe { heap.dealloc(block, layout) };
            }
        }
        assert!(failures > 0);
        assert_eq!(cx.symbol("first"), Ok(symbol));
        for text in &texts {
            assert_eq!(cx.try_symbol(text).unwrap().text(cx), text);
        }
    });
}

#[test]
fn c20_a_symbol_of_another_time_is_found_out_or_means_another_text() {
    brand!(Here);
    let mut arena = Arena::<Here>::branded(heap(32 << 10)).unwrap();
    let symbol = arena.enter(|cx| cx.symbol("before")).unwrap();
    drop(arena);
    let mut arena = Arena::<Here>::branded(heap(32 << 10)).unwrap();
    arena.enter(|cx| {
        let root = cx.new::<u32>(|_| 1).unwrap();
        let text = std::panic::AssertUnwindSafe(|| symbol.text(cx).len());
        assert!(std::panic::catch_unwind(text).is_err(), "a handle, but of a number");
        drop(root);
        let other = cx.symbol("after").unwrap();
        assert_eq!((other, other.text(cx)), (symbol, "after"));
    });
}
