//! Chooses the board for the target and writes its linker script (`board.x`) and its constants (`settings.rs`).

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo:rerun-if-env-changed=TERRACE_BOARD");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return; // a host needs neither
    }
    let board = Board::choose(&env::var("TARGET").expect("cargo sets TARGET"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    board.write_linker_script(&out);
    board.write_settings(&out);
    println!("cargo:rustc-link-search={}", out.display());
}

/// One folder of `targets/`.
struct Board {
    name: String,
    folder: PathBuf,
    settings: BTreeMap<String, String>,
}

impl Board {
    /// The board named by `TERRACE_BOARD`, or else the only one that is made for `target`.
    fn choose(target: &str) -> Self {
        let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
        let wanted = env::var("TERRACE_BOARD").ok().filter(|name| !name.is_empty());
        let mut boards: Vec<Self> = fs::read_dir(&root)
            .expect("targets/ is readable")
            .filter_map(|entry| Self::read(&entry.expect("targets/ is readable").path()))
            .filter(|board| {
                wanted
                    .as_ref()
                    .map_or(board.get("target") == target, |name| board.name == *name)
            })
            .collect();
        boards.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<_> = boards.iter().map(|board| board.name.clone()).collect();
        match (boards.pop(), names.len()) {
            (Some(board), 1) if board.get("target") == target => board,
            (Some(board), 1) => panic!("board {} is for {}, not for {target}", board.name, board.get("target")),
            (None, _) => panic!("no board in targets/ for {target} (TERRACE_BOARD = {wanted:?})"),
            (Some(_), _) => panic!("several boards for {target}, set TERRACE_BOARD to one of {names:?}"),
        }
    }

    /// The board in `folder`, if that is the folder of a board.
    fn read(folder: &Path) -> Option<Self> {
        let conf = folder.join("board.conf");
        let text = fs::read_to_string(&conf).ok()?;
        println!("cargo:rerun-if-changed={}", conf.display());
        println!("cargo:rerun-if-changed={}", folder.join("memory.x").display());
        let settings = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
            .map(|line| {
                line.split_once('=')
                    .unwrap_or_else(|| panic!("{}: no `=` in {line:?}", conf.display()))
            })
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let name = folder.file_name()?.to_str()?.to_owned();
        Some(Self {
            name,
            folder: folder.to_owned(),
            settings,
        })
    }

    fn get(&self, key: &str) -> &str {
        self.settings
            .get(key)
            .unwrap_or_else(|| panic!("board {} has no setting {key}", self.name))
    }

    /// How many cores there are: one, if nothing is said.
    fn cores(&self) -> u32 {
        let text = self.settings.get("cores");
        text.map_or(1, |text| self.number("cores", text))
    }

    fn number(&self, key: &str, text: &str) -> u32 {
        text.parse()
            .unwrap_or_else(|error| panic!("board {}, {key}: {error}", self.name))
    }

    /// `board.x`: everything that a program for this board is linked with, by one `-Tboard.x`.
    fn write_linker_script(&self, out: &Path) {
        fs::copy(self.folder.join("memory.x"), out.join("memory.x")).expect("the board has a memory.x");
        // cortex-m-rt's link.x includes memory.x itself, riscv-rt's does not.
        let riscv = self.get("target").starts_with("riscv");
        let harts = format!("INCLUDE memory.x\n_max_hart_id = {};\n", self.cores() - 1);
        let parts = [
            (riscv, harts.as_str()),
            (true, "INCLUDE link.x\n"),
            (env::var_os("CARGO_FEATURE_DEFMT").is_some(), "INCLUDE defmt.x\n"),
        ];
        let script: String = parts
            .iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, line)| *line)
            .collect();
        fs::write(out.join("board.x"), script).expect("OUT_DIR is writable");
    }

    /// `settings.rs`: what the crate says about the board, as constants.
    fn write_settings(&self, out: &Path) {
        let icount = self.settings.get("icount_shift");
        let text = format!(
            "/// The board's name, which is that of its folder in `targets/`.\n\
             pub const NAME: &str = {:?};\n\
             /// Bytes of a heap region that leave room for the program's own data and stack.\n\
             pub const REGION_BYTES: usize = {};\n\
             /// The cores of the board.\n\
             pub const CORES: usize = {};\n\
             const TIMER_HZ: u32 = {};\n\
             /// Virtual nanoseconds per instruction, as a power of two; `None` where time is the host's.\n\
             const ICOUNT_SHIFT: Option<u32> = {:?};\n",
            self.name,
            self.number("region", self.get("region")),
            self.cores(),
            self.number("timer_hz", self.get("timer_hz")),
            icount.map(|text| self.number("icount_shift", text)),
        );
        // ARMv6-M cores do not say what a fault is about.
        let target = self.get("target");
        let status = match target.starts_with("thumb") {
            true => format!("const HAS_FAULT_STATUS: bool = {};\n", !target.starts_with("thumbv6m")),
            false => String::new(),
        };
        fs::write(out.join("settings.rs"), text + &status).expect("OUT_DIR is writable");
    }
}
