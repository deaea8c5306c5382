//! A running Kura: starting it, talking to it, hurting it, stopping it.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::run::Run;
use crate::{block_on, workspace};

const UP_WITHIN: Duration = Duration::from_secs(120);
const STOP_WITHIN: Duration = Duration::from_secs(60);
const READY_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);

/// How to start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    arguments: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    state: Option<PathBuf>,
    port_base: u16,
}

impl Options {
    /// Changes a value in a service's configuration: `gateway.rate_limits.per_key_burst=1`.
    #[must_use]
    pub fn set(mut self, setting: &str) -> Self {
        self.arguments.extend(["--set".to_owned(), setting.to_owned()]);
        self
    }

    /// With so many vault nodes: `vault`, `vault-1`, …
    #[must_use]
    pub fn vault_nodes(mut self, count: u8) -> Self {
        self.arguments.extend(["--vault-nodes".to_owned(), count.to_string()]);
        self
    }

    /// Goes on without this process when it dies.
    #[must_use]
    pub fn spare(mut self, name: &str) -> Self {
        self.arguments.extend(["--spare".to_owned(), name.to_owned()]);
        self
    }

    /// The vault's root key is from custodians' shares; sealed, the demo's custodians don't enter theirs.
    #[must_use]
    pub fn shamir(mut self, sealed: bool) -> Self {
        self.arguments.extend(["--key-provider".to_owned(), "shamir".to_owned()]);
        self.arguments.extend(sealed.then(|| "--sealed".to_owned()));
        self
    }

    /// Without the gateway's rate limits, for load.
    #[must_use]
    pub fn unlimited(self) -> Self {
        let limits = ["per_address_per_second", "per_address_burst", "per_key_per_second", "per_key_burst"];
        limits.iter().fold(self, |options, limit| options.set(&format!("gateway.rate_limits.{limit}=1000000")))
    }

    /// A service that dies is started again.
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.arguments.push("--restart".to_owned());
        self
    }

    /// With this variable, where the runner passes it on.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: PathBuf) -> Self {
        self.environment.push((name, value));
        self
    }

    /// On this state, which then stays when the stack ends.
    #[must_use]
    pub fn state(mut self, directory: PathBuf) -> Self {
        self.state = Some(directory);
        self
    }

    /// On the ports after this one, instead of any free ones.
    #[must_use]
    pub fn port_base(mut self, port: u16) -> Self {
        self.port_base = port;
        self
    }
}

/// A running Kura. Dropped, it stops.
#[derive(Debug)]
pub struct Stack {
    process: Mutex<Option<Child>>,
    state: PathBuf,
    keep: bool,
    run: Run,
}

/// An answer over HTTP, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Stack {
    /// The one that the tests of this program share, for those that leave it as they found it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Stack> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Options::default()))
    }

    /// One of its own, for tests that hurt it.
    ///
    /// # Panics
    /// With all that `kura up` said, when it does not get ready.
    pub fn start(options: Options) -> Self {
        Self::try_start(options).unwrap_or_else(|said| panic!("`kura up` did not get ready; it said:\n{said}"))
    }

    /// [`Self::start`], for a start that may well fail.
    ///
    /// # Errors
    /// What `kura up` said.
    pub fn try_start(options: Options) -> Result<Self, String> {
        build();
        keep_state_of_failures();
        let keep = options.state.is_some();
        let state = options.state.clone().unwrap_or_else(|| new_state(&workspace().join("target/kura-tests")));
        let logs = state.join("logs");
        std::fs::create_dir_all(&logs).expect("a directory for logs");
        let said = logs.join("up.log");
        let output = File::create(&said).expect("a log");
        let mut up = Command::new(program("kura"));
        up.args(["up", "--no-build", "--port-base", &options.port_base.to_string()])
            .args(["--stop-with-parent", &std::process::id().to_string()])
            .arg("--state")
            .arg(&state)
            .args(if keep { None } else { Some("--throwaway") })
            .args(&options.arguments)
            .current_dir(workspace())
            .envs(options.environment.iter().map(|(name, value)| (*name, value)))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output);
        let _ = std::fs::remove_file(state.join("run.json"));
        let mut process = up.spawn().expect("the runner is built");
        states().push(state.clone());
        let began = Instant::now();
        loop {
            if let Some(run) = read_run(&state) {
                return Ok(Self { process: Mutex::new(Some(process)), state, keep, run });
            }
            let ended = process.try_wait().expect("a child").is_some();
            if ended || began.elapsed() > UP_WITHIN {
                end(&mut process);
                let text = std::fs::read_to_string(&said).unwrap_or_default();
                return Err(format!("{text}\n(its state: {})", state.display()));
            }
            std::thread::sleep(TICK);
        }
    }

    /// Where everything is, as it was at the start.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Where everything is now: process numbers change with restarts.
    ///
    /// # Panics
    /// When it no longer runs.
    pub fn run_now(&self) -> Run {
        read_run(&self.state).expect("it runs")
    }

    /// The state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What a process has logged: `gateway`, `postgres-vault`, and `up` for the runner itself.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.state.join("logs").join(format!("{name}.log"))).unwrap_or_default()
    }

    /// A client without a proxy and with a limit on time.
    ///
    /// # Panics
    /// When TLS can't be set up.
    pub fn http() -> reqwest::Client {
        kura_platform::tls::public_http_client(ANSWER_WITHIN).expect("a client")
    }

    /// The same, which goes nowhere by itself.
    ///
    /// # Panics
    /// When TLS can't be set up.
    pub fn http_without_redirects() -> reqwest::Client {
        kura_platform::tls::public_http_client_without_redirects(ANSWER_WITHIN).expect("a client")
    }

    /// `GET`, without a key.
    pub fn get(&self, url: &str) -> Answer {
        answer(Self::http().get(url))
    }

    /// Calls the merchants' API with a form body.
    pub fn post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Answer {
        answer(Self::http().post(format!("{}{path}", self.run.gateway)).bearer_auth(key).form(form))
    }

    /// Calls the merchants' API with a JSON body.
    pub fn post_json(&self, path: &str, key: &str, body: &Value) -> Answer {
        answer(Self::http().post(format!("{}{path}", self.run.gateway)).bearer_auth(key).json(body))
    }

    /// Calls the merchants' API with an Idempotency-Key; `None` when no whole answer came back, as when its process dies.
    pub fn try_post(&self, path: &str, key: &str, idempotency_key: &str, form: &[(&str, &str)]) -> Option<Answer> {
        let request = Self::http().post(format!("{}{path}", self.run.gateway)).bearer_auth(key);
        let request = request.header("idempotency-key", idempotency_key).form(form);
        block_on(read(request)).ok()
    }

    /// Reads from the merchants' API.
    pub fn read(&self, path: &str, key: &str) -> Answer {
        answer(Self::http().get(format!("{}{path}", self.run.gateway)).bearer_auth(key))
    }

    /// Deletes over the merchants' API.
    pub fn delete(&self, path: &str, key: &str) -> Answer {
        answer(Self::http().delete(format!("{}{path}", self.run.gateway)).bearer_auth(key))
    }

    /// Runs SQL as the superuser in the database `vault`, `gateway` or `admin`; gives rows as lines, columns split by `|`.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        self.psql(database, "postgres", statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Runs SQL as the role of a service itself: what a thief of its connection could.
    ///
    /// # Errors
    /// What the database said.
    pub fn sql_as_service(&self, service: &str, statement: &str) -> Result<String, String> {
        self.sql_as(service, &format!("{service}_app"), statement)
    }

    /// Runs SQL as one of the roles of a service.
    ///
    /// # Errors
    /// What the database said.
    pub fn sql_as(&self, service: &str, role: &str, statement: &str) -> Result<String, String> {
        self.psql(service, role, statement)
    }

    fn psql(&self, database: &str, role: &str, statement: &str) -> Result<String, String> {
        let cluster = &self.run.postgres[if database == "vault" { "vault" } else { "main" }];
        let mut psql = Command::new(&cluster.psql);
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"])
            .arg(format!("--host={}", cluster.socket.display()))
            .args(["--port", &cluster.port.to_string(), "--username", role, "--dbname", database])
            .args(["--command", statement])
            .env("PGPASSFILE", &cluster.pgpass)
            .stdin(Stdio::null());
        if role != "postgres" {
            let name = if role.ends_with("_work") { "database-work.password" } else { "database.password" };
            let file = self.state.join(database).join(name);
            psql.env("PGPASSWORD", std::fs::read_to_string(file).expect("the role's password").trim_end());
        }
        let output = psql.output().expect("psql");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(out.trim_end().to_owned()) } else { Err(err.into_owned()) }
    }

    /// Runs `kura vault …` on this Kura; gives what it printed.
    ///
    /// # Errors
    /// What it said, when it failed.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn vault(&self, arguments: &[&str]) -> Result<String, String> {
        self.vault_with(arguments, "")
    }

    /// One of a service's own commands with its configuration; gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn command(&self, service: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program(&format!("kura-{service}")));
        command.arg("--config").arg(self.state.join(service).join(format!("{service}.toml"))).args(arguments);
        let output = command.stdin(Stdio::null()).output().expect("the service is built");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Tells a process to end, as an operator would.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn terminate(&self, name: &str) {
        let pid = self.run_now().pids[name];
        kill_process(Pid::from_raw(pid).expect("a process number"), Signal::TERM).expect("it runs");
    }

    /// Holds a process still (`true`) or lets it go on.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn hold_still(&self, name: &str, still: bool) {
        let pid = self.run_now().pids[name];
        let signal = if still { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_raw(pid).expect("a process number"), signal).expect("it runs");
    }

    /// `kura vault …` on this stack, with this on its standard input. Gives what it wrote to standard output, or what it
    /// refused with.
    ///
    /// # Errors
    /// Its standard error, when it fails.
    ///
    /// # Panics
    /// When it can't be run.
    pub fn vault_with(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(program("kura"));
        command.args(["vault", "--state"]).arg(&self.state).args(arguments).env("NO_COLOR", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the runner is built");
        // One that fails early doesn't read.
        let _ = std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), input.as_bytes());
        let output = child.wait_with_output().expect("a child");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{}\n{}", text(&output.stdout), text(&output.stderr)))
        }
    }

    /// Where the database of a service is reached, as that service's own role.
    ///
    /// # Panics
    /// When its password can't be read.
    pub fn database(&self, service: &str) -> kura_platform::database::DatabaseConfig {
        let cluster = &self.run.postgres[if service == "vault" { "vault" } else { "main" }];
        kura_platform::database::DatabaseConfig {
            url: format!(
                "postgres:///{service}?host={}&port={}&user={service}_app",
                cluster.socket.display(),
                cluster.port
            ),
            password_file: self.state.join(service).join("database.password"),
            max_connections: 4,
        }
    }

    /// Ends a process without a chance to tidy up, as a crash or a thief would.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn kill9(&self, name: &str) -> i32 {
        let pid = self.run_now().pids[name];
        kill_process(Pid::from_raw(pid).expect("a process number"), Signal::KILL).expect("it runs");
        pid
    }

    /// Kills the runner itself, which then can stop nothing.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn kill9_runner(&self) {
        let mut process = self.process.lock().expect("the lock");
        let mut child = process.take().expect("it was not stopped before");
        child.kill().expect("it runs");
        child.wait().expect("a child");
    }

    /// Stops a process where it stands, until [`Self::go_on`].
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn pause(&self, name: &str) {
        self.signal(name, Signal::STOP);
    }

    /// After [`Self::pause`].
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn go_on(&self, name: &str) {
        self.signal(name, Signal::CONT);
    }

    fn signal(&self, name: &str, signal: Signal) {
        let pid = self.run_now().pids[name];
        kill_process(Pid::from_raw(pid).expect("a process number"), signal).expect("it runs");
    }

    /// [`Self::kill9`], and waits until its successor is ready. Needs [`Options::restart`].
    ///
    /// # Panics
    /// When it isn't in time.
    pub fn kill9_and_wait(&self, name: &str) {
        let old = self.kill9(name);
        self.wait_restarted(name, old);
    }

    /// Waits until a process has a successor that is ready. Needs [`Options::restart`].
    ///
    /// # Panics
    /// When it isn't in time.
    pub fn wait_restarted(&self, name: &str, old: i32) {
        wait_for(&format!("{name} to be started again"), || {
            read_run(&self.state).is_some_and(|run| run.pids.get(name).is_some_and(|pid| *pid != old))
        });
        self.wait_ready(name);
    }

    /// Waits until a process does its work.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub fn wait_ready(&self, name: &str) {
        let run = &self.run;
        wait_for(&format!("{name} to be ready"), || match name {
            "gateway" => is_healthy(&run.gateway),
            "admin" => is_healthy(&run.admin),
            "fronts" => is_healthy(&run.fronts),
            "networks" => is_healthy(&run.networks),
            "vault" => std::net::TcpStream::connect(run.vault_data_plane).is_ok(),
            node if node.starts_with("vault-") => {
                let vault = run.vaults.iter().find(|vault| node.ends_with(&format!("-{}", vault.node)));
                std::net::TcpStream::connect(vault.expect("a node that was started").data_plane).is_ok()
            }
            "postgres-vault" => self.psql("vault", "postgres", "SELECT 1").is_ok(),
            "postgres-main" => self.psql("gateway", "postgres", "SELECT 1").is_ok(),
            other => panic!("no process is called {other}"),
        });
    }

    /// Waits for the runner to end by itself; gives how.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub fn wait_for_end(&self) -> ExitStatus {
        let mut process = self.process.lock().expect("the lock");
        let mut child = process.take().expect("it was not stopped before");
        wait_for_child(&mut child).expect("the runner ends in time")
    }

    /// Stops it as Ctrl-C does; gives how it ended.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub fn stop(&self) -> ExitStatus {
        let mut process = self.process.lock().expect("the lock");
        end(process.as_mut().expect("it was not stopped before"));
        let mut child = process.take().expect("just seen");
        child.wait().expect("a child")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.keep {
            mark_failed(&self.state);
        }
        if let Ok(process) = self.process.get_mut()
            && let Some(mut child) = process.take()
        {
            end(&mut child);
        }
    }
}

fn answer(request: reqwest::RequestBuilder) -> Answer {
    block_on(read(request)).expect("a whole answer")
}

async fn read(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, text: response.text().await? })
}

fn is_healthy(base: &str) -> bool {
    let request = Stack::http().get(format!("{base}/healthz")).timeout(Duration::from_secs(2));
    block_on(async { request.send().await.is_ok_and(|answer| answer.status() == 200) })
}

/// Waits until something is so.
fn wait_for(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < READY_WITHIN, "waited too long for {what}");
        std::thread::sleep(TICK);
    }
}

fn read_run(state: &Path) -> Option<Run> {
    let json = std::fs::read(state.join("run.json")).ok()?;
    Some(serde_json::from_slice(&json).expect("run.json has the shape that the tests know"))
}

fn end(child: &mut Child) {
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
    if wait_for_child(child).is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn wait_for_child(child: &mut Child) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < STOP_WITHIN {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        std::thread::sleep(TICK);
    }
    None
}

/// A directory that no other run uses, and whose path is short.
fn new_state(under: &Path) -> PathBuf {
    let tag: String = kura_platform::random::bytes::<4>().iter().map(|byte| format!("{byte:02x}")).collect();
    under.join(tag)
}

/// A program of the workspace: beside this one, or, for a test program, beside the directory that it is in.
///
/// # Panics
/// When this program can't tell where it is.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let directory = own.parent().expect("a program is in a directory");
    let built = if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
    built.expect("cargo's target directory").join(name)
}

/// Tests of one crate don't make cargo build the programs of another, so they are built here, unless the caller has done so
/// (`cargo kura test`).
fn build() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        if std::env::var_os("KURA_NO_BUILD").is_some() {
            return;
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--release", "--workspace", "--bins"]).current_dir(workspace());
        assert!(cargo.status().expect("cargo").success(), "the programs don't compile");
    });
}

/// The state directories of this test program.
fn states() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    static STATES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    STATES.lock().expect("the lock")
}

/// From the first failure on, every state is kept: nobody can tell which of them matters.
fn keep_state_of_failures() {
    static HOOKED: OnceLock<()> = OnceLock::new();
    HOOKED.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            for state in states().iter() {
                mark_failed(state);
            }
            before(panic);
        }));
    });
}

fn mark_failed(state: &Path) {
    if state.is_dir() {
        let mut options = std::fs::OpenOptions::new();
        let _ = options.create(true).append(true).mode(0o600).open(state.join("failed"));
    }
}
