//! Processes of the real binary: started on ports that are free, killed without mercy.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// Builds the binary if it is not there yet, and says where it is.
///
/// # Panics
/// If it cannot be built.
pub fn petrel() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build(["--bin", "petrel"], "petrel"))
}

/// The same for the broker whose disk fails when it is told to: see `runtime-mio/examples/failing_disk.rs`.
///
/// # Panics
/// If it cannot be built.
pub fn failing_disk() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build(["--example", "failing_disk"], "examples/failing_disk"))
}

fn build(target: [&str; 2], lies_at: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--quiet", "--package", "petrel-runtime-mio"]).args(target).status();
    assert!(built.is_ok_and(|status| status.success()), "{target:?} does not build");
    // target/debug/deps/<this test> -> target/debug/…
    let exe = std::env::current_exe().expect("a test has a path");
    exe.parent().and_then(Path::parent).expect("it lies in target/<profile>/deps").join(lies_at)
}

/// A port on the loopback address that nobody listens on, and neither on the one two below it.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listens = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let found = (0..100).find_map(|_| {
        let port = listens(0).ok()?.local_addr().ok()?.port();
        listens(port.checked_sub(2)?).is_ok().then_some(port)
    });
    found.expect("a free port")
}

/// Runs `petrel` with these arguments to its end.
///
/// # Panics
/// If it cannot be started.
#[must_use]
pub fn run(arguments: &[&str]) -> Output {
    Command::new(petrel()).args(arguments).stdin(Stdio::null()).output().expect("the binary starts")
}

/// A running process of the binary; killed when it goes out of scope.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `petrel` with these arguments and waits until it listens on `port`. What it prints goes to `log`, after what is there.
    ///
    /// # Panics
    /// If it does not come up within ten seconds; the message carries its log.
    #[must_use]
    pub fn start(arguments: &[&str], port: u16, log: &Path) -> Self {
        Self::start_program(petrel(), arguments, port, log)
    }

    /// [`Process::start`] of another program.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn start_program(program: &Path, arguments: &[&str], port: u16, log: &Path) -> Self {
        let out = fs::File::options().create(true).append(true).open(log).expect("the log can be written");
        let err = out.try_clone().expect("a file can be shared");
        let child = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("the binary starts");
        let mut process = Self { child, log: log.to_owned() };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let limit = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err() {
            let ended = process.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none() && Instant::now() < limit, "{arguments:?} is not up, ended: {ended:?}\n{}", process.printed());
            thread::sleep(Duration::from_millis(20));
        }
        process
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    #[must_use]
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, as `kill` does, and waits for up to five seconds.
    ///
    /// # Panics
    /// If it goes on.
    #[must_use]
    pub fn terminate(self) -> (ExitStatus, Duration) {
        self.end_by("TERM")
    }

    /// Sends it a signal that ends it, and waits for up to five seconds.
    ///
    /// # Panics
    /// If it goes on.
    #[must_use]
    pub fn end_by(mut self, signal: &str) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        let sent = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the signal {signal} cannot be sent");
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return (status, asked.elapsed());
            }
            assert!(asked.elapsed() < Duration::from_secs(5), "it goes on\n{}", self.printed());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
