//! What the API says of itself, held against what it does: by the official SDKs, by requests made up from its own document, and
//! by what its headers and client secrets promise.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kura_tests::search::tool;
use kura_tests::{Answer, Options, Stack, block_on, workspace};

/// How long requests are made up, unless `KURA_CONTRACT_SECONDS` says so.
const SECONDS: u32 = 60;

fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| Stack::start(Options::default().unlimited()))
}

fn python() -> PathBuf {
    workspace().join(tool("KURA_PYTHON", ".kura/tools/venv/bin/python"))
}

/// Runs a program to its end; shows what it said when it fails.
fn run(program: &Path, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments).env("KURA_RUN_JSON", stack().state().join("run.json")).current_dir(stack().state());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo kura test` installs it", program.display()));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}:\n{said}");
    println!("{said}");
}

fn script(name: &str) -> String {
    workspace().join("tests/sdk").join(name).display().to_string()
}

/// The unmodified SDK makes its calls, sync and async; asks again after failures; and knows every error by its type.
#[test]
fn the_stripe_python_sdk_works() {
    run(&python(), &[&script("stripe_python.py")]);
}

/// The same with Node's.
#[test]
fn the_stripe_node_sdk_works() {
    run(&tool("KURA_NODE", "node"), &[&script("stripe_node.mjs")]);
}

/// Whatever is sent, no answer is a server's error, has a status, a type or a body that the document does not know.
#[test]
fn the_document_says_what_the_api_does() {
    let (stack, seconds) = (stack(), std::env::var("KURA_CONTRACT_SECONDS").unwrap_or_else(|_| SECONDS.to_string()));
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";
    let document = format!("{}/openapi.json", stack.run().gateway);
    let key = format!("Authorization: Bearer {}", stack.run().keys.sk_test);
    run(
        &python().with_file_name("schemathesis"),
        &[
            "--no-color",
            "run",
            &document,
            "--header",
            &key,
            "--checks",
            checks,
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "10",
            "--max-time",
            &seconds,
            "--continue-on-failure",
            "--no-shrink",
            "--warnings",
            "off",
            "--suppress-health-check",
            "all",
            // A stream does not end by itself.
            "--exclude-path",
            "/v1/events/stream",
        ],
    ); // fmt: skip
}

fn ask(path: &str, key: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut request = Stack::http().get(format!("{}{path}", stack().run().gateway)).bearer_auth(key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    block_on(async {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    })
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A version is a date, and the one that is served is told; what acts for another account is refused, nothing done.
#[test]
fn headers_mean_what_they_say() {
    let key = &stack().run().keys.sk_test;
    for version in ["2026-10-28.endive", "2019-12-03"] {
        let answer = ask("/v1/customers", key, &[("stripe-version", version)]);
        assert_eq!((answer.status, &answer.headers["stripe-version"]), (200, &"2026-10-28.endive".parse().unwrap()));
    }
    assert_eq!(code(&ask("/v1/customers", key, &[("stripe-version", "latest")])), is(400, "api_version_invalid"));
    for name in ["stripe-account", "stripe-context"] {
        assert_eq!(code(&ask("/v1/customers", key, &[(name, "acct_1")])), is(400, "connect_unsupported"));
        assert_eq!(code(&ask("/v1/customers", "sk_test_wrong", &[(name, "acct_1")])), is(401, "api_key_invalid"));
    }
}

/// What SDKs tell of the machine that they run on is kept nowhere.
#[test]
fn what_sdks_tell_of_their_machine_is_not_kept() {
    let (stack, mark) = (stack(), "kura-marked-machine-93b1");
    let told = format!("{{\"uname\": \"{mark}\"}}");
    for name in ["x-stripe-client-user-agent", "x-stripe-client-telemetry", "x-stripe-client-other", "user-agent"] {
        assert_eq!(ask("/v1/customers", &stack.run().keys.sk_test, &[(name, &told)]).status, 200);
        assert_eq!(ask("/v1/customers/x", &stack.run().keys.sk_test, &[(name, &told)]).status, 404);
    }
    // Requests are put on record a little later.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let tables = "SELECT format('SELECT t::text FROM %I t', tablename) FROM pg_tables WHERE schemaname = 'public'";
    for table in stack.sql("gateway", tables).lines() {
        assert!(!stack.sql("gateway", table).contains(mark), "{table}");
    }
    for log in std::fs::read_dir(&stack.run().logs).expect("the logs") {
        let path = log.expect("a log").path();
        let text = std::fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains(mark), "{}", path.display());
    }
}

/// A publishable key reads the one object whose client secret it has, without what is the merchant's own; any other secret finds
/// nothing, and events don't have them.
#[test]
fn a_client_secret_opens_its_own_object() {
    let stack = stack();
    let keys = &stack.run().keys;
    let form =
        [("amount", "1200"), ("currency", "jpy"), ("payment_method_types[]", "card"), ("metadata[order]", "A-1")];
    for (path, form) in [("/v1/payment_intents", &form[..]), ("/v1/setup_intents", &form[3..])] {
        let made: Vec<_> = (0..2).map(|_| stack.post(path, &keys.sk_test, form).json()).collect();
        let (id, secret) = (made[0]["id"].as_str().unwrap(), made[0]["client_secret"].as_str().unwrap());
        let letters = secret.strip_prefix(&format!("{id}_secret_")).expect("its shape");
        assert!(letters.len() >= 25 && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let read = |key: &str, id: &str, secret: &str| stack.read(&format!("{path}/{id}?client_secret={secret}"), key);
        let shown = read(&keys.pk_test, id, secret).json();
        assert_eq!((&shown["id"], &shown["client_secret"]), (&made[0]["id"], &made[0]["client_secret"]));
        assert_eq!(shown["metadata"], serde_json::json!({}), "the merchant's own data is not for the page");
        assert_eq!(code(&stack.read(&format!("{path}/{id}"), &keys.pk_test)), is(403, "secret_key_required"));
        assert_eq!(code(&stack.read(path, &keys.pk_test)), is(403, "secret_key_required"));
        let other = made[1]["client_secret"].as_str().unwrap();
        let nobody = format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '4' } else { '0' });
        for (key, id, secret) in [
            (&keys.pk_test, id, other),
            (&keys.pk_test, id, "x"),
            (&keys.pk_test, nobody.as_str(), secret),
            (&keys.sk_test, id, other),
            (&keys.other_pk_test, id, secret),
        ] {
            assert_eq!(code(&read(key, id, secret)), is(404, "resource_missing"), "{secret}");
        }
        let missing = stack.read(&format!("{path}/{nobody}"), &keys.sk_test).json()["error"]["message"].clone();
        assert_eq!(read(&keys.pk_test, id, other).json()["error"]["message"], missing, "as if it were not there");
        assert_eq!(read(&keys.sk_test, id, secret).json()["metadata"], serde_json::json!({"order": "A-1"}));
        let all = stack.sql("gateway", "SELECT t::text FROM events t");
        assert!(all.contains(id) && !all.contains("_secret_"), "events don't have it");
    }
}
