//! The workloads, written once for all contestants. Each returns a checksum, so that nobody can leave work out.

use core::hint::black_box;

use terrace_measure::random::Random;

use crate::clock::Steps;
use crate::contestant::{Contestant, Cyclic, Kind, Places, Window};

/// Objects between two possible collections, where they are small and many.
const BATCH: usize = 100;
/// Of so many objects one survives.
const SURVIVOR: usize = 100;
/// Members of the longest chain, and of a ring.
pub const CHAIN: u32 = 8;
const RING: usize = 8;
/// Numbers in an array: 800 kB.
const ARRAY: usize = 100_000;
/// Arrays alive at a time.
const ARRAYS: usize = 16;

/// A workload, by name and size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// Binary trees, as in the Computer Language Benchmarks Game.
    Trees { depth: u32 },
    /// Boehm's GCBench.
    GcBench { depth: u32 },
    /// Small objects of which few survive.
    Survivors { objects: usize, places: usize },
    /// Stores of young objects into old ones.
    Mutation { stores: usize, chains: usize },
    /// Rings that die.
    Rings { count: usize },
    /// Large arrays.
    Arrays { count: usize },
}

/// Name and meaning of each.
#[rustfmt::skip]
pub const ALL: [(&str, &str); 6] = [
    ("bt", "binary trees, as in the Computer Language Benchmarks Game"),
    ("gcb", "Boehm's GCBench: trees made from the top and from the bottom beside a tree and an array that live"),
    ("surv", "objects of three words, of which one in 100 replaces another one in a table"),
    ("mut", "old-to-young stores: a table of chains, each of which grows to eight and starts anew, at random"),
    ("cyc", "rings of eight that die"),
    ("array", "arrays of 800 kB, of which 16 live"),
];

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    Full,
    Quick,
    /// As little as makes sense.
    #[cfg(test)]
    Tiny,
}

impl Workload {
    pub fn new(name: &str, scale: Scale) -> Option<Workload> {
        let by = |full, quick, _tiny| match scale {
            Scale::Full => full,
            Scale::Quick => quick,
            #[cfg(test)]
            Scale::Tiny => _tiny,
        };
        Some(match name {
            "bt" => Workload::Trees {
                depth: by(16, 14, 6) as u32,
            },
            "gcb" => Workload::GcBench {
                depth: by(16, 14, 6) as u32,
            },
            "surv" => Workload::Survivors {
                objects: by(5_000_000, 1_000_000, 3_000),
                places: by(10_000, 10_000, 20),
            },
            "mut" => Workload::Mutation {
                stores: by(4_000_000, 1_500_000, 3_000),
                chains: by(131_072, 131_072, 64),
            },
            "cyc" => Workload::Rings {
                count: by(200_000, 50_000, 200),
            },
            "array" => Workload::Arrays {
                count: by(1000, 300, 20),
            },
            _ => return None,
        })
    }

    /// Objects that are made, for figures per object.
    pub fn objects(self) -> usize {
        match self {
            Workload::Trees { depth } => {
                let rounds = (4..=depth).step_by(2).map(|small| nodes(small) << (depth - small + 4));
                nodes(depth + 1) + nodes(depth) + rounds.sum::<usize>()
            }
            Workload::GcBench { depth } => {
                let rounds = (4..=depth)
                    .step_by(2)
                    .map(|small| 2 * rounds(depth, small) * nodes(small));
                nodes(depth + 2) + nodes(depth) + rounds.sum::<usize>()
            }
            Workload::Survivors { objects, .. } => objects,
            Workload::Mutation { stores, .. } => stores,
            Workload::Rings { count } => count * RING,
            Workload::Arrays { count } => count,
        }
    }

    /// Runs it; returns the checksum, or nothing if the contestant cannot do it.
    pub fn run<C: Contestant>(self, steps: &mut Steps) -> Option<u64> {
        let mut places = Places::default();
        match self {
            Workload::Survivors { places: small, .. } => places.small = small,
            Workload::Mutation { chains, .. } => places.chains = chains,
            Workload::Arrays { .. } => places.arrays = ARRAYS,
            Workload::GcBench { .. } => places.arrays = 1,
            Workload::Trees { .. } | Workload::Rings { .. } => {}
        }
        C::run(places, |session| match self {
            Workload::Trees { depth } => Some(trees::<C>(session, depth)),
            Workload::GcBench { depth } => Some(gcbench::<C>(session, depth)),
            Workload::Survivors { objects, places } => Some(survivors::<C>(session, objects, places, steps)),
            Workload::Mutation { stores, chains } => Some(mutation::<C>(session, stores, chains, steps)),
            Workload::Rings { count } => C::rings(session, count),
            Workload::Arrays { count } => Some(arrays::<C>(session, count)),
        })
    }
}

/// Nodes of a tree.
fn nodes(depth: u32) -> usize {
    (2 << depth) - 1
}

fn trees<C: Contestant>(session: &mut C::Session<'_>, depth: u32) -> u64 {
    let tree_of = |session: &mut C::Session<'_>, depth| {
        C::step(session, Kind::Tree, nodes(depth), |window| {
            let tree = tree(window, depth);
            window.count(&tree)
        })
    };
    let mut sum = tree_of(session, depth + 1);
    C::step(session, Kind::Tree, nodes(depth), |window| {
        let tree = tree(window, depth);
        window.keep_tree(tree);
    });
    for small in (4..=depth).step_by(2) {
        for _ in 0..1 << (depth - small + 4) {
            sum += tree_of(session, small);
        }
    }
    sum + C::step(session, Kind::Tree, 0, |window| window.count_kept_tree())
}

fn tree<W: Window>(window: &mut W, depth: u32) -> W::Tree {
    if depth == 0 {
        return window.tree(None);
    }
    let left = tree(window, depth - 1);
    let right = tree(window, depth - 1);
    window.tree(Some((left, right)))
}

/// Times that GCBench makes trees of depth `small`.
fn rounds(depth: u32, small: u32) -> usize {
    2 * nodes(depth + 2) / nodes(small)
}

fn gcbench<C: Contestant>(session: &mut C::Session<'_>, depth: u32) -> u64 {
    let stretch = depth + 2;
    let mut sum = C::step(session, Kind::Node, nodes(stretch), |window| {
        let node = from_bottom(window, stretch);
        window.count_nodes(&node)
    });
    C::step(session, Kind::Node, nodes(depth), |window| {
        let mut node = window.node(None);
        from_top(window, &mut node, depth);
        window.keep_node(node);
    });
    C::put_array(session, 0, 5 * ARRAY, 1);
    for small in (4..=depth).step_by(2) {
        for _ in 0..rounds(depth, small) {
            C::step(session, Kind::Node, nodes(small), |window| {
                let mut node = window.node(None);
                from_top(window, &mut node, small);
                black_box(&node);
            });
        }
        for _ in 0..rounds(depth, small) {
            C::step(session, Kind::Node, nodes(small), |window| {
                black_box(&from_bottom(window, small));
            });
        }
    }
    sum += C::step(session, Kind::Node, 0, |window| window.count_kept_nodes());
    let (first, last) = C::ends_of_array(session, 0);
    sum + first + last
}

fn from_top<W: Window>(window: &mut W, node: &mut W::Node, depth: u32) {
    if depth > 0 {
        window.grow(node, &mut |window, child| from_top(window, child, depth - 1));
    }
}

fn from_bottom<W: Window>(window: &mut W, depth: u32) -> W::Node {
    if depth == 0 {
        return window.node(None);
    }
    let left = from_bottom(window, depth - 1);
    let right = from_bottom(window, depth - 1);
    window.node(Some((left, right)))
}

fn survivors<C: Contestant>(session: &mut C::Session<'_>, objects: usize, places: usize, steps: &mut Steps) -> u64 {
    let mut sum = 0u64;
    steps.start();
    for batch in 0..objects / BATCH {
        let first = batch * BATCH;
        sum += C::step(session, Kind::Small, BATCH, |window| {
            let mut lost = 0;
            for id in first..first + BATCH {
                let small = window.small(id as u64);
                if id % SURVIVOR == 0 {
                    let place = id / SURVIVOR % places;
                    lost += window.kept_small(place).unwrap_or(0);
                    window.keep_small(place, small);
                } else {
                    black_box(&small);
                }
            }
            lost
        });
        steps.end();
    }
    let kept = (0..places).map(|place| C::step(session, Kind::Small, 0, |window| window.kept_small(place)));
    sum + kept.flatten().sum::<u64>()
}

fn mutation<C: Contestant>(session: &mut C::Session<'_>, stores: usize, chains: usize, steps: &mut Steps) -> u64 {
    let mut random = Random::new(1);
    steps.start();
    for batch in 0..stores / BATCH {
        C::step(session, Kind::Link, BATCH, |window| {
            for value in batch * BATCH..(batch + 1) * BATCH {
                let chain = random.below(chains);
                let head = window.take_head(chain);
                let depth = head.as_ref().map_or(0, |head| window.depth(head));
                let link = match head {
                    Some(_) if depth < CHAIN => window.link(value as u32, depth + 1, head),
                    _ => window.link(value as u32, 1, None),
                };
                window.set_head(chain, link);
            }
        });
        steps.end();
    }
    let sums = (0..chains).map(|chain| C::step(session, Kind::Link, 0, |window| window.sum(chain)));
    sums.sum()
}

/// Makes rings that nothing refers to.
pub fn rings<C: Contestant>(session: &mut C::Session<'_>, count: usize) -> u64
where
    for<'g> C::Window<'g>: Cyclic,
{
    let mut sum = 0;
    for ring in 0..count {
        sum += C::step(session, Kind::Knot, RING, |window| {
            let first = window.knot(ring as u64);
            let mut last = first.clone();
            for value in 1..RING {
                let knot = window.knot((ring + value) as u64);
                window.tie(&last, &knot);
                last = knot;
            }
            window.tie(&last, &first);
            let (mut at, mut sum) = (first, 0);
            for _ in 0..RING {
                sum += window.value(&at);
                at = window.next(&at);
            }
            sum
        });
    }
    C::collect(session);
    sum
}

fn arrays<C: Contestant>(session: &mut C::Session<'_>, count: usize) -> u64 {
    let mut sum = 0;
    for number in 0..count {
        C::put_array(session, number % ARRAYS, ARRAY, number as u64);
        let (first, last) = C::ends_of_array(session, (number + 1) % ARRAYS.min(number + 1));
        sum += first + last;
    }
    sum
}
