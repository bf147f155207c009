//! Child processes: echoed, with a time limit, and ended with all their descendants when it passes.

use crate::error::{Error, Result, failed};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The limit of a command that does not set its own: longer than any build, shorter than a hosted job.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// A command to run. Its output goes to the terminal, unless it is captured.
pub struct Process {
    command: Command,
    limit: Duration,
    echo: bool,
    quiet: bool,
}

impl Process {
    /// A command that will run `program` in the current folder.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        // What `cargo run` told this program about its own package is no business of the children.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME" {
                command.env_remove(&*name);
            }
        }
        command.stdin(Stdio::null());
        Self {
            command,
            limit: LIMIT,
            echo: true,
            quiet: false,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes variables from the environment.
    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.command.env_remove(name);
        }
        self
    }

    /// Runs in `folder`.
    pub fn dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Reads standard input from `file`.
    pub fn input(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Writes standard error to `file`.
    pub fn errors(mut self, file: File) -> Self {
        self.command.stderr(file);
        self
    }

    /// Lets the child read the terminal, for a password.
    pub fn interactive(mut self) -> Self {
        self.command.stdin(Stdio::inherit());
        self
    }

    /// Ends the command after `seconds`.
    pub fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// Does not echo the command, as one of many.
    pub fn unseen(mut self) -> Self {
        self.echo = false;
        self
    }

    /// Neither echoes the command nor lets it write to the terminal.
    pub fn quiet(mut self) -> Self {
        self.echo = false;
        self.quiet = true;
        self
    }

    /// Runs, and fails on any status but 0.
    pub fn run(self) -> Result {
        let name = self.name();
        match self.status()? {
            0 => Ok(()),
            code => failed(format!("{name} ended with status {code}")),
        }
    }

    /// Runs, and says whether the status was 0; a program that cannot be started counts as a failure.
    pub fn succeeds(self) -> bool {
        self.status().is_ok_and(|code| code == 0)
    }

    /// Runs, and returns the exit status (128 + the signal's number for a signal, as a shell does).
    pub fn status(mut self) -> Result<i32> {
        if self.quiet {
            self.command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        if self.echo {
            eprintln!("$ {}", self.line());
        }
        let child = self.start()?;
        self.wait(child)
    }

    /// Runs, fails on any status but 0, and returns standard output. Errors still go to the terminal.
    pub fn output(mut self) -> Result<Vec<u8>> {
        let name = self.name();
        self.command.stdout(Stdio::piped());
        if self.quiet {
            self.command.stderr(Stdio::null());
        }
        let mut child = self.start()?;
        let mut pipe = child.stdout.take().expect("standard output is piped");
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| bytes)
        });
        let status = self.wait(child)?;
        let bytes = reader.join().expect("the reader does not panic")?;
        match status {
            0 => Ok(bytes),
            code => failed(format!("{name} ended with status {code}")),
        }
    }

    /// As [`Process::output`], as text without the last line break.
    pub fn text(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.output()?).trim_end().to_owned())
    }

    fn start(&mut self) -> Result<Child> {
        let name = self.name();
        self.command
            .spawn()
            .map_err(|error| Error::Failed(format!("cannot start {name}: {error}")))
    }

    fn wait(&self, mut child: Child) -> Result<i32> {
        let end = Instant::now() + self.limit;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(code(status));
            }
            if Instant::now() >= end {
                kill_tree(&mut child);
                return failed(format!("{} was ended after {} s", self.name(), self.limit.as_secs()));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// The program, and what may be the name of its task.
    fn name(&self) -> String {
        let program = Path::new(self.command.get_program())
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let task = self.command.get_args().next().map(|arg| arg.to_string_lossy());
        match task.filter(|task| task.chars().all(|c| c.is_ascii_alphanumeric())) {
            Some(task) => format!("`{program} {task}`"),
            None => format!("`{program}`"),
        }
    }

    /// The command as a user would type it: variables, program, arguments.
    fn line(&self) -> String {
        let mut words = Vec::new();
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                words.push(format!(
                    "{}={}",
                    name.to_string_lossy(),
                    quote(&value.to_string_lossy())
                ));
            }
        }
        let program = Path::new(self.command.get_program());
        words.push(
            program
                .file_name()
                .unwrap_or(program.as_os_str())
                .to_string_lossy()
                .into_owned(),
        );
        words.extend(self.command.get_args().map(|arg| quote(&arg.to_string_lossy())));
        words.join(" ")
    }
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{word}'")
    }
}

#[cfg(unix)]
fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(not(unix))]
fn code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

/// Ends a child and everything that it has started; without `/proc`, the child alone.
fn kill_tree(child: &mut Child) {
    let mut tree = vec![child.id()];
    let parents = parents();
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    for id in tree.iter().skip(1) {
        // A descendant that has ended by itself is what is wanted.
        let _ = Command::new("kill")
            .args(["-KILL", &id.to_string()])
            .stderr(Stdio::null())
            .status();
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// All processes as (id, parent).
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parent = |stat: &str| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok();
    entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("stat"))))
        .filter_map(|(id, stat)| Some((id, parent(&fs::read_to_string(stat).ok()?)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_passed_on() {
        assert_eq!(Process::new("sh").args(["-c", "exit 3"]).quiet().status().unwrap(), 3);
        assert!(Process::new("sh").args(["-c", "exit 3"]).quiet().run().is_err());
    }

    #[test]
    fn output_is_captured() {
        assert_eq!(Process::new("echo").arg("a b").text().unwrap(), "a b");
    }

    #[test]
    fn limit_ends_descendants() {
        let begin = Instant::now();
        // The pipe stays open as long as any descendant lives.
        let ended = Process::new("sh").args(["-c", "sleep 60 & wait"]).limit(1).output();
        assert!(ended.unwrap_err().to_string().contains("was ended after 1 s"));
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(
            Process::new("/usr/bin/env").env("A", "b c").args(["x", ""]).line(),
            "A='b c' env x ''"
        );
    }

    #[test]
    fn names_are_short() {
        assert_eq!(
            Process::new("/usr/bin/cargo").args(["test", "--lib"]).name(),
            "`cargo test`"
        );
        assert_eq!(Process::new("sh").args(["-c", "exit"]).name(), "`sh`");
    }
}
