//! Processes in rounds: the contestants take turns, so that what slows the machine down slows all of them.

use std::io;

use crate::contestants;
use crate::options::Options;
use crate::sample::Sample;

/// The samples of one contestant, by round.
pub struct Row {
    pub name: &'static str,
    pub samples: Vec<Sample>,
}

impl Row {
    /// Time relative to another row: the median of the ratios in each round.
    pub fn ratio(&self, yardstick: &Row) -> f64 {
        let pairs = self.samples.iter().zip(&yardstick.samples);
        median(
            pairs
                .map(|(own, other)| own.cpu.as_secs_f64() / other.cpu.as_secs_f64())
                .collect(),
        )
    }
}

/// Runs a workload in rounds, the yardstick first. Who cannot do it is left out.
///
/// # Errors
/// If a process cannot be started, or contestants disagree about the result.
pub fn run(workload: &str, options: &Options) -> io::Result<Vec<Row>> {
    let names = [&contestants::NAMES[..1], &options.chosen_contestants()].concat();
    let mut rows: Vec<Row> = names
        .into_iter()
        .map(|name| Row {
            name,
            samples: Vec::new(),
        })
        .collect();
    let mut checksum = None;
    for round in 0..options.rounds {
        eprintln!("{workload}: round {} of {}", round + 1, options.rounds);
        for row in &mut rows {
            if row.samples.len() < round {
                continue; // failed before
            }
            let Some(sample) = Sample::take(workload, row.name, options)? else {
                continue;
            };
            if sample.checksum != *checksum.get_or_insert(sample.checksum) {
                let error = format!("{} has another result than the others in {workload}", row.name);
                return Err(io::Error::other(error));
            }
            row.samples.push(sample);
        }
    }
    rows.retain(|row| row.samples.len() == options.rounds);
    Ok(rows)
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A figure with about three digits.
pub fn digits(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![0.5]), 0.5);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [0.284, 2.51, 12.34, 1234.5].map(digits),
            ["0.28", "2.51", "12.3", "1234"]
        );
    }
}
