//! Builds heaps on which single operations are slow.

use crate::{
    allocators::Placed,
    blocks::Blocks,
    mix::ALIGN,
    step::{Call, Cost, LIMIT, Stepper},
};
use core::{alloc::Layout, cmp::Ordering};
use terrace_measure::{random::Random, region::Region};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Alloc,
    /// An allocation that the heap refuses.
    Refusal,
    Free,
    /// Of blocks of up to [`RESIZED`] bytes, so that copying is not what is counted.
    Resize,
}

pub const KINDS: [Kind; 4] = [Kind::Alloc, Kind::Refusal, Kind::Free, Kind::Resize];

/// The largest block that is resized, in bytes.
pub const RESIZED: usize = 256;

/// The most blocks that a heap is cut into: stepping through more would take too long.
const BLOCKS: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
    Shuffled,
}

/// A heap to build and the requests to put to it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Sizes of the blocks that are freed, in bytes, uniform from `low` to `low + spread`.
    low: usize,
    spread: usize,
    /// Size of the block after each of them, which stays; 0 for none.
    spacer: usize,
    order: Order,
    /// Of so many blocks one stays; 0 for none.
    keep: usize,
    /// How many blocks are freed last, so that caches are as full as they get.
    cached: usize,
    /// Whether nothing is left but what was freed; else a quarter of the region is.
    full: bool,
    /// Alignment of the requests, in bytes.
    align: usize,
    /// Size of the requests in percent of `low`.
    ask: usize,
    seed: u64,
}

/// The plans that known weaknesses suggest.
pub fn scripted() -> Vec<Plan> {
    let base = Plan {
        low: 64,
        spread: 0,
        spacer: 8,
        order: Order::Descending,
        keep: 0,
        cached: 0,
        full: true,
        align: ALIGN,
        ask: 100,
        seed: 1,
    };
    let mut plans = Vec::new();
    for low in [16, 24, 40, 64, 72, 136, 264, 520, 1032] {
        // Many free blocks of one class, none of which fits.
        plans.push(Plan {
            low,
            spread: low / 8,
            ask: 109,
            ..base
        });
        plans.push(Plan {
            low,
            spread: low / 8,
            ask: 109,
            full: false,
            ..base
        });
        // A checkerboard, in the order that makes each free block the first of its list, and shuffled.
        plans.push(Plan {
            low,
            spacer: low,
            order: Order::Shuffled,
            ask: 150,
            ..base
        });
        // Fitting sizes that do not fit once aligned.
        plans.push(Plan {
            low,
            spread: 16,
            align: 64,
            ..base
        });
        plans.push(Plan {
            low,
            align: 1024,
            ask: 60,
            full: false,
            ..base
        });
        // Full caches, and memory short.
        plans.push(Plan {
            low,
            spacer: 0,
            order: Order::Ascending,
            cached: 500,
            ask: 800,
            ..base
        });
        plans.push(Plan {
            low,
            spread: 3 * low,
            spacer: 0,
            cached: 2000,
            ask: 5000,
            ..base
        });
        // Merges on both sides.
        plans.push(Plan {
            low,
            spacer: 0,
            keep: 2,
            order: Order::Shuffled,
            ask: 250,
            ..base
        });
    }
    plans
}

impl Plan {
    fn random(random: &mut Random) -> Plan {
        let mut plan = scripted().swap_remove(0);
        for _ in 0..10 {
            plan.mutate(random);
        }
        plan
    }

    /// Changes one part of the plan.
    fn mutate(&mut self, random: &mut Random) {
        match random.below(10) {
            0 => self.low = 8 << random.below(8),
            1 => self.low = (self.low + random.between(1, 64)).min(4096),
            2 => self.spread = random.below(self.low + 1),
            3 => self.spacer = [0, 1, 8, 16, 32, self.low][random.below(6)],
            4 => self.order = [Order::Ascending, Order::Descending, Order::Shuffled][random.below(3)],
            5 => self.keep = random.below(5),
            6 => self.cached = [0, 10, 100, 1000][random.below(4)],
            7 => self.full = random.one_in(2),
            8 => self.align = ALIGN << random.below(9),
            _ => self.ask = random.between(20, 400),
        }
        self.seed = random.bits();
    }
}

/// The costliest operations found so far for one allocator and one region.
pub struct Siege<'a> {
    region: &'a Region,
    stepper: &'a mut Stepper,
    /// Steps that may be made in all.
    budget: u64,
    pub worst: [Option<Cost>; KINDS.len()],
}

extern "C" fn stepped_alloc<A: Placed>(size: usize, align: usize, _: usize, _: usize) -> usize {
    // SAFETY: called with an open heap and a valid layout.
    unsafe { A::heap().alloc(Layout::from_size_align_unchecked(size, align)) }.expose_provenance()
}

extern "C" fn stepped_free<A: Placed>(block: usize, size: usize, align: usize, _: usize) -> usize {
    // SAFETY: called with a block in use and its layout.
    unsafe {
        let block = core::ptr::with_exposed_provenance_mut(block);
        A::heap().dealloc(block, Layout::from_size_align_unchecked(size, align));
    }
    0
}

extern "C" fn stepped_resize<A: Placed>(block: usize, size: usize, align: usize, new_size: usize) -> usize {
    // SAFETY: called with a block in use and its layout.
    unsafe {
        let block = core::ptr::with_exposed_provenance_mut(block);
        A::heap()
            .realloc(block, Layout::from_size_align_unchecked(size, align), new_size)
            .expose_provenance()
    }
}

impl<'a> Siege<'a> {
    pub fn new(region: &'a Region, stepper: &'a mut Stepper, steps: u64) -> Siege<'a> {
        let budget = stepper.total + steps;
        Siege {
            region,
            stepper,
            budget,
            worst: [None; KINDS.len()],
        }
    }

    /// Tries the scripted plans, then climbs from random ones until the steps are spent.
    ///
    /// # Safety
    /// Nobody else uses `A`.
    pub unsafe fn lay<A: Placed>(&mut self) {
        for plan in scripted() {
            // SAFETY: the caller's promise.
            unsafe { self.attempt::<A>(&plan) };
        }
        let half = self.stepper.total + (self.budget.saturating_sub(self.stepper.total)) / 2;
        let mut random = Random::new(7);
        let mut best = (Plan::random(&mut random), 0);
        while self.stepper.total < self.budget && self.worst.iter().any(|worst| !at_limit(*worst)) {
            // The first half of the steps goes to fresh starts, the second to changes of the best.
            let plan = if self.stepper.total < half {
                Plan::random(&mut random)
            } else {
                let mut plan = best.0.clone();
                (0..random.between(1, 3)).for_each(|_| plan.mutate(&mut random));
                plan
            };
            let before = self.stepper.total;
            // SAFETY: the caller's promise.
            let cost = unsafe { self.attempt::<A>(&plan) };
            if cost > best.1 {
                best = (plan, cost);
            }
            if self.stepper.total == before {
                // Every kind that this plan leads to is at the limit: nothing was counted, nothing more to learn.
                self.budget = self.budget.saturating_sub(LIMIT / 10);
            }
        }
    }

    /// Builds the heap and puts the requests to it. Returns the highest count.
    ///
    /// # Safety
    /// As `lay`.
    unsafe fn attempt<A: Placed>(&mut self, plan: &Plan) -> u64 {
        // SAFETY: the caller's promise; the last heap is not used any more.
        let Some(blocks) = (unsafe { Blocks::<A>::open(self.region) }) else {
            return 0;
        };
        let mut random = Random::new(plan.seed);
        let (mut blocks, spacers) = build(plan, blocks, self.region.len(), &mut random);
        let mut most = 0;
        let ask = (plan.low * plan.ask / 100).max(1);
        let sizes = [
            ask,
            ask,
            ask + plan.spread / 2,
            2 * ask + 8,
            16 * ask,
            self.region.len() / 8,
            self.region.len() / 2,
        ];
        for size in sizes {
            most = most.max(self.alloc(&mut blocks, size, plan.align));
        }
        for _ in 0..4 {
            if blocks.len() > 0 {
                let i = random.below(blocks.len());
                most = most.max(self.resize(&mut blocks, i, random.between(1, 2 * RESIZED)));
            }
        }
        // The newest blocks first, then spacers between free blocks, then any.
        for n in 0..8 {
            if blocks.len() > 0 {
                let last = blocks.len() - 1;
                let i = [last, random.below(last + 1), random.below(spacers.clamp(1, last + 1))][n % 3];
                most = most.max(self.free(&mut blocks, i));
            }
        }
        most.max(self.alloc(&mut blocks, ask, plan.align))
    }

    fn alloc<A: Placed>(&mut self, blocks: &mut Blocks<'_, A>, size: usize, align: usize) -> u64 {
        if at_limit(self.worst[Kind::Alloc as usize]) && at_limit(self.worst[Kind::Refusal as usize]) {
            return 0;
        }
        let (block, cost) = self.stepper.count(stepped_alloc::<A> as Call, [size, align, 0, 0]);
        let layout = Layout::from_size_align(size, align).expect("sizes are small");
        let given = blocks.adopt(core::ptr::with_exposed_provenance_mut(block), layout);
        self.note(if given { Kind::Alloc } else { Kind::Refusal }, cost)
    }

    fn free<A: Placed>(&mut self, blocks: &mut Blocks<'_, A>, i: usize) -> u64 {
        if at_limit(self.worst[Kind::Free as usize]) {
            return 0;
        }
        let (block, layout) = blocks.disown(i);
        let arguments = [block.expose_provenance(), layout.size(), layout.align(), 0];
        let (_, cost) = self.stepper.count(stepped_free::<A> as Call, arguments);
        self.note(Kind::Free, cost)
    }

    fn resize<A: Placed>(&mut self, blocks: &mut Blocks<'_, A>, i: usize, size: usize) -> u64 {
        if at_limit(self.worst[Kind::Resize as usize]) {
            return 0;
        }
        let (block, layout) = blocks.disown(i);
        if layout.size() > RESIZED {
            blocks.adopt(block, layout);
            return 0;
        }
        let arguments = [block.expose_provenance(), layout.size(), layout.align(), size];
        let (new, cost) = self.stepper.count(stepped_resize::<A> as Call, arguments);
        let resized = Layout::from_size_align(size, layout.align()).expect("sizes are small");
        if !blocks.adopt(core::ptr::with_exposed_provenance_mut(new), resized) {
            blocks.adopt(block, layout);
        }
        self.note(Kind::Resize, cost)
    }

    fn note(&mut self, kind: Kind, cost: Cost) -> u64 {
        let worst = &mut self.worst[kind as usize];
        if worst.is_none_or(|worst| cost.cmp(&worst) == Ordering::Greater) {
            *worst = Some(cost);
        }
        match cost {
            Cost::Exactly(steps) | Cost::MoreThan(steps) => steps,
        }
    }
}

fn at_limit(worst: Option<Cost>) -> bool {
    matches!(worst, Some(Cost::MoreThan(_)))
}

/// Fills the region and frees what the plan says. Returns what is left and how many spacers come first in it.
fn build<'a, A: Placed>(
    plan: &Plan,
    mut blocks: Blocks<'a, A>,
    len: usize,
    random: &mut Random,
) -> (Blocks<'a, A>, usize) {
    let mut targets = Vec::new();
    let mut spent = 0;
    while targets.len() < BLOCKS && (plan.full || spent < len / 4 * 3) {
        let size = plan.low + random.below(plan.spread + 1);
        if !blocks.alloc(size) {
            break;
        }
        targets.push(blocks.disown(blocks.len() - 1));
        spent += size + plan.spacer;
        if plan.spacer > 0 && !blocks.alloc(plan.spacer) {
            break;
        }
    }
    if plan.full {
        let mut size = len;
        while size >= ALIGN {
            if !blocks.alloc(size) {
                size /= 2;
            }
        }
    }
    let spacers = blocks.len();
    match plan.order {
        Order::Ascending => {}
        Order::Descending => targets.reverse(),
        Order::Shuffled => random.shuffle(&mut targets),
    }
    // Those freed last go to whatever caches there are.
    let cached = targets.split_off(targets.len() - plan.cached.min(targets.len()));
    let kept = |i: usize| plan.keep > 0 && i.is_multiple_of(plan.keep);
    for (i, (block, layout)) in targets.into_iter().chain(cached).enumerate() {
        blocks.adopt(block, layout);
        if !kept(i) {
            blocks.free(blocks.len() - 1);
        }
    }
    (blocks, spacers)
}
