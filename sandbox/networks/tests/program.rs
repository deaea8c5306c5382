//! The program itself: configuration, readiness, a kill, a restart on the same books, an orderly end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{ACQUIRER, Authority, Client, Folder, VISA, about, config_file, get, payment};
use kura_iso8583::Class;

struct Program {
    child: Child,
    iso: SocketAddr,
    http: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Runs the program on ports of the system's choice, which it tells in its log when it is ready.
    fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kura-networks"))
            .args(["--config".as_ref(), config.as_os_str(), "serve".as_ref()])
            // Not the configuration's; once they stopped every service from starting.
            .envs([("KURA_LOG", "info"), ("KURA_PYTHON", "/usr/bin/python3")])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.find_map(|line| {
            let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            (event["message"] == "ready").then_some(event)
        });
        let ready = ready.expect("the program gets ready");
        let address = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let keep = Arc::clone(&log);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| keep.lock().unwrap().push_str(&format!("{line}\n")));
        });
        Self { child, iso: address("iso8583"), http: address("http"), log }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was answered survives a kill: the same reference is declined after the restart, and an approval can be refunded. Told
/// to end, the program ends by itself, with success.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill() {
    let folder = Folder::new();
    let networks = Authority::new(&folder, "networks");
    let server = networks.identity(&folder, ACQUIRER, &networks);
    let tls = networks.identity(&folder, "client.networks.example", &networks);
    let config = config_file(&folder, &server);

    let mut program = Program::start(&config);
    let mut client = Client::connect(program.iso, &tls).await.unwrap();
    assert_eq!(get(&format!("http://{}/healthz", program.http)).await.unwrap().0, 200);
    let original = payment(Class::Financial, 1, VISA);
    assert_eq!(client.code(&original).await, "00");
    program.child.kill().unwrap();
    program.child.wait().unwrap();

    let mut program = Program::start(&config);
    let mut client = Client::connect(program.iso, &tls).await.unwrap();
    assert_eq!(client.code(&original).await, "94");
    assert_eq!(client.code(&about(Class::Financial, 2, &original, 1000)).await, "00");
    let process = rustix::process::Pid::from_child(&program.child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    for _ in 0..100 {
        if let Some(status) = program.child.try_wait().unwrap() {
            assert!(status.success());
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the program did not end: {}", program.log.lock().unwrap());
}
