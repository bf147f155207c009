//! The summary at the end of a run.

use std::fmt;
use std::time::Duration;

/// How a step ended; the text is the remark, or the reason.
pub enum Outcome {
    Passed(String),
    Skipped(String),
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match self {
            Self::Passed(text) => ("passed", text),
            Self::Skipped(text) => ("SKIPPED", text),
            Self::Failed(text) => ("FAILED", text),
        };
        let gap = if text.is_empty() { "" } else { "  " };
        write!(f, "{word:7}{gap}{text}")
    }
}

/// What has been run so far.
#[derive(Default)]
pub struct Report {
    lines: Vec<(&'static str, Duration, Outcome)>,
}

impl Report {
    /// Adds the step `name`.
    pub fn add(&mut self, name: &'static str, time: Duration, outcome: Outcome) {
        self.lines.push((name, time, outcome));
    }

    /// Whether nothing failed.
    pub fn good(&self) -> bool {
        self.lines
            .iter()
            .all(|(_, _, outcome)| !matches!(outcome, Outcome::Failed(_)))
    }

    /// Prints the table, and the counts on a line of their own.
    pub fn print(&self) {
        println!("\n{self}");
    }

    fn count(&self, of: fn(&Outcome) -> bool) -> usize {
        self.lines.iter().filter(|(_, _, outcome)| of(outcome)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        for (name, time, outcome) in &self.lines {
            writeln!(f, "{name:width$}  {:6.1} s  {outcome}", time.as_secs_f64())?;
        }
        let passed = self.count(|outcome| matches!(outcome, Outcome::Passed(_)));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let mut report = Report::default();
        report.add("fmt", Duration::from_millis(1500), Outcome::Passed(String::new()));
        report.add("miri", Duration::ZERO, Outcome::Skipped("no Miri".to_owned()));
        assert!(report.good());
        report.add("x", Duration::ZERO, Outcome::Failed("broken".to_owned()));
        assert!(!report.good());
        let text = report.to_string();
        assert_eq!(text.lines().next(), Some("fmt      1.5 s  passed "));
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed, 1 skipped"));
    }
}
