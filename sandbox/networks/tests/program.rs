//! The program itself: configuration, readiness, a kill, a restart on the same books, an orderly end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{ACQUIRER, Authority, Client, Folder, VISA, about, config_file, get, listen, payment};
use kura_iso8583::Class;

struct Program(Child);

impl Program {
    async fn start(config: &Path, http: SocketAddr) -> Self {
        let program = Self(
            Command::new(env!("CARGO_BIN_EXE_kura-networks"))
                .args(["--config".as_ref(), config.as_os_str(), "serve".as_ref()])
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        for _ in 0..200 {
            if get(&format!("http://{http}/healthz")).await.is_some_and(|(status, _)| status == 200) {
                return program;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("the program did not get ready");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
    let (iso, http) = (listen().1, listen().1);
    let config = config_file(&folder, &server, iso, http);

    let mut program = Program::start(&config, http).await;
    let mut client = Client::connect(iso, &tls).await.unwrap();
    let original = payment(Class::Financial, 1, VISA);
    assert_eq!(client.code(&original).await, "00");
    program.0.kill().unwrap();
    program.0.wait().unwrap();

    let mut program = Program::start(&config, http).await;
    let mut client = Client::connect(iso, &tls).await.unwrap();
    assert_eq!(client.code(&original).await, "94");
    assert_eq!(client.code(&about(Class::Financial, 2, &original, 1000)).await, "00");
    let process = rustix::process::Pid::from_child(&program.0);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    for _ in 0..100 {
        if let Some(status) = program.0.try_wait().unwrap() {
            assert!(status.success());
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the program did not end");
}
