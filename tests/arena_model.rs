//! Random programs on an arena, beside a model that knows every object, its contents and what refers to it.

mod support;

use std::cell::Cell;
use std::collections::HashMap;

use support::Random;
use terrace::*;

trait Area {
    fn area(&self) -> u32;
}

#[derive(Trace)]
#[trace(leaf)]
struct Square(u32);

impl Area for Square {
    fn area(&self) -> u32 {
        self.0.wrapping_mul(self.0)
    }
}

/// An object of every kind of slot. `id` is that of the model; the rest is what the model says.
#[derive(Trace)]
struct Item<'g, A: Brand> {
    id: u32,
    value: Cell<u32>,
    left: Slot<'g, Item<'g, A>, A>,
    right: Slot<'g, Item<'g, A>, A>,
    many: Slot<'g, [Slot<'g, Item<'g, A>, A>], A>,
    name: Slot<'g, str, A>,
    shape: DynSlot<'g, dyn Area + 'g, A>,
    part: Interior<'g, Cell<u32>, A>,
    dropped: Option<Plain<Counted>>,
}

/// Counts how many were dropped.
struct Counted(std::rc::Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// What the model knows of an object.
#[derive(Clone, Default)]
struct Known {
    value: u32,
    left: Option<u32>,
    right: Option<u32>,
    many: Vec<Option<u32>>,
    name: Option<String>,
    shape: Option<u32>,
    part: Option<u32>,
}

/// What is pinned, the byte that fills it, and its address.
type Pin<A> = (Pinned<[Cell<u8>], A>, u8, *const Cell<u8>);

struct Model<A: Brand> {
    random: Random,
    known: Vec<Known>,
    roots: Vec<(Root<Item<'static, A>, A>, u32)>,
    weak: Vec<(Weak<Item<'static, A>, A>, u32)>,
    pins: Vec<Pin<A>>,
    made: usize,
    dropped: std::rc::Rc<Cell<usize>>,
}

impl<A: Brand> Model<A> {
    fn item<'g>(&mut self, id: u32) -> Item<'g, A> {
        let counted = self.random.one_in(8).then(|| {
            self.made += 1;
            Plain(Counted(self.dropped.clone()))
        });
        Item {
            id,
            value: Cell::new(id),
            left: Slot::null(),
            right: Slot::null(),
            many: Slot::null(),
            name: Slot::null(),
            shape: DynSlot::null(),
            part: Interior::null(),
            dropped: counted,
        }
    }

    fn pick(&mut self) -> Option<usize> {
        (!self.roots.is_empty()).then(|| self.random.below(self.roots.len()))
    }

    fn make(&mut self, cx: &mut Cx<A>) {
        let id = self.known.len() as u32;
        let item = self.item(id);
        let item = Cell::new(Some(item));
        // The value has no filled slots, so any lifetime will do; it is made outside to keep it if there is no room.
        match cx.new::<Item<A>>(|_| transmute_window(item.take().unwrap())) {
            Ok(root) => {
                self.known.push(Known {
                    value: id,
                    ..Known::default()
                });
                self.roots.push((root, id));
            }
            Err(_) => {
                let keep = self.roots.len() / 2;
                self.roots.truncate(keep);
                self.pins.clear();
            }
        }
    }

    fn make_in_window(&mut self, cx: &Cx<A>) {
        for _ in 0..self.random.below(10) {
            let id = self.known.len() as u32;
            let Ok(item) = cx.try_new(self.item(id)) else { return };
            let mut known = Known {
                value: id,
                ..Known::default()
            };
            if let Some(index) = self.pick() {
                item.left.set(cx, Some(self.roots[index].0.get(cx)));
                known.left = Some(self.roots[index].1);
            }
            self.known.push(known);
            if let (true, Some(index)) = (self.random.one_in(2), self.pick()) {
                // Old to young, without a handle.
                let (holder, holder_id) = &self.roots[index];
                holder.get(cx).right.set(cx, Some(item));
                self.known[*holder_id as usize].right = Some(id);
            } else if let Ok(root) = cx.root::<Item<A>>(item) {
                self.roots.push((root, id));
            }
        }
    }

    fn link(&mut self, cx: &Cx<A>) {
        let (Some(from), Some(to)) = (self.pick(), self.pick()) else {
            return;
        };
        let (item, target) = (self.roots[from].0.get(cx), self.roots[to].0.get(cx));
        let (id, target_id) = (self.roots[from].1, self.roots[to].1);
        let known = &mut self.known[id as usize];
        match self.random.below(5) {
            0 => {
                item.left.set(cx, Some(target));
                known.left = Some(target_id);
            }
            1 => {
                item.right.set(cx, Some(target));
                known.right = Some(target_id);
            }
            2 => {
                item.part.set(cx, target, |target| &target.value);
                known.part = Some(target_id);
            }
            3 => {
                item.left.set(cx, None);
                known.left = None;
            }
            _ => {
                item.value.set(target_id);
                known.value = target_id;
            }
        }
        if let (true, Some(many)) = (!known.many.is_empty(), item.many.get(cx)) {
            let index = self.random.below(many.len());
            many[index].set(cx, Some(target));
            known.many[index] = Some(target_id);
        }
    }

    fn attach(&mut self, cx: &mut Cx<A>) {
        let Some(index) = self.pick() else { return };
        let id = self.roots[index].1 as usize;
        match self.random.below(3) {
            0 => {
                let len = 1 + self.random.size(600);
                let Ok(many) = cx.new_slice::<Slot<Item<A>, A>>(len, |_, _| Slot::null()) else {
                    return;
                };
                self.roots[index].0.get(cx).many.set(cx, Some(many.get(cx)));
                self.known[id].many = vec![None; len];
            }
            1 => {
                let name = format!("object {id} {}", "x".repeat(self.random.size(300)));
                let Ok(text) = cx.new_str(&name) else { return };
                self.roots[index].0.get(cx).name.set(cx, Some(text.get(cx)));
                self.known[id].name = Some(name);
            }
            _ => {
                let Ok(shape) = cx.try_new(Square(id as u32)) else {
                    return;
                };
                let shape = unsize!(shape => dyn Area + '_);
                self.roots[index].0.get(cx).shape.set(cx, Some(shape));
                self.known[id].shape = Some((id as u32).wrapping_mul(id as u32));
            }
        }
    }

    fn pin(&mut self, cx: &mut Cx<A>) {
        let (len, fill) = (1 + self.random.size(200), self.random.next() as u8);
        let Ok(buffer) = cx.new_slice::<Cell<u8>>(len, |_, _| Cell::new(fill)) else {
            return;
        };
        for _ in 0..1 + self.random.below(2) {
            let Ok(pin) = cx.pin(buffer.get(cx)) else { return };
            let address = pin.as_ptr();
            self.pins.push((pin, fill, address));
        }
        if self.pins.len() > 12 {
            let index = self.random.below(self.pins.len());
            self.pins.swap_remove(index);
        }
    }

    fn forget(&mut self, cx: &Cx<A>) {
        let Some(index) = self.pick() else { return };
        if self.random.one_in(4) {
            let target = self.roots[index].0.get(cx);
            if let Ok(weak) = cx.weak::<Item<A>>(target) {
                self.weak.push((weak, self.roots[index].1));
            }
        }
        if self.roots.len() > 4 {
            self.roots.swap_remove(index);
        }
        if self.roots.len() > 60 {
            self.roots.truncate(20);
        }
        if self.weak.len() > 30 {
            self.weak.clear();
        }
    }

    fn step(&mut self, cx: &mut Cx<A>) {
        match self.random.below(16) {
            0..=4 => self.make(cx),
            5..=6 => self.make_in_window(cx),
            7..=9 => self.link(cx),
            10..=11 => self.attach(cx),
            12 => self.pin(cx),
            13 => self.forget(cx),
            14 => match self.random.below(4) {
                0 => cx.collect(Generation::Young),
                1 => cx.collect(Generation::Middle),
                2 => cx.collect(Generation::Old),
                _ => cx.compact(),
            },
            _ => {
                cx.poll();
            }
        }
    }

    /// Verifies everything that can be reached; `exact`, if all that is dead has been found dead.
    fn check<'g>(&self, cx: &'g Cx<A>, exact: bool) {
        let mut seen: HashMap<u32, usize> = HashMap::new();
        let mut todo: Vec<(Gc<'g, Item<'g, A>, A>, u32)> =
            self.roots.iter().map(|(root, id)| (root.get(cx), *id)).collect();
        while let Some((item, id)) = todo.pop() {
            let address = std::ptr::from_ref(item.get()) as usize;
            if let Some(known) = seen.insert(id, address) {
                assert_eq!(known, address, "an object is one object");
                continue;
            }
            let known = &self.known[id as usize];
            assert_eq!((item.id, item.value.get()), (id, known.value));
            let mut follow = |target: Option<Gc<'g, Item<'g, A>, A>>, id: Option<u32>| {
                assert_eq!(target.is_some(), id.is_some());
                todo.extend(target.zip(id));
            };
            follow(item.left.get(cx), known.left);
            follow(item.right.get(cx), known.right);
            let many = item.many.get(cx);
            assert_eq!(many.map_or(0, |many| many.len()), known.many.len());
            for (slot, id) in many.iter().flat_map(|many| many.iter()).zip(&known.many) {
                follow(slot.get(cx), *id);
            }
            assert_eq!(item.name.get(cx).map(|name| name.get()), known.name.as_deref());
            assert_eq!(item.shape.get(cx).map(|shape| shape.area()), known.shape);
            let part = item.part.get(cx).map(Cell::get);
            assert_eq!(part, known.part.map(|id| self.known[id as usize].value));
        }
        for (pin, fill, address) in &self.pins {
            assert_eq!(pin.as_ptr(), *address, "what is pinned stays");
            assert!(pin.iter().all(|byte| byte.get() == *fill));
        }
        for (weak, id) in &self.weak {
            match (weak.get(cx), seen.get(id)) {
                (Some(item), Some(address)) => assert_eq!(std::ptr::from_ref(item.get()) as usize, *address),
                (None, Some(_)) => panic!("object {id} lives, and its weak handle says otherwise"),
                // Kept by an interior reference, or not collected yet.
                (Some(_), None) => assert!(!exact || self.known.iter().any(|known| known.part.is_some())),
                (None, None) => {}
            }
        }
    }
}

/// The value for another window.
fn transmute_window<'a, A: Brand>(item: Item<'_, A>) -> Item<'a, A> {
    Item {
        id: item.id,
        value: item.value,
        left: Slot::null(),
        right: Slot::null(),
        many: Slot::null(),
        name: Slot::null(),
        shape: DynSlot::null(),
        part: Interior::null(),
        dropped: item.dropped,
    }
}

fn run<A: Brand>(seed: u64, bytes: usize, steps: usize) {
    let heap = support::heap_for_good(bytes);
    let before = heap.load().used;
    let mut arena = Arena::<A>::branded(heap).unwrap();
    let mut model = Model {
        random: Random::new(seed),
        known: Vec::new(),
        roots: Vec::new(),
        weak: Vec::new(),
        pins: Vec::new(),
        made: 0,
        dropped: Default::default(),
    };
    arena.enter(|cx| {
        cx.set_stress(seed.is_multiple_of(2));
        for step in 0..steps {
            model.step(cx);
            if step % 16 == 0 {
                model.check(cx, false);
            }
        }
        cx.collect(Generation::Old);
        model.check(cx, true);
    });
    heap.check().unwrap();
    let (made, dropped) = (model.made, model.dropped.clone());
    drop(arena);
    drop(model);
    assert_eq!(dropped.get(), made, "each destructor has run once");
    assert_eq!(heap.load().used, before, "all memory is the heap's again");
    heap.check().unwrap();
}

#[test]
fn c14_random_graphs_agree_with_the_model_in_small_regions() {
    brand!(Here);
    for seed in 0..support::scaled(60) as u64 {
        run::<Here>(seed, [16, 24, 48, 100][seed as usize % 4] << 10, support::scaled(3000));
    }
}

#[test]
fn c14_random_graphs_agree_with_the_model_in_large_regions() {
    brand!(Here);
    for seed in 0..support::scaled(10) as u64 {
        run::<Here>(seed, [1, 4][seed as usize % 2] << 20, support::scaled(20_000));
    }
}
