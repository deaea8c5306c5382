//! `cargo kura up`, as a person meets it: it starts from nothing, keeps what it made, says what is wrong, and leaves nothing
//! behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kura_tests::{Options, Stack, workspace};

/// A state directory that outlives one stack, for tests that start twice on it.
struct Lasting(PathBuf);

impl Lasting {
    fn new(name: &str) -> Self {
        let path = workspace().join("target/kura-tests").join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn options(&self) -> Options {
        Options::default().state(self.0.clone())
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            if let Ok(databases) = self.0.join("postgres").canonicalize() {
                let _ = std::fs::remove_dir_all(databases);
            }
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Every file below that holds a secret is for its owner only. PostgreSQL sees to its own.
fn readable_by_others(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("postgres") || path.ends_with("logs") || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            readable_by_others(&path, found);
        } else if !path.ends_with("lock") && mode(&path) & 0o077 != 0 {
            found.push(path);
        }
    }
}

/// From an empty directory, every service answers its health check, both sample merchants have keys of the documented
/// kinds, and nothing secret can be read by another user of the machine.
#[test]
fn it_starts_from_nothing() {
    let stack = Stack::shared();
    let run = stack.run();
    for base in [&run.gateway, &run.admin, &run.fronts, &run.networks] {
        assert_eq!(stack.get(&format!("{base}/healthz")).status, 200, "{base}");
    }
    assert!(run.keys.pk_test.starts_with("pk_test_") && run.keys.sk_test.starts_with("sk_test_"));
    assert!(run.keys.other_sk_test.starts_with("sk_test_") && run.keys.other_sk_test != run.keys.sk_test);
    assert_ne!(run.merchants.main, run.merchants.other);
    assert!(run.admin_enrolment.as_ref().is_some_and(|link| link.starts_with(&run.admin)));
    assert_eq!(mode(&run.state.join("run.json")), 0o600);
    assert_eq!(mode(&run.state) & 0o066, 0, "nobody else lists the state directory");
    let mut open = Vec::new();
    readable_by_others(&run.state, &mut open);
    assert!(open.is_empty(), "readable by others: {open:?}");
    for (service, pid) in &run.pids {
        assert!(is_running(*pid), "{service}");
    }
}

/// The services' database roles can't make, change or drop a table, nor enter another service's database; statements of
/// theirs end after four seconds.
#[test]
fn service_roles_are_bounded() {
    let stack = Stack::shared();
    for service in ["vault", "gateway", "admin"] {
        let refused = stack.sql_as_service(service, "CREATE TABLE mine (a int)").unwrap_err();
        assert!(refused.contains("permission denied"), "{service}: {refused}");
        assert_eq!(stack.sql_as_service(service, "SHOW statement_timeout").unwrap(), "4s");
        let rights =
            format!("SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = '{service}_app'");
        assert_eq!(stack.sql(service, &rights), "f");
        let others = format!(
            "SELECT count(*) FROM pg_database WHERE datname <> '{service}' AND datallowconn \
             AND has_database_privilege('{service}_app', datname, 'CONNECT')"
        );
        assert_eq!(stack.sql(service, &others), "0", "{service} enters no other database");
    }
}

/// A second start finds the data of the first: the same merchants with the same keys. And it ends everything that it began.
#[test]
fn it_keeps_what_it_made_and_leaves_nothing_running() {
    let lasting = Lasting::new("twice");
    let first = Stack::start(lasting.options());
    let (keys, pids) = (first.run().keys.clone(), first.run().pids.clone());
    assert!(first.stop().success());
    assert!(!lasting.0.join("run.json").exists(), "run.json tells of nothing that no longer runs");
    for (service, pid) in pids {
        assert!(!is_running(pid), "{service} outlived its runner");
    }

    let second = Stack::start(lasting.options());
    assert_eq!(second.run().keys.sk_test, keys.sk_test);
    let charge = [("amount", "1200"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let answer = second.post("/v1/payment_intents", &keys.sk_test, &charge);
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("succeeded")), "{}", answer.text);

    let third = Stack::try_start(lasting.options()).unwrap_err();
    assert!(third.contains("already runs"), "{third}");
    assert_eq!(second.get(&format!("{}/healthz", second.run().gateway)).status, 200, "the refused one did no harm");
}

/// A port in use is named together with what wanted it and the option that chooses others.
#[test]
fn a_port_in_use_is_named() {
    let held = (20_000..60_000).step_by(1000).find_map(|base: u16| {
        let listener = TcpListener::bind(("127.0.0.1", base + 8)).ok()?;
        Some((base, listener))
    });
    let (base, _listener) = held.unwrap();
    let lasting = Lasting::new("port");
    let said = Stack::try_start(lasting.options().port_base(base)).unwrap_err();
    assert!(said.contains(&format!("port {} is in use, and the console needs it", base + 8)), "{said}");
    assert!(said.contains("--port-base"), "{said}");
}

/// When a service dies, everything stops, and the runner says which it was and how it ended, and fails.
#[test]
fn a_death_is_reported() {
    let lasting = Lasting::new("death");
    let stack = Stack::start(lasting.options());
    let pids = stack.run().pids.clone();
    stack.kill9("gateway");
    assert_eq!(stack.wait_for_end().code(), Some(1));
    let said = stack.log("up");
    assert!(said.contains("gateway died") && said.contains("SIGKILL"), "{said}");
    for (service, pid) in pids {
        assert!(!is_running(pid), "{service} was left running");
    }
}

/// With `--restart`, a service that was killed is back within seconds, under a new process number that run.json tells.
#[test]
fn a_killed_service_comes_back_when_asked_to() {
    let stack = Stack::start(Options::default().restart());
    for service in ["networks", "vault", "gateway", "postgres-main"] {
        stack.kill9_and_wait(service);
        assert_eq!(stack.run_now().restarts[service], 1);
    }
    stack.wait_ready("gateway");
    assert!(stack.stop().success());
}

/// A runner that is itself killed leaves nothing: its children end with it, and the next start finds the way free.
#[test]
fn a_killed_runner_leaves_nothing() {
    let lasting = Lasting::new("killed");
    let stack = Stack::start(lasting.options());
    let pids = stack.run().pids.clone();
    stack.kill9_runner();
    let again = Stack::start(lasting.options());
    for (service, pid) in pids {
        assert!(!is_running(pid), "{service} outlived its runner");
    }
    assert!(again.stop().success());
}
