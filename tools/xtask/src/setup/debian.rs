//! Debian's package archive as a source of Rust's library, without touching the machine's own apt settings.
//!
//! A private apt root takes only the archive's address and key from the machine. So the suites that hold new
//! compilers can be read on any Debian or Ubuntu release, by any user, and nothing gets installed.

use crate::error::{Result, failed, missing};
use crate::process::Process;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a release of Rust is looked for, the most likely suite first.
const SUITES: &[&str] = &[
    "trixie-backports",
    "sid",
    "forky",
    "experimental",
    "trixie",
    "bookworm-backports",
];

/// The source packages of Debian's two lines of compilers.
const PACKAGES: &[&str] = &["rust-src", "rust-web-src"];

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

const ARCHIVE: &str = "http://deb.debian.org/debian";

/// Unpacks the library of `release` below `folder`, as `usr/src/rustc-<release>/library`.
pub fn fetch_rust_src(release: &str, folder: &Path) -> Result {
    if !Process::new("apt-get").arg("--version").quiet().succeeds() {
        return missing("the library's source can be had by rustup, or from Debian by apt-get; there is neither");
    }
    if !Path::new(KEYRING).exists() {
        return missing("Debian's packages cannot be verified: please install debian-archive-keyring");
    }
    let apt = Apt::create(folder.join("apt"))?;
    let result = apt.fetch(release, folder);
    fs::remove_dir_all(&apt.root)?;
    result
}

/// A private apt root.
struct Apt {
    root: PathBuf,
}

impl Apt {
    fn create(root: PathBuf) -> Result<Self> {
        let _ = fs::remove_dir_all(&root);
        for folder in ["lists/partial", "cache/archives/partial", "parts"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("status"), "")?;
        Ok(Self { root })
    }

    fn fetch(&self, release: &str, folder: &Path) -> Result {
        let archive = archive(&sources());
        for suite in SUITES {
            let line = format!("deb [signed-by={KEYRING}] {archive} {suite} main\n");
            fs::write(self.root.join("sources.list"), line)?;
            if !self.program("apt-get").arg("update").succeeds() {
                continue;
            }
            let listing = self.program("apt-cache").arg("madison").args(PACKAGES).text()?;
            if let Some(package) = package_of(release, &listing) {
                self.program("apt-get").arg("download").arg(package).run()?;
                return self.unpack(release, folder);
            }
        }
        missing(format!(
            "neither rustup nor Debian has the library's source of Rust {release}"
        ))
    }

    fn program(&self, name: &str) -> Process {
        let settings = [
            ("Dir::Etc::SourceList", self.root.join("sources.list")),
            ("Dir::Etc::SourceParts", self.root.join("parts")),
            ("Dir::State::Lists", self.root.join("lists")),
            ("Dir::State::status", self.root.join("status")),
            ("Dir::Cache", self.root.join("cache")),
            ("Acquire::Languages", "none".into()),
            ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false".into()),
            // The private folders belong to the caller, not to the user that apt would switch to.
            ("APT::Sandbox::User", "root".into()),
        ];
        let settings = settings
            .iter()
            .flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={}", value.display())]);
        Process::new(name).arg("-q").args(settings).dir(&self.root).limit(300)
    }

    fn unpack(&self, release: &str, folder: &Path) -> Result {
        let files = fs::read_dir(&self.root)?.flatten().map(|file| file.path());
        let Some(package) = files
            .into_iter()
            .find(|path| path.extension().is_some_and(|end| end == "deb"))
        else {
            return failed("apt-get downloaded no package");
        };
        // As two steps, so that each status is seen; a pipe would hide the first.
        let tar = self.root.join("data.tar");
        fs::write(
            &tar,
            Process::new("dpkg-deb").arg("--fsys-tarfile").arg(package).output()?,
        )?;
        let library = format!("./usr/src/rustc-{release}/library");
        Process::new("tar")
            .arg("-xf")
            .arg(tar)
            .arg("-C")
            .arg(folder)
            .arg(library)
            .run()
    }
}

/// `name=version` of the package that holds `release`, from the listing of `apt-cache madison`.
fn package_of(release: &str, listing: &str) -> Option<String> {
    listing.lines().find_map(|line| {
        let mut columns = line.split('|').map(str::trim);
        let (name, version) = (columns.next()?, columns.next()?);
        version
            .strip_prefix(release)?
            .starts_with('+')
            .then(|| format!("{name}={version}"))
    })
}

/// The machine's own package sources, old and new style, as one text.
fn sources() -> String {
    let parts = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.path());
    let files = parts.into_iter().chain([PathBuf::from("/etc/apt/sources.list")]);
    files
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The mirror of Debian's archive that the machine uses already, or the public address.
fn archive(sources: &str) -> String {
    let lines = sources.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let words = lines
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace);
    let mut addresses = words.filter(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"));
    addresses.next().unwrap_or(ARCHIVE).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_must_be_the_same() {
        let listing = "rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://x trixie-backports/main amd64 Packages\n\
                       rust-web-src | 1.96.0+dfsg1-1 | http://x sid/main amd64 Packages";
        assert_eq!(
            package_of("1.95.0", listing).as_deref(),
            Some("rust-src=1.95.0+dfsg1-1~bpo13+1")
        );
        assert_eq!(
            package_of("1.96.0", listing).as_deref(),
            Some("rust-web-src=1.96.0+dfsg1-1")
        );
        assert_eq!(package_of("1.9", listing), None);
        assert_eq!(package_of("1.97.0", listing), None);
    }

    #[test]
    fn the_mirror_of_the_machine_is_used() {
        let new = "Types: deb\n# URIs: http://old/debian\nURIs: http://near.example/debian/\nSuites: bookworm";
        assert_eq!(archive(new), "http://near.example/debian/");
        let old =
            "deb http://security.example/debian-security x main\ndeb [arch=amd64] https://near.example/debian x main";
        assert_eq!(archive(old), "https://near.example/debian");
        assert_eq!(archive("deb http://archive.ubuntu.com/ubuntu noble main"), ARCHIVE);
    }
}
