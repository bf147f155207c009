//! The facts that every task needs: where the project is, which compiler builds it, what its manifests say.

use crate::error::{Error, Result, failed};
use crate::process::Process;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The package that is published.
pub const PACKAGE: &str = "terrace";

/// The project and the compiler in use.
pub struct Workspace {
    /// The folder of the root manifest.
    pub root: PathBuf,
    /// Where cargo builds; each kind of instrumentation has a folder of its own below it.
    pub target: PathBuf,
    /// The target of this machine, such as `x86_64-unknown-linux-gnu`.
    pub host: String,
    /// The release of the compiler, such as `1.95.0`, without `-nightly`.
    pub release: String,
    /// The folder of the compiler's own libraries.
    pub sysroot: PathBuf,
    package: Value,
}

/// An example program of the package, and the features that it asks for.
pub struct Example {
    pub name: String,
    pub features: Vec<String>,
}

impl Example {
    /// Whether its output is frames of defmt. Such a program links a logger that exists on bare metal only.
    pub fn is_logged(&self) -> bool {
        self.features.iter().any(|name| name == "defmt")
    }
}

impl Workspace {
    /// Reads the project around this program's own source.
    pub fn open() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here
            .ancestors()
            .nth(2)
            .expect("the package lies two folders below the root")
            .to_owned();
        let version = Process::new("rustc").arg("-vV").text()?;
        let field = |name: &str| {
            let value = version
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value
                .map(str::to_owned)
                .ok_or_else(|| Error::Failed(format!("`rustc -vV` does not name the {name}")))
        };
        let release = field("release")?.split('-').next().unwrap_or_default().to_owned();
        let metadata = metadata(&root.join("Cargo.toml"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let Some(package) = packages.into_iter().find(|package| package["name"] == PACKAGE) else {
            return failed(format!("no package `{PACKAGE}` in the workspace"));
        };
        Ok(Self {
            target: PathBuf::from(text(&metadata["target_directory"])),
            host: field("host")?,
            sysroot: PathBuf::from(Process::new("rustc").args(["--print", "sysroot"]).text()?),
            package: package.clone(),
            root,
            release,
        })
    }

    /// Cargo, in the root folder.
    pub fn cargo(&self, command: &str) -> Process {
        Process::new(cargo()).arg(command).dir(&self.root)
    }

    /// The features of the package that a stable compiler can build, without `default`.
    pub fn features(&self) -> Vec<String> {
        let features = self.package["features"].as_object().into_iter().flatten();
        features
            .map(|(name, _)| name.clone())
            .filter(|name| name != "default" && name != "nightly")
            .collect()
    }

    /// [`Workspace::features`] for the command line of a call that concerns several packages.
    pub fn all_features(&self) -> String {
        let qualified: Vec<_> = self.features().iter().map(|name| format!("{PACKAGE}/{name}")).collect();
        qualified.join(",")
    }

    /// The features with which tests can be linked on a host, fast: no logger is there, and no expensive checks.
    pub fn host_features(&self) -> Vec<String> {
        self.features()
            .into_iter()
            .filter(|name| name != "defmt" && name != "check")
            .collect()
    }

    /// The features with which docs.rs builds the documentation.
    pub fn documented_features(&self) -> Vec<String> {
        strings(&self.package["metadata"]["docs"]["rs"]["features"])
    }

    /// Whether the manifest lets an example run on a board. It does, unless `package.metadata.boards` names others.
    pub fn runs_on(&self, example: &str, board: &str) -> bool {
        let boards = &self.package["metadata"]["boards"][example];
        boards.is_null() || strings(boards).iter().any(|name| name == board)
    }

    /// The manifests of tools that are workspaces of their own.
    pub fn outsiders(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.join("tools")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() && entry.file_name() != "target" {
                    folders.push(path);
                } else if entry.file_name() == "Cargo.toml" && has_workspace(&fs::read_to_string(&path)?) {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The examples of the package, by name.
    pub fn examples(&self) -> Vec<Example> {
        let targets = self.package["targets"].as_array().into_iter().flatten();
        let example = |target: &Value| Example {
            name: target["name"].as_str().unwrap_or_default().to_owned(),
            features: strings(&target["required-features"]),
        };
        let mut found: Vec<_> = targets
            .filter(|target| target["kind"][0] == "example")
            .map(example)
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// The oldest compiler that the manifest promises, such as `1.95`.
    pub fn rust_version(&self) -> &str {
        self.package["rust_version"].as_str().unwrap_or_default()
    }

    /// Whether that is the compiler in use.
    pub fn is_oldest(&self) -> bool {
        let minor = |release: &str| release.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
        minor(self.rust_version()) == minor(&self.release)
    }
}

/// What cargo says of a manifest and of its workspace, without dependencies.
pub fn metadata(manifest: &Path) -> Result<Value> {
    let text = Process::new(cargo())
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()?;
    serde_json::from_slice(&text).map_err(|error| Error::Failed(format!("cannot read `cargo metadata`: {error}")))
}

/// The programs that a cargo run with `--message-format=json` has built, as (target name, path).
pub fn executables(messages: &[u8]) -> Vec<(String, PathBuf)> {
    let messages = String::from_utf8_lossy(messages);
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            Some((
                message["target"]["name"].as_str()?.into(),
                message["executable"].as_str()?.into(),
            ))
        })
        .collect()
}

fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

fn has_workspace(manifest: &str) -> bool {
    manifest.lines().any(|line| line.trim() == "[workspace]")
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_messages() {
        let messages = br#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":"/x/a-1"}
{"reason":"compiler-artifact","target":{"name":"b"},"executable":null}
not a message
{"reason":"build-finished","success":true}"#;
        assert_eq!(executables(messages), [("a".to_owned(), PathBuf::from("/x/a-1"))]);
    }

    #[test]
    fn the_workspace_is_read() {
        let workspace = Workspace::open().unwrap();
        assert!(workspace.root.join("tools/xtask/Cargo.toml").is_file());
        assert!(workspace.features().iter().any(|name| name == "critical-section"));
        assert!(
            workspace
                .features()
                .iter()
                .all(|name| name != "default" && name != "nightly")
        );
        assert!(!workspace.rust_version().is_empty());
    }
}
