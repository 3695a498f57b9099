//! The real program as a child process: started with a folder of its own, watched, signalled, always ended.
//!
//! Owns the child and what it printed. Refuses fixed waits: everything that takes time is polled under a deadline.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Long enough for a loaded machine with two cores; a test that gets here has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder, an environment and settings that programs are started with. The folder goes when this is dropped.
pub struct Home {
    dir: TempDir,
    env: Vec<(String, String)>,
}

impl Home {
    /// A new empty folder. Nothing of the test's own environment but `PATH` reaches the program.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tidegate-test-").tempdir().expect("a temporary folder can be made");
        Self { dir, env: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file below the folder, making the folders on its way.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A setting, by its dotted name (`scheduler.workers`), as the environment variable of that setting.
    pub fn setting(&mut self, key: &str, value: impl fmt::Display) -> &mut Self {
        let name = format!("TIDEGATE_{}", key.to_uppercase().replace('.', "__"));
        self.variable(&name, value)
    }

    /// An environment variable, by its own name (for `env:NAME` credentials).
    pub fn variable(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// Starts `tidegate` with these arguments.
    pub fn start(&self, args: &[&str]) -> Daemon {
        self.start_program(Path::new(env!("CARGO_BIN_EXE_tidegate")), args)
    }

    /// Runs `tidegate` to its end within [`PATIENCE`].
    pub async fn run(&self, args: &[&str]) -> Finished {
        self.start(args).wait(PATIENCE).await
    }

    /// As [`Home::run`], with a text on standard input.
    pub async fn run_with(&self, args: &[&str], input: &str) -> Finished {
        use tokio::io::AsyncWriteExt as _;
        let program = Path::new(env!("CARGO_BIN_EXE_tidegate"));
        let mut daemon = self.start_reading(program, args, Stdio::piped());
        let mut stdin = daemon.child.stdin.take().expect("standard input is piped");
        // A program that refuses early does not read it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        daemon.wait(PATIENCE).await
    }

    /// As [`Home::run`], and the exit code must be 0.
    pub async fn run_ok(&self, args: &[&str]) -> Finished {
        let done = self.run(args).await;
        assert!(done.code() == Some(0), "tidegate {} did not succeed\n{done}", args.join(" "));
        done
    }

    /// Starts another program in the same folder and environment.
    pub fn start_program(&self, program: &Path, args: &[&str]) -> Daemon {
        self.start_reading(program, args, Stdio::null())
    }

    fn start_reading(&self, program: &Path, args: &[&str], stdin: Stdio) -> Daemon {
        let mut child = Command::new(program)
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let stdout = Heard::of(child.stdout.take().expect("standard output is piped"));
        let stderr = Heard::of(child.stderr.take().expect("standard error is piped"));
        Daemon { child, stdout, stderr }
    }
}

/// What a stream has said so far.
struct Heard {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Heard {
    fn of(stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let reader = tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).await.is_ok_and(|bytes| bytes > 0) {
                sink.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// All of it, once the program has ended. A grandchild may keep the pipe open, hence the bound.
    async fn rest(self) -> String {
        let _ = timeout(Duration::from_secs(5), self.reader).await;
        self.text.lock().unwrap().clone()
    }
}

/// A running program. Killed when dropped.
pub struct Daemon {
    child: Child,
    stdout: Heard,
    stderr: Heard,
}

impl Daemon {
    /// # Panics
    /// When the program has been waited for.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the program has not been waited for")
    }

    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Sends a signal to this process, by its id.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a child's id is a positive number");
        kill_process(pid, signal).expect("a child that was not waited for can be signalled");
    }

    /// SIGTERM: asks it to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.start_kill().expect("a child that was not waited for can be killed");
        self.child.wait().await.expect("a killed child can be waited for");
    }

    /// SIGSTOP: freezes it, until [`Daemon::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_some()
    }

    /// Waits for its end; kills it and fails the test when that takes longer than `limit`.
    pub async fn wait(mut self, limit: Duration) -> Finished {
        let Ok(status) = timeout(limit, self.child.wait()).await else {
            panic!("still running after {limit:?}\nstdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
        };
        let status = status.expect("a child can be waited for");
        Finished { status, stdout: self.stdout.rest().await, stderr: self.stderr.rest().await }
    }

    /// As [`Daemon::wait`], and the most memory that it had in KiB, as far as the system tells.
    pub async fn wait_measured(mut self, limit: Duration) -> (Finished, u64) {
        let deadline = Instant::now() + limit;
        let status_file = format!("/proc/{}/status", self.pid());
        let mut peak = 0;
        while !self.has_ended() {
            let status = std::fs::read_to_string(&status_file).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
            peak = peak.max(now);
            if Instant::now() >= deadline {
                break;
            }
            sleep(POLL).await;
        }
        (self.wait(POLL).await, peak)
    }

    /// Waits until a line of standard output or standard error holds `part`; gives the line.
    pub async fn wait_for_line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Asked first, so that a last line is not missed.
            let ended = self.has_ended() && self.stdout.reader.is_finished() && self.stderr.reader.is_finished();
            for text in [self.stdout(), self.stderr()] {
                if let Some(line) = text.lines().find(|line| line.contains(part)) {
                    return line.to_owned();
                }
            }
            assert!(
                !ended && Instant::now() < deadline,
                "no line with '{part}'\nstdout:\n{}\nstderr:\n{}",
                self.stdout(),
                self.stderr()
            );
            sleep(POLL).await;
        }
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as the one JSON document that `--json` promises.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not one JSON document: {error}\n{self}"))
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nstdout:\n{}\nstderr:\n{}", self.status, self.stdout, self.stderr)
    }
}

/// Looks at a condition until it gives a value; fails the test after [`PATIENCE`], saying what was waited for.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain until {what}");
        sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Home, Daemon) {
        let mut home = Home::new();
        home.setting("database.traffic.url", "sqlite://x");
        let child = home.start_program(Path::new("/bin/sh"), &["-c", script]);
        (home, child)
    }

    #[tokio::test]
    async fn a_program_gets_its_settings_and_its_output_and_code_come_back() {
        let (_home, child) = shell("echo '\"'$TIDEGATE_DATABASE__TRAFFIC__URL'\"'; echo no >&2; exit 3");
        let done = child.wait(PATIENCE).await;
        assert_eq!((done.code(), done.stdout.as_str(), done.stderr.as_str()), (Some(3), "\"sqlite://x\"\n", "no\n"));
        assert_eq!(done.json(), "sqlite://x");
    }

    #[tokio::test]
    async fn the_program_itself_runs_in_its_own_folder() {
        let home = Home::new();
        let file = home.write("config/tidegate.toml", "");
        assert!(file.starts_with(home.path()) && file.exists());
        home.run_ok(&["--version"]).await;
    }

    #[tokio::test]
    async fn a_frozen_program_does_nothing_until_it_is_thawed() {
        let (_home, mut child) = shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
        child.wait_for_line("ready").await;
        child.freeze();
        let state = format!("/proc/{}/stat", child.pid());
        eventually("the program is stopped", async || {
            std::fs::read_to_string(&state).unwrap().contains(") T ").then_some(())
        })
        .await;
        child.terminate();
        assert!(!child.has_ended() && !child.stdout().contains("bye"));
        child.thaw();
        let done = child.wait(PATIENCE).await;
        assert_eq!((done.code(), done.stdout.as_str()), (Some(0), "ready\nbye\n"));
    }

    #[tokio::test]
    async fn a_killed_program_is_gone() {
        let (_home, mut child) = shell("echo ready; exec sleep 600");
        child.wait_for_line("ready").await;
        let process = format!("/proc/{}", child.pid());
        child.kill().await;
        assert!(!Path::new(&process).exists());
    }
}
