//! What the figures depend on: the machine, the compiler, the date.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

/// The versions of everything that is built.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// One line for the head of the output, with the versions of these crates.
pub fn describe(peers: &[&str]) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name").and_then(|rest| rest.split(": ").nth(1)))
        .unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let versions: Vec<String> = peers
        .iter()
        .map(|name| format!("{name} {}", version_of(name).unwrap_or("?")))
        .collect();
    format!(
        "{}, {model}, {cores} cores, {} {}, {}, opt-level {}, fat LTO; peers: {}.",
        date(),
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("BENCH_RUSTC"),
        env!("BENCH_OPT_LEVEL"),
        versions.join(", "),
    )
}

fn version_of(name: &str) -> Option<&'static str> {
    let entry = LOCK
        .split("[[package]]")
        .find(|entry| entry.contains(&format!("\nname = \"{name}\"\n")))?;
    entry
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
}

/// Today, UTC, as year-month-day.
fn date() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// The Gregorian date of a day since 1970-01-01, by years that begin in March.
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_month)
}

#[cfg(test)]
mod tests {
    #[test]
    fn days_become_dates() {
        assert_eq!(super::civil(0), (1970, 1, 1));
        assert_eq!(super::civil(11_016), (2000, 2, 29));
        assert_eq!(super::civil(20_779), (2026, 11, 22));
    }
}
