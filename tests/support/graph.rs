//! A graph of managed objects, and beside it a model that knows each one, its contents and what refers to it.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use terrace::*;

use crate::step::{Act, Link, Step};
use lives::Lives;
use objects::{Area, Block, Counted, Item, Known, Square};

mod lives;
mod objects;

/// What is pinned, the byte that fills it, and its address.
type Pin<A> = (Pinned<[Cell<u8>], A>, u8, *const Cell<u8>);

/// The same for what is pinned from birth.
type Born<A> = (Pinned<[Byte], A>, u8, *const Byte);

/// An object that is held, and its number.
type Rooted<A> = (Root<Item<'static, A>, A>, u32);

/// A weak handle of an object.
struct WeakItem<A: Brand> {
    weak: Weak<Item<'static, A>, A>,
    id: u32,
    is_long: bool,
    /// It may have become empty though the object lives again.
    has_lapsed: bool,
}

/// Roots and weak handles at a time, so that garbage comes to be.
const MOST_HANDLES: usize = 64;

struct Model<A: Brand> {
    heap: &'static LocalHeap,
    known: Vec<Known>,
    roots: Vec<Rooted<A>>,
    weak: Vec<WeakItem<A>>,
    pins: Vec<Pin<A>>,
    born: Vec<Born<A>>,
    lives: Rc<Lives<A>>,
    blocks: Vec<Block>,
    made: usize,
    dropped: Rc<Cell<usize>>,
}

/// An object, registered for finalisation or not.
fn make_item<A: Brand>(
    cx: &mut Cx<A>,
    is_registered: bool,
    init: impl for<'g> FnOnce(&'g Cx<A>) -> Item<'g, A>,
) -> Result<Root<Item<'static, A>, A>, OutOfMemory> {
    if is_registered {
        cx.new_finalizable::<Item<A>>(init)
    } else {
        cx.new::<Item<A>>(init)
    }
}

/// The element of a list that a number names.
fn pick<T>(list: &[T], number: usize) -> Option<usize> {
    (!list.is_empty()).then(|| number % list.len())
}

/// Runs a program on arenas of one brand in `heap`, and verifies everything now and then, at the latest in the end.
/// `check_each` is how many steps go without.
pub fn run<A: Brand>(heap: &'static LocalHeap, stress: bool, script: impl Iterator<Item = Step>, check_each: usize) {
    let before = heap.load().used;
    let mut script = script.enumerate();
    let mut model = Model::<A> {
        heap,
        known: Vec::new(),
        roots: Vec::new(),
        weak: Vec::new(),
        pins: Vec::new(),
        born: Vec::new(),
        lives: Rc::default(),
        blocks: Vec::new(),
        made: 0,
        dropped: Rc::default(),
    };
    loop {
        let Ok(mut arena) = Arena::<A>::branded(heap) else {
            assert!(!model.blocks.is_empty(), "there is room for an arena");
            model.give(0);
            continue;
        };
        let again = arena.enter(|cx| {
            cx.set_stress(stress);
            model.play(cx, &mut script, check_each)
        });
        heap.check().unwrap();
        model.close(arena, again.unwrap_or(true));
        if again.is_none() {
            break;
        }
    }
    while !model.blocks.is_empty() {
        model.give(0);
    }
    assert_eq!(heap.load().used, before, "all memory is the heap's again");
    heap.check().unwrap();
}

impl<A: Brand> Model<A> {
    /// Takes steps until there is none, or one asks for another arena, and how to drop this one.
    fn play(
        &mut self,
        cx: &mut Cx<A>,
        script: &mut impl Iterator<Item = (usize, Step)>,
        check_each: usize,
    ) -> Option<bool> {
        for (number, step) in script {
            if let Step::Again { handles_first } = step {
                self.check(cx, false);
                return Some(handles_first);
            }
            let exact = self.apply(cx, step);
            if number % check_each == 0 {
                self.check(cx, exact);
            }
        }
        cx.collect(Generation::Old);
        self.check(cx, true);
        self.finalize_all(cx);
        None
    }

    /// Drops the arena, and the handles before or after it.
    fn close(&mut self, arena: Arena<A>, handles_first: bool) {
        let mut arena = Some(arena);
        if !handles_first {
            arena = None;
            let handles = self.roots.len() + self.weak.len() + self.pins.len() + self.born.len();
            assert_eq!(
                Arena::<A>::branded(self.heap).is_err(),
                handles != 0,
                "handles keep the brand"
            );
            self.check_pins();
        }
        self.weak.clear();
        self.roots.clear();
        self.pins.clear();
        self.born.clear();
        drop(arena);
        assert!(self.lives.is_quiet(), "no finaliser runs at the end");
        self.known.clear();
        assert_eq!(self.dropped.get(), self.made, "each destructor has run once");
    }

    /// Takes a step. Tells whether everything that is dead has just been found dead.
    fn apply(&mut self, cx: &mut Cx<A>, step: Step) -> bool {
        match step {
            Step::Make { left, drops, act } => self.make(cx, left, drops, act),
            Step::Register { root } => self.register(cx, root),
            Step::Suppress { root } => self.suppress(cx, root),
            Step::MakeInWindow { count, left, holder } => self.make_in_window(cx, count, left, holder),
            Step::Link { from, to, how } => self.link(cx, from, to, how),
            Step::Many { holder, len } => self.attach_many(cx, holder, len),
            Step::Name { holder, len } => self.attach_name(cx, holder, len),
            Step::Shape { holder } => self.attach_shape(cx, holder),
            Step::Pin { len, fill, twice } => self.pin(cx, len, fill, twice),
            Step::Born { len, fill } => self.bear(cx, len, fill),
            Step::Scope { len, fill, generation } => self.scope(cx, len, fill, generation),
            Step::Unpin { pin } => {
                drop(pick(&self.pins, pin).map(|index| self.pins.swap_remove(index)));
                drop(pick(&self.born, pin).map(|index| self.born.swap_remove(index)));
            }
            Step::Root { from, right } => self.root(cx, from, right),
            Step::Move { root, to } => self.move_root(cx, root, to),
            Step::Forget { root } => drop(pick(&self.roots, root).map(|index| self.roots.swap_remove(index))),
            Step::Truncate { keep } => self.roots.truncate(keep),
            Step::Weak { root, long } => self.weaken(cx, root, long),
            Step::Unweak { weak } => drop(pick(&self.weak, weak).map(|index| self.weak.swap_remove(index))),
            Step::Collect { generation: 0 } => cx.collect(Generation::Young),
            Step::Collect { generation: 1 } => cx.collect(Generation::Middle),
            Step::Collect { .. } => cx.collect(Generation::Old),
            Step::Compact => cx.compact(),
            Step::Reserve { bytes } => self.reserve(cx, bytes),
            Step::Poll => {
                self.poll(cx);
                let _ = self.heap.poll();
            }
            Step::Take { size, align } => self.take(size, align),
            Step::Give { block } => drop(pick(&self.blocks, block).map(|index| self.give(index))),
            Step::Stress { on } => cx.set_stress(on),
            Step::Budget { bytes } => cx.set_budget(bytes),
            Step::Large { bytes } => cx.set_large(bytes),
            Step::Again { .. } => {}
        }
        matches!(step, Step::Compact | Step::Collect { generation: 2.. })
    }

    /// An object that nobody knows yet.
    fn item<'g>(&mut self, id: u32, drops: bool, act: Act) -> Item<'g, A> {
        let dropped = drops.then(|| {
            self.made += 1;
            Plain(Counted(self.dropped.clone()))
        });
        Item {
            id,
            value: Cell::new(id),
            left: Slot::null(),
            right: Slot::null(),
            many: Slot::null(),
            vec: GcVec::new(),
            name: Slot::null(),
            shape: DynSlot::null(),
            part: Interior::null(),
            dropped,
            act: Plain(act),
            lives: Plain(self.lives.clone()),
        }
    }

    /// Takes note of an object, whose number is the next one.
    fn know(&mut self, left: Option<usize>) -> u32 {
        let value = self.known.len() as u32;
        self.known.push(Known {
            value,
            left: left.map(|left| self.roots[left].1),
            ..Known::default()
        });
        value
    }

    /// Makes garbage of half of what there is.
    fn make_room(&mut self) {
        self.roots.truncate(self.roots.len() / 2);
        self.pins.clear();
        self.born.clear();
        if let Some(index) = self.blocks.len().checked_sub(1) {
            self.give(index);
        }
    }

    fn make(&mut self, cx: &mut Cx<A>, left: usize, drops: bool, act: Option<Act>) {
        let (id, left) = (self.known.len() as u32, pick(&self.roots, left));
        let made = make_item(cx, act.is_some(), |g| {
            let item = self.item(id, drops, act.unwrap_or(Act::Save));
            item.left.set(g, left.map(|left| self.roots[left].0.get(g)));
            item
        });
        match made {
            Ok(root) => {
                self.know(left);
                self.known[id as usize].registered = u32::from(act.is_some());
                self.roots.push((root, id));
                if self.roots.len() > MOST_HANDLES {
                    self.roots.drain(..MOST_HANDLES / 2);
                }
            }
            Err(_) => self.make_room(),
        }
    }

    fn make_in_window(&mut self, cx: &Cx<A>, count: usize, left: usize, holder: usize) {
        for number in 0..count {
            let id = self.known.len() as u32;
            // The value comes back, and its destructor runs, if there is no room.
            let Ok(item) = cx.try_new(self.item(id, number % 8 == 7, Act::Nothing)) else {
                return;
            };
            let left = pick(&self.roots, left + number);
            if let Some(left) = left {
                item.left.set(cx, Some(self.roots[left].0.get(cx)));
            }
            self.know(left);
            match pick(&self.roots, holder + number) {
                // Old to young, without a handle.
                Some(holder) if number % 2 == 0 => {
                    let (holder, holder_id) = &self.roots[holder];
                    holder.get(cx).right.set(cx, Some(item));
                    self.known[*holder_id as usize].right = Some(id);
                }
                _ => self.roots.extend(cx.root::<Item<A>>(item).ok().map(|root| (root, id))),
            }
        }
    }

    fn link(&mut self, cx: &Cx<A>, from: usize, to: usize, how: Link) {
        let (Some(from), Some(to)) = (pick(&self.roots, from), pick(&self.roots, to)) else {
            return;
        };
        let (item, target) = (self.roots[from].0.get(cx), self.roots[to].0.get(cx));
        let (id, target_id) = (self.roots[from].1, self.roots[to].1);
        let known = &mut self.known[id as usize];
        match how {
            Link::Left => {
                item.left.set(cx, Some(target));
                known.left = Some(target_id);
            }
            Link::Right => {
                item.right.set(cx, Some(target));
                known.right = Some(target_id);
            }
            Link::Part => {
                item.part.set(cx, target, |target| &target.value);
                known.part = Some(target_id);
            }
            Link::Value => {
                item.value.set(target_id);
                known.value = target_id;
            }
            Link::Many(number) => {
                if let (Some(index), Some(many)) = (pick(&known.many, number), item.many.get(cx)) {
                    many[index].set(cx, Some(target));
                    known.many[index] = Some(target_id);
                }
            }
            Link::Push => {
                if item.get().vec.try_push(cx, Slot::new(cx, target)).is_ok() {
                    known.vec.push(target_id);
                }
            }
            Link::Pop => assert_eq!(item.get().vec.pop(cx).is_some(), known.vec.pop().is_some()),
            Link::Nothing => {
                item.left.set(cx, None);
                item.part.clear();
                (known.left, known.part) = (None, None);
            }
        }
    }

    fn attach_many(&mut self, cx: &mut Cx<A>, holder: usize, len: usize) {
        let Some(index) = pick(&self.roots, holder) else { return };
        if let Ok(many) = cx.new_slice::<Slot<Item<A>, A>>(len, |_, _| Slot::null()) {
            let (holder, id) = &self.roots[index];
            holder.get(cx).many.set(cx, Some(many.get(cx)));
            self.known[*id as usize].many = vec![None; len];
        }
    }

    fn attach_name(&mut self, cx: &mut Cx<A>, holder: usize, len: usize) {
        let Some(index) = pick(&self.roots, holder) else { return };
        let (holder, id) = &self.roots[index];
        let name = format!("object {id} {}", "x".repeat(len));
        let is_interned = len % 2 == 1;
        let text = if is_interned {
            cx.intern(&name)
        } else {
            cx.new_str(&name)
        };
        if let Ok(text) = text {
            holder.get(cx).name.set(cx, Some(text.get(cx)));
            let known = &mut self.known[*id as usize];
            (known.name, known.is_interned) = (Some(name), is_interned);
        }
    }

    fn attach_shape(&mut self, cx: &Cx<A>, holder: usize) {
        let Some(index) = pick(&self.roots, holder) else { return };
        let (holder, id) = &self.roots[index];
        if let Ok(shape) = cx.try_new(Square(*id)) {
            holder.get(cx).shape.set(cx, Some(unsize!(shape => dyn Area + '_)));
            self.known[*id as usize].shape = Some(id.wrapping_mul(*id));
        }
    }

    fn pin(&mut self, cx: &mut Cx<A>, len: usize, fill: u8, twice: bool) {
        let Ok(buffer) = cx.new_slice::<Cell<u8>>(len, |_, _| Cell::new(fill)) else {
            return;
        };
        for _ in 0..1 + usize::from(twice) {
            let Ok(pin) = cx.pin(buffer.get(cx)) else { return };
            let address = pin.as_ptr();
            self.pins.push((pin, fill, address));
        }
        if self.pins.len() > MOST_HANDLES / 4 {
            self.pins.swap_remove(usize::from(fill) % (MOST_HANDLES / 4));
        }
    }

    fn root(&mut self, cx: &Cx<A>, from: usize, right: bool) {
        let Some(index) = pick(&self.roots, from) else { return };
        let (item, known) = (self.roots[index].0.get(cx), &self.known[self.roots[index].1 as usize]);
        let (slot, id) = if right {
            (&item.right, known.right)
        } else {
            (&item.left, known.left)
        };
        assert_eq!(slot.get(cx).is_some(), id.is_some());
        if let (Some(target), Some(id)) = (slot.get(cx), id) {
            self.roots.extend(Root::new(cx, target).ok().map(|root| (root, id)));
        }
    }

    fn move_root(&mut self, cx: &Cx<A>, root: usize, to: usize) {
        if let (Some(root), Some(to)) = (pick(&self.roots, root), pick(&self.roots, to)) {
            let (target, id) = (self.roots[to].0.get(cx), self.roots[to].1);
            self.roots[root].0.set(cx, target);
            self.roots[root].1 = id;
        }
    }

    fn weaken(&mut self, cx: &Cx<A>, root: usize, is_long: bool) {
        let Some(index) = pick(&self.roots, root) else { return };
        let (root, id) = &self.roots[index];
        let made = if is_long {
            cx.weak_long::<Item<A>>(root.get(cx))
        } else {
            cx.weak::<Item<A>>(root.get(cx))
        };
        self.weak.extend(made.ok().map(|weak| WeakItem {
            weak,
            id: *id,
            is_long,
            has_lapsed: false,
        }));
        if self.weak.len() > MOST_HANDLES {
            self.weak.drain(..MOST_HANDLES / 2);
        }
    }

    fn reserve(&mut self, cx: &mut Cx<A>, bytes: usize) {
        if cx.reserve(bytes).is_ok() {
            let count = bytes / size_of_object::<Square>();
            assert!((0..count).all(|_| cx.try_new(Square(0)).is_ok()), "there is room");
        }
    }

    fn take(&mut self, size: usize, align: u8) {
        let layout = Layout::from_size_align(size, 1 << align).unwrap();
        let fill = self.blocks.len() as u8 ^ 0x5A;
        // SAFETY: the layout's size is not 0.
        let start = unsafe { self.heap.alloc(layout) };
        if start.is_null() {
            return self.make_room();
        }
        // SAFETY: the block has so many bytes, which are ours.
        unsafe { start.write_bytes(fill, size) };
        self.blocks.push(Block { start, layout, fill });
    }

    fn give(&mut self, index: usize) {
        let block = self.blocks.swap_remove(index);
        block.verify();
        // SAFETY: the heap handed the block out with this layout.
        unsafe { self.heap.dealloc(block.start, block.layout) };
    }

    /// What the handles reach, by the model.
    fn reachable(&self) -> HashSet<u32> {
        self.reachable_from(self.roots.iter().map(|(_, id)| *id).collect())
    }

    /// What these objects reach, themselves included, by the model.
    fn reachable_from(&self, mut todo: Vec<u32>) -> HashSet<u32> {
        let mut seen = HashSet::new();
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                let known = &self.known[id as usize];
                todo.extend([known.left, known.right, known.part].into_iter().flatten());
                todo.extend(known.many.iter().flatten());
                todo.extend(&known.vec);
            }
        }
        seen
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
            let vec = &item.get().vec;
            assert_eq!(vec.len(cx), known.vec.len());
            for (slot, id) in vec.iter(cx).zip(&known.vec) {
                follow(slot.get(cx), Some(*id));
            }
            let name = item.name.get(cx);
            assert_eq!(name.map(|name| name.get()), known.name.as_deref());
            if let Some(name) = name.filter(|_| known.is_interned) {
                assert!(name.is(cx.try_intern(&name).unwrap()), "there is one string of a text");
            }
            assert_eq!(item.shape.get(cx).map(|shape| shape.area()), known.shape);
            let part = item.part.get(cx).map(Cell::get);
            assert_eq!(part, known.part.map(|id| self.known[id as usize].value));
        }
        cx.verify().unwrap();
        let (reachable, kept) = self.check_finalizers(cx, exact);
        for handle in &self.weak {
            let id = &handle.id;
            match (handle.weak.get(cx), seen.get(id)) {
                (Some(item), Some(address)) => assert_eq!(std::ptr::from_ref(item.get()) as usize, *address),
                // Kept by a reference to a part of it or for a finaliser, or not collected yet.
                (Some(item), None) => assert!(item.id == *id && (!exact || kept.contains(id))),
                (None, _) if handle.is_long => assert!(!kept.contains(id), "object {id} lives, or will"),
                (None, _) => assert!(handle.has_lapsed || !reachable.contains(id), "object {id} lives"),
            }
        }
        self.check_pins();
        self.blocks.iter().for_each(Block::verify);
    }

    fn check_pins(&self) {
        for (pin, fill, address) in &self.pins {
            assert_eq!(pin.as_ptr(), *address, "what is pinned stays");
            assert!(pin.iter().all(|byte| byte.get() == *fill));
        }
        for (pin, fill, address) in &self.born {
            assert_eq!(pin.as_ptr(), *address, "what is pinned stays");
            assert_eq!(lives::read(pin), vec![*fill; pin.len()]);
        }
    }
}
