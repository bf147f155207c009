//! The guide speaks of what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: PathBuf, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn texts(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(
        Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        extension,
        &mut found,
    );
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    found.into_iter().map(read).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// The types that the crate exports.
fn exported() -> BTreeSet<String> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let uses = lib.split(';').filter(|item| item.contains("pub use "));
    let types = uses.flat_map(|item| words(item.split("pub use ").nth(1).unwrap()));
    let is_type = |word: &&str| word.starts_with(|c: char| c.is_uppercase());
    types.filter(is_type).map(str::to_owned).collect()
}

/// Whether a line of the source defines a function, a field, a constant or a variant of this name.
fn defines(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    let starts = |prefix: &str| {
        let rest = line
            .find(prefix)
            .and_then(|at| line[at + prefix.len()..].strip_prefix(name));
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let is_variant = || {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([',', ' ', '{', '(']))
    };
    ["fn ", "pub ", "const "].into_iter().any(starts) || is_variant()
}

/// What stands between single backticks outside of blocks of code.
fn names(chapter: &str) -> Vec<&str> {
    let prose = chapter.split("```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn b9_every_method_field_and_variant_that_the_guide_names_exists() {
    let (sources, exported) = (texts("src", "rs"), exported());
    let lines: Vec<&str> = sources.iter().flat_map(|(_, text)| text.lines()).collect();
    let mut count = 0;
    for (path, chapter) in texts("docs/guide", "md") {
        for code in names(&chapter) {
            for (at, _) in code.match_indices("::") {
                let of = words(&code[..at]).last().unwrap();
                let name = words(&code[at + 2..]).next().unwrap();
                if exported.contains(of) && !name.is_empty() {
                    count += 1;
                    let exists = lines.iter().any(|line| defines(line, name));
                    assert!(exists, "{}: `{code}`, but there is no {name}", path.display());
                }
            }
        }
    }
    assert!(count > 100, "{count} names were looked at");
}

#[test]
fn b9_every_file_that_the_guide_leads_to_exists() {
    for (path, chapter) in texts("docs/guide", "md") {
        let targets = chapter.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for target in targets.filter(|target| !target.contains("//")) {
            let file = path.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.exists(), "{}: {target}", path.display());
        }
    }
}
