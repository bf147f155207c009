//! The layers: a source file imports only from its own layer or from lower ones, and stays short.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files of `src/`, by layer. `lib.rs` stands above all.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["region"],
    &["native"],
    &["gc"],
    &["arena", "notify"],
    &["heap"],
];

/// Lines that a file has at most.
const LINES: usize = 600;

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The module path of a file: `["region", "class"]` of `region/class.rs`.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// The identifiers at the start of `text`: of `a::b`, the first; of `{a::b, c}`, the first of each.
fn heads(text: &str) -> Vec<String> {
    let identifier = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let Some(group) = text.strip_prefix('{') else {
        return vec![identifier(text)];
    };
    let (mut depth, mut start, mut found) = (0, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && !c.is_whitespace() => {
                found.push(identifier(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    found
}

/// The top-level modules that the code of a file names, by `crate::` or by `super::`.
fn imports(source: &str, module: &[String]) -> Vec<String> {
    let code: String = source
        .lines()
        .map(|line| line.split("//").next().unwrap().to_owned() + "\n")
        .collect();
    let starts = |name: &str| -> Vec<usize> {
        let whole = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || "_$:".contains(c));
        code.match_indices(name)
            .map(|(at, _)| at)
            .filter(|at| whole(*at))
            .collect()
    };
    let mut found: Vec<String> = starts("crate::").iter().flat_map(|at| heads(&code[at + 7..])).collect();
    for at in starts("super::") {
        let mut rest = &code[at..];
        let mut depth = module.len();
        while let Some(above) = rest.strip_prefix("super::") {
            (rest, depth) = (above, depth.saturating_sub(1));
        }
        match module.get(..depth) {
            Some([top, ..]) => found.push(top.clone()),
            _ => found.extend(heads(rest).into_iter().filter(|head| layer_of(head).is_some())),
        }
    }
    found
}

#[test]
fn files_import_from_their_own_layer_or_lower_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources are found");
    let mut count = 0;
    for file in &files {
        let name = file.strip_prefix(&root).unwrap();
        let source = fs::read_to_string(file).unwrap();
        let lines = source.lines().count();
        assert!(lines <= LINES, "{} has {lines} lines", name.display());
        let module = module_path(name);
        if module == ["lib"] {
            continue;
        }
        let layer = layer_of(&module[0]).unwrap_or_else(|| panic!("{} is in no layer", name.display()));
        for import in imports(&source, &module) {
            let other = layer_of(&import)
                .unwrap_or_else(|| panic!("{} imports {import}, which is in no layer", name.display()));
            assert!(
                other <= layer,
                "{} (layer {layer}) imports {import} (layer {other})",
                name.display()
            );
            count += 1;
        }
    }
    assert!(count > 50, "imports are found: {count}");
}

#[test]
fn imports_are_understood() {
    let module = |path: &[&str]| path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let source = "use crate::{base::{a, b}, heap::Heap}; // crate::gc\nlet x = super::super::native::y + super::z();";
    assert_eq!(
        imports(source, &module(&["region", "class"])),
        ["base", "heap", "native", "region"]
    );
    assert_eq!(
        imports("use super::*; use crate::notify;", &module(&["region"])),
        ["notify"]
    );
}
