//! The smallest region in which terrace can run a workload, and what more memory buys.

use std::io;

use terrace_measure::random::Random;
use terrace_measure::table::{Table, grouped};

use crate::contestant::{Contestant, Kind};
use crate::contestants::terrace::windows::{self, Windows};
use crate::options::Options;
use crate::rounds::{self, digits};
use crate::sample::Sample;
use crate::workload::Workload;

const MEASURED: [&str; 2] = ["bt", "mut"];

/// Multiples of the smallest region in which time is measured.
const MULTIPLES: [f64; 4] = [1.0, 1.5, 2.0, 3.0];

/// The search ends when the region is known to this part.
const PRECISION: usize = 128;

pub fn run(options: &Options) -> io::Result<()> {
    let times = MULTIPLES.iter().map(|multiple| format!("time at {multiple} x"));
    let columns = ["live, bytes", "smallest region, bytes", "region / live"].map(str::to_owned);
    let mut table = Table::new(
        "Memory that terrace needs",
        "Live: the most bytes of objects, headers included, that the program refers to at any time. Region: all that the heap \
         is given, for tables, handles and garbage as well. Time: relative to `Box`, of a second run in the same process, in \
         multiples of the smallest region for a first one.",
        columns.into_iter().chain(times),
    );
    for workload in options.chosen_workloads(&MEASURED) {
        let Some(live) = Workload::new(workload, options.scale()).and_then(live) else {
            continue;
        };
        let smallest = smallest(workload, live, options)?;
        let mut cells = vec![grouped(live), grouped(smallest), digits(smallest as f64 / live as f64)];
        for multiple in MULTIPLES {
            let options = Options {
                contestants: vec![Windows::NAME.to_owned()],
                region: (smallest as f64 * multiple) as usize,
                rounds: options.rounds.min(3),
                ..options.clone()
            };
            cells.push(match &rounds::run(workload, &options)?[..] {
                [yardstick, row] => digits(row.ratio(yardstick)),
                _ => "-".into(),
            });
        }
        table.row(workload, cells);
    }
    println!("{table}");
    Ok(())
}

/// The smallest region that the workload runs in, to one part in [`PRECISION`].
fn smallest(workload: &str, live: usize, options: &Options) -> io::Result<usize> {
    let (mut fails, mut works) = (live, 2 * live);
    let runs = |region| -> io::Result<bool> {
        eprintln!("{workload}: {} bytes", grouped(region));
        let options = Options {
            region,
            once: true,
            ..options.clone()
        };
        Ok(Sample::take(workload, Windows::NAME, &options)?.is_some())
    };
    while !runs(works)? {
        fails = works;
        works *= 2;
    }
    while works - fails > live / PRECISION {
        let middle = fails.midpoint(works);
        *(if runs(middle)? { &mut works } else { &mut fails }) = middle;
    }
    Ok(works)
}

/// The most bytes of live objects in a workload.
fn live(workload: Workload) -> Option<usize> {
    match workload {
        Workload::Trees { depth } => {
            let nodes = |depth: u32| (2usize << depth) - 1;
            // The first tree alone, or that which is kept beside the largest of the others.
            Some(nodes(depth + 1).max(2 * nodes(depth)) * windows::size_of(Kind::Tree))
        }
        Workload::Mutation { stores, chains } => {
            let mut random = Random::new(1);
            let mut lengths = vec![0u32; chains];
            let (mut live, mut most) = (0, 0);
            for _ in 0..stores {
                let length = &mut lengths[random.below(chains)];
                let next = *length % crate::workload::CHAIN + 1;
                live = live + next as usize - *length as usize;
                *length = next;
                most = most.max(live);
            }
            Some(most * windows::size_of(Kind::Link) + chains * size_of::<u32>())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_bytes_are_those_of_the_largest_tree() {
        assert_eq!(
            live(Workload::Trees { depth: 1 }),
            Some(7 * windows::size_of(Kind::Tree))
        );
        let chains = live(Workload::Mutation { stores: 20, chains: 1 });
        assert_eq!(chains, Some(8 * windows::size_of(Kind::Link) + 4));
    }
}
