//! Sets of features compile without warnings.
//!
//! Features are additive, but a `cfg` that is wrong in one combination only is easily written. It tells two features apart,
//! mostly, so tried are all sets with two features at most, and all that lack one at most; on bare metal, one.

use crate::error::{Error, Result};
use crate::workspace::{PACKAGE, Workspace};

/// Bare-metal targets without compare-and-swap: what compiles there compiles on the larger ones.
const SMALL: &[&str] = &["thumbv6m-none-eabi", "riscv32imc-unknown-none-elf"];

/// The feature whose dependencies want compare-and-swap. Where the core has none, the firmware supplies it, which
/// terrace-board does.
const SWAPS: &str = "spin";

pub fn powerset(workspace: &Workspace) -> Result<String> {
    let features = workspace.features();
    let mut count = 0;
    for set in subsets(&features) {
        let lacking = features.len() - set.len();
        if set.len() > 2 && lacking > 1 {
            continue;
        }
        count += 1;
        let names = set
            .iter()
            .map(|name| format!("{PACKAGE}/{name}"))
            .collect::<Vec<_>>()
            .join(",");
        lint(workspace, &names, &workspace.host, &[])?;
        let firmware: &[&str] = if set.contains(&SWAPS) {
            &["--package", "terrace-board"]
        } else {
            &[]
        };
        for target in SMALL.iter().filter(|_| set.len().min(lacking) <= 1) {
            lint(workspace, &names, target, firmware)?;
        }
    }
    Ok(format!(
        "{count} sets, those next to none or all on {} targets",
        SMALL.len() + 1
    ))
}

fn lint(workspace: &Workspace, features: &str, target: &str, args: &[&str]) -> Result {
    let linted = workspace
        .cargo("clippy")
        .args(["--quiet", "--lib", "--package", PACKAGE, "--target", target])
        .args(["--no-default-features", "--features", features])
        .args(args)
        .args(["--", "-D", "warnings"])
        .unseen()
        .run();
    linted.map_err(|error| Error::Failed(format!("{target}, features `{features}`: {error}")))
}

/// All subsets, smaller ones first.
fn subsets(features: &[String]) -> Vec<Vec<&str>> {
    let chosen = |set: usize| {
        features
            .iter()
            .enumerate()
            .filter(move |(index, _)| set >> index & 1 == 1)
    };
    let mut sets: Vec<Vec<&str>> = (0..1_usize << features.len())
        .map(|set| chosen(set).map(|(_, name)| name.as_str()).collect())
        .collect();
    sets.sort_by_key(Vec::len);
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_subsets_are_listed() {
        let features = ["a".to_owned(), "b".to_owned()];
        assert_eq!(subsets(&features), [vec![], vec!["a"], vec!["b"], vec!["a", "b"]]);
    }
}
