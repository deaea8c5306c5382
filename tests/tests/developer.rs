//! The developer's command line against a running gateway: every command, and every way that it can end.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver as Lines, channel};
use std::time::{Duration, Instant};

use kura_tests::receiver::Receiver;
use kura_tests::{Options, Stack, program};
use serde_json::Value;

const WAIT: Duration = Duration::from_secs(40);

fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| Stack::start(Options::default().unlimited()))
}

/// A merchant of the test's own, to whom nothing else happens: its secret test key.
fn merchant() -> String {
    let printed = stack().command("gateway", &["add-merchant", "--name", "Programmer's Shop"]);
    let made: Value = printed.lines().rev().find_map(|line| serde_json::from_str(line).ok()).expect("keys");
    made["sk_test"].as_str().expect("a key").to_owned()
}

/// How it ended, what it said to standard output, and to standard error.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// `kura …` with this key, against this address, with this on standard input.
fn command(base: &str, key: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("kura"));
    command.args(arguments).env_clear().env("NO_COLOR", "1").env("KURA_API_BASE", base);
    key.map(|key| command.env("KURA_API_KEY", key));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run_at(base: &str, key: Option<&str>, arguments: &[&str], input: &str) -> Ended {
    let mut child = command(base, key, arguments).spawn().expect("the runner is built");
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("a child");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code().expect("no signal"), out: text(&output.stdout), err: text(&output.stderr) }
}

fn run(arguments: &[&str]) -> Ended {
    let run = stack().run();
    run_at(&run.gateway, Some(&run.keys.sk_test), arguments, "")
}

fn ok(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.err);
    ended.out
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(arguments)).expect("JSON")
}

/// One that goes on, whose lines are read as they come.
struct Running {
    child: Child,
    out: Lines<String>,
    err: Lines<String>,
}

fn lines(pipe: impl Read + Send + 'static) -> Lines<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Running {
    fn start(base: &str, key: &str, arguments: &[&str]) -> Self {
        let mut child = command(base, Some(key), arguments).spawn().expect("the runner is built");
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    fn said(lines: &Lines<String>, like: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let left = WAIT.checked_sub(began.elapsed()).expect("it is said in time");
            let line = lines.recv_timeout(left).expect("it is said in time");
            if like(&line) {
                return line;
            }
        }
    }

    fn ready(&self) -> String {
        Self::said(&self.err, |line| line.starts_with("Ready."))
    }

    fn end(mut self, signal: bool) -> i32 {
        if signal {
            let pid = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        }
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().expect("no signal");
            }
            assert!(began.elapsed() < WAIT, "it ends in time");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Events come as they happen, those that were asked for, signed with the secret that is printed; Ctrl-C is a good end.
#[test]
fn listen_forwards_events() {
    let (stack, receiver) = (stack(), Receiver::start());
    let (base, key) = (stack.run().gateway.as_str(), merchant());
    let key = key.as_str();
    let secret = run_at(base, Some(key), &["listen", "--print-secret"], "").out.trim().to_owned();
    let url = receiver.url("/hooks");
    let bare = url.strip_prefix("http://").unwrap();
    let listening =
        ["listen", "--forward-to", bare, "--events", "customer.updated,customer.deleted", "--json", "--count", "2"];
    let listening = Running::start(base, key, &listening);
    assert!(listening.ready().ends_with(&secret));
    let created = stack.post("/v1/customers", key, &[("description", "listened to")]).json();
    let path = format!("/v1/customers/{}", created["id"].as_str().unwrap());
    stack.post(&path, key, &[("description", "changed")]);
    let first: Value = serde_json::from_str(&Running::said(&listening.out, |_| true)).unwrap();
    assert_eq!((first["event"]["type"].as_str(), first["status"].as_i64()), (Some("customer.updated"), Some(200)));
    receiver.answer(500, "no", Duration::ZERO);
    stack.delete(&path, key);
    let second: Value = serde_json::from_str(&Running::said(&listening.out, |_| true)).unwrap();
    assert_eq!((second["event"]["type"].as_str(), second["status"].as_i64()), (Some("customer.deleted"), Some(500)));
    assert_eq!(listening.end(false), 0, "enough came");
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    for one in &received {
        assert_eq!(one.path, "/hooks");
        let time = one.headers["webhook-timestamp"].parse().unwrap();
        let id = one.event()["id"].as_str().unwrap().to_owned();
        for (name, value) in kura_platform::webhook_signature::headers(&[&secret], &id, time, &one.body) {
            assert_eq!(one.headers[name], value, "{name}");
        }
    }
    let listening = Running::start(base, key, &["listen"]);
    listening.ready();
    let shown = stack.post("/v1/customers", key, &[("description", "only shown")]).json();
    let line = Running::said(&listening.out, |line| line.starts_with("customer.created"));
    assert!(line.contains("evt_") && !line.contains(shown["id"].as_str().unwrap()));
    assert_eq!(listening.end(true), 0, "Ctrl-C");
}

/// Where the gateway goes away and comes back, the stream is resumed: what happened meanwhile comes, and each event once.
#[test]
fn listen_resumes() {
    let (stack, receiver) = (Stack::start(Options::default().restart()), Receiver::start());
    let (base, key) = (stack.run().gateway.as_str(), stack.run().keys.sk_test.as_str());
    let url = receiver.url("/");
    let listening = Running::start(base, key, &["listen", "--forward-to", &url, "--events", "customer.created"]);
    listening.ready();
    let customer = |number: usize| {
        let made = stack.post("/v1/customers", key, &[("description", &number.to_string())]);
        assert_eq!(made.status, 200, "{}", made.text);
        made.json()["id"].as_str().unwrap().to_owned()
    };
    let mut made: Vec<String> = (0..2).map(customer).collect();
    for round in 0..2 {
        receiver.wait(made.len(), |_| true);
        stack.kill9_and_wait("gateway");
        made.extend((round..round + 3).map(customer));
    }
    receiver.wait(made.len(), |_| true);
    std::thread::sleep(Duration::from_secs(2));
    let mut came: Vec<String> = receiver
        .received()
        .iter()
        .map(|one| one.event()["data"]["object"]["id"].as_str().unwrap().to_owned())
        .collect();
    came.sort_unstable();
    made.sort_unstable();
    assert_eq!(came, made);
    assert_eq!(listening.end(true), 0);
}

/// Every event that is listed happens, and its id is all that is said on standard output.
#[test]
fn trigger_makes_each_event_happen() {
    let stack = stack();
    let known = ok(&["trigger", "--list"]);
    assert!(known.lines().count() >= 20, "{known}");
    for event in known.lines() {
        let id = ok(&["trigger", event]);
        let found = stack.read(&format!("/v1/events/{}", id.trim()), &stack.run().keys.sk_test);
        assert_eq!((found.status, found.json()["type"].as_str()), (200, Some(event)), "{}", found.text);
    }
    let whole = json(&["trigger", "customer.created", "--json"]);
    assert_eq!(whole["type"], "customer.created");
    let unknown = run(&["trigger", "no.such"]);
    assert_eq!(unknown.code, 2, "{}", unknown.err);
    assert!(unknown.err.contains("payment_intent.succeeded") && unknown.out.is_empty());
}

/// The newest requests, and those that follow, as lines for people or as JSON.
#[test]
fn logs_are_tailed() {
    let stack = stack();
    let (base, key) = (stack.run().gateway.as_str(), merchant());
    let key = key.as_str();
    let refused = stack.post("/v1/refunds", key, &[("nonsense", "x")]);
    let id = refused.headers["request-id"].to_str().unwrap().to_owned();
    assert_eq!(stack.read(&format!("/v1/request_logs/{id}"), key).status, 200);
    let past =
        run_at(base, Some(key), &["logs", "tail", "--no-follow", "--json", "--status", "400", "--lines", "1"], "");
    assert_eq!(past.code, 0, "{}", past.err);
    let past: Value = serde_json::from_str(&past.out).unwrap();
    assert_eq!((past["id"].as_str(), past["code"].as_str()), (Some(id.as_str()), Some("parameter_unknown")));
    let tailing = Running::start(base, key, &["logs", "tail", "--lines", "1"]);
    Running::said(&tailing.out, |line| line.contains("/v1/"));
    let asked = stack.read("/v1/charges?limit=3", key);
    let id = asked.headers["request-id"].to_str().unwrap();
    let line = Running::said(&tailing.out, |line| line.contains(id));
    assert!(line.contains("200") && line.contains("GET") && line.contains("/v1/charges"), "{line}");
    assert_eq!(tailing.end(true), 0);
}

/// All operations of the API can be called, by names that follow from the API's own description.
#[test]
fn any_resource_can_be_worked_with() {
    let stack = stack();
    let resources = ok(&["resource"]);
    let document = stack.get(&format!("{}/openapi.json", stack.run().gateway)).json();
    let operations: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    let listed: usize = resources.lines().map(|name| ok(&["resource", name]).lines().count()).sum();
    // The stream is nothing to call like the others.
    assert_eq!(listed, operations - 1, "{resources}");

    let made = json(&["resource", "customers", "create", "-d", "description=first one", "-d", "metadata[a]=b=c"]);
    let id = made["id"].as_str().unwrap();
    assert_eq!((made["description"].as_str(), made["metadata"]["a"].as_str()), (Some("first one"), Some("b=c")));
    assert_eq!(json(&["resource", "customers", "retrieve", id]), made);
    let changed = json(&["resource", "customers", "update", id, "-d", "description=second", "--json"]);
    assert_eq!(changed["description"], "second");
    let page = json(&["resource", "customers", "list", "-d", "limit=1"]);
    assert_eq!((page["object"].as_str(), page["data"].as_array().unwrap().len()), (Some("list"), 1));
    let one_line = ok(&["resource", "customers", "list", "--json"]);
    assert_eq!(one_line.lines().count(), 1);
    assert_eq!(json(&["resource", "customers", "delete", id])["deleted"], true);
    let form = ["-d", "amount=500", "-d", "currency=jpy", "-d", "payment_method=pm_card_visa"];
    let create = ["resource", "payment_intents", "create", "--idempotency-key", "cli-once"];
    let intent = json(&[&create[..], &form[..]].concat());
    assert_eq!(json(&[&create[..], &form[..]].concat()), intent, "once");
    let confirmed = json(&["resource", "payment_intents", "confirm", intent["id"].as_str().unwrap()]);
    assert_eq!(confirmed["status"], "succeeded");
}

/// Each kind of failure ends with its own code, says why on standard error, and nothing on standard output.
#[test]
fn failures_have_their_exit_codes() {
    let stack = stack();
    let keys = &stack.run().keys;
    let (base, sk) = (stack.run().gateway.as_str(), Some(keys.sk_test.as_str()));
    let broken = Receiver::start();
    broken.answer(500, "{}", Duration::ZERO);
    let broken_base = broken.url("");
    let list = ["resource", "customers", "list"];
    let tail = ["logs", "tail", "--no-follow"];
    let absent = format!("cus_{}", "0".repeat(26));
    let pay =
        ["resource", "payment_intents", "create", "-d", "amount=1", "-d", "currency=jpy", "-d", "confirm=true", "-d"];
    let declined = [&pay[..], &["payment_method=pm_card_chargeDeclined"]].concat();
    let nobody = "http://127.0.0.1:1";
    for (base, key, arguments, code, said) in [
        (base, sk, vec!["resource", "no_such"], 2, "customers"),
        (base, sk, vec!["resource", "customers", "no_such"], 2, "retrieve"),
        (base, sk, vec!["resource", "customers", "retrieve"], 2, "1 id"),
        (base, sk, vec!["resource", "customers", "retrieve", "../x"], 2, "letters"),
        (base, sk, vec!["resource", "customers", "create", "-d", "novalue"], 2, "NAME=VALUE"),
        (base, sk, vec!["listen", "--forward-to", "ftp://x"], 2, "http"),
        (base, sk, vec!["listen", "--api-key", "sk_test_x"], 2, "unexpected argument"),
        ("http://gateway.example", sk, list.to_vec(), 2, "https"),
        (base, None, list.to_vec(), 3, "KURA_API_KEY"),
        (base, Some("sk_test_wrong"), list.to_vec(), 3, "api_key_invalid"),
        (base, Some(keys.pk_test.as_str()), vec!["listen"], 3, "secret_key_required"),
        (base, sk, vec!["resource", "customers", "retrieve", &absent], 4, "resource_missing"),
        (base, sk, vec!["resource", "customers", "create", "-d", "colour=red"], 5, "parameter_unknown, colour"),
        (base, sk, declined, 6, "card_declined"),
        (&broken_base, sk, tail.to_vec(), 8, "500"),
        (&broken_base, sk, vec!["listen"], 8, "500"),
        (nobody, sk, tail.to_vec(), 9, "can't be reached"),
        (nobody, sk, vec!["listen"], 9, "can't be reached"),
        (nobody, sk, vec!["trigger", "customer.created"], 9, "can't be reached"),
    ] {
        let ended = run_at(base, key, &arguments, "");
        assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains(said) && ended.out.is_empty(), "{arguments:?}: {}{}", ended.out, ended.err);
        assert!(!ended.err.contains(&keys.sk_test), "no key is repeated");
    }
    let other = merchant();
    let open: Vec<Running> = (0..8).map(|_| Running::start(base, &other, &["listen"])).collect();
    open.iter().for_each(|one| drop(one.ready()));
    let ninth = run_at(base, Some(&other), &["listen"], "");
    assert_eq!(ninth.code, 7, "{}", ninth.err);
    drop(open);
    let began = Instant::now();
    while began.elapsed() < WAIT {
        let again = run_at(base, Some(&other), &["listen", "--count", "0"], "");
        if again.code == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("places are given back");
}

/// A key may come on standard input; help names the exit codes; completion scripts are ones.
#[test]
fn keys_help_and_completion() {
    let run = stack().run();
    let arguments = ["resource", "customers", "list", "--key-stdin", "-d", "limit=1"];
    let ended = run_at(&run.gateway, None, &arguments, &format!("{}\n", run.keys.sk_test));
    assert_eq!(ended.code, 0, "{}", ended.err);
    for command in ["listen", "trigger", "logs", "resource"] {
        let help = ok(&[command, "--help"]);
        assert!(help.contains("Exit codes:") && help.contains("KURA_API_KEY"), "{command}");
        assert!(!help.contains("--api-key"), "{command}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = ok(&["completion", shell]);
        assert!(script.contains("listen") && script.contains("forward-to"), "{shell}");
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash");
    bash.stdin.take().unwrap().write_all(ok(&["completion", "bash"]).as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}
